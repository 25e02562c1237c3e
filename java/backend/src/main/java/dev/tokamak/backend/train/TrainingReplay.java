// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import java.lang.foreign.MemorySegment;

/**
 * A training program made ready by a backend, with its weights, gradients, moments and activations.
 * Used by one thread at a time. The same batches and updates give the same bits, with any number of
 * threads.
 */
public interface TrainingReplay extends AutoCloseable {
  /** The arrays that the optimiser's state consists of, each in the layout of the parameters. */
  enum State {
    /** Of all parameters, those that are frozen included. */
    WEIGHTS,
    /** Of trainable parameters, as all that follow. */
    GRADIENTS,
    /** AdamW's first moment, or Muon's momentum. */
    FIRST_MOMENT,
    /** AdamW's second moment. */
    SECOND_MOMENT
  }

  /** Filled by the caller before {@link #forward}. */
  TrainingBatch batch();

  /** Runs the forward pass: the batch's log probabilities are there afterwards. */
  void forward();

  /**
   * Runs the backward pass of the last {@link #forward}, from the batch's coefficients: the
   * derivatives of a loss by each log probability. Adds to the gradients.
   */
  void backward();

  /**
   * Changes the weights by an optimiser's step and sets the gradients to zero.
   *
   * @return the norm of the gradients before clipping
   * @throws dev.tokamak.backend.BackendException if that norm is not finite; nothing has changed
   */
  double update(Update update);

  /**
   * Copies floats out of an array of the state.
   *
   * @param offset of the first, in floats
   * @param to as many floats as it holds
   */
  void read(State state, long offset, MemorySegment to);

  /** Copies floats into an array of the state. */
  void write(State state, long offset, MemorySegment from);

  /** Bytes of everything that it holds. */
  long bytes();

  @Override
  void close();
}
