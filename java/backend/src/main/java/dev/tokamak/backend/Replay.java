// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/**
 * A program ready to run, with its activations, its cache and its batch. Used by one thread at a
 * time. A step of few rows allocates nothing on the Java heap when a platform thread runs it.
 */
public interface Replay extends AutoCloseable {
  /** Filled by the caller before each step. */
  Batch batch();

  /**
   * Runs the program on the batch. Keys and values of the batch's tokens are in the cache
   * afterwards, and {@link #logits()} holds a row for each output whose logits are wanted.
   *
   * @throws NotFiniteException if a logit is NaN or infinite
   * @throws BackendException if the batch names a token, page or row that does not exist
   */
  void step();

  /**
   * The same, for as long as the caller wants it: where the backend can, an interrupt of the calling
   * thread, whose flag stays set, or {@code unwanted} ends a long step early. Then logits, and what
   * the cache holds for the batch's tokens, are undefined.
   *
   * @param unwanted asked now and then by the calling thread
   * @return whether the step ran to its end
   */
  default boolean step(BooleanSupplier unwanted) {
    step();
    return true;
  }

  /** Logits [outputs, vocab] of the last step, float32; the memory is the same in each step. */
  MemorySegment logits();

  /**
   * Chooses tokens where the logits are; the same each time, its memory taken at the first. Empty:
   * whoever wants tokens chooses them from the logits.
   *
   * @throws BackendException if there is not enough memory
   */
  default Optional<TokenSampler> sampler() {
    return Optional.empty();
  }

  /** Bytes of activations and cache, for reports. */
  long bytes();

  @Override
  void close();
}
