// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Sampling;
import dev.tokamak.backend.TokenSampler;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * A model made ready to run: its program, cache and batch. The caller begins sequences, adds tokens
 * of any of them to a step, runs it, and reads the logits of the rows it asked for, or the tokens
 * chosen from them where the backend can do that. A step and
 * everything before it allocate nothing on the Java heap. Used by one thread at a time, but for
 * {@link #close}: it waits for the end of a running step, and whatever comes afterwards is refused
 * with an {@link IllegalStateException}.
 */
public final class Inference implements AutoCloseable {
  /**
   * What it must have room for.
   *
   * @param context tokens of one sequence, at most
   * @param rows tokens in a step, at most
   * @param outputs rows with logits in a step, at most
   * @param sequences at once
   * @param cacheType of keys and values
   */
  public record Shape(int context, int rows, int outputs, int sequences, QuantType cacheType) {}

  private final Shape shape;
  private final int vocabulary;
  private final Arena arena;
  private final Replay replay;
  private final KvCache cache;
  private final Consumer<Inference> onClose;
  private Optional<TokenSampler> sampler = Optional.empty();
  private boolean closed;

  Inference(
      Shape shape, int vocabulary, Arena arena, Replay replay, Consumer<Inference> onClose) {
    this.shape = shape;
    this.vocabulary = vocabulary;
    this.arena = arena;
    this.replay = replay;
    this.onClose = onClose;
    cache = new KvCache(replay.batch().limits(), replay.batch());
  }

  public Shape shape() {
    return shape;
  }

  /** Begins an empty sequence and returns its number. */
  public int begin() {
    return cache.begin();
  }

  /** Ends a sequence; its number may be given out again. */
  public void end(int sequence) {
    cache.end(sequence);
  }

  /** Tokens of a sequence, those added to the step being filled included. */
  public int length(int sequence) {
    return cache.length(sequence);
  }

  /** Forgets the tokens of a sequence from {@code length} on. */
  public void truncate(int sequence, int length) {
    cache.truncate(sequence, length);
  }

  /** Rows that still fit into the step being filled. */
  public int room() {
    return shape.rows - replay.batch().rows();
  }

  /** Adds the next token of a sequence to the step; the sequence's length must be below context. */
  public synchronized void add(int sequence, int token) {
    requireOpen();
    if (token < 0 || token >= vocabulary) {
      throw new IllegalArgumentException("token " + token + " is not below " + vocabulary);
    }
    if (cache.length(sequence) >= shape.context) {
      throw new IllegalStateException("context full: " + shape.context + " tokens");
    }
    if (room() == 0) {
      throw new IllegalStateException("step full: " + shape.rows + " rows");
    }
    replay.batch().add(token, cache.append(sequence), sequence);
  }

  /** Asks for the logits after the token added last; returns their row. */
  public synchronized int wantLogits() {
    requireOpen();
    return replay.batch().wantLogits();
  }

  /**
   * Gets ready to choose tokens where the logits are, if the backend does that.
   *
   * @throws dev.tokamak.backend.BackendException if there is not enough memory
   */
  public synchronized void prepareSampling() {
    requireOpen();
    sampler = replay.sampler();
  }

  /** Whether {@link #wantToken} may be asked for a token that follows {@code length} others. */
  public boolean samples(Sampling sampling, int length) {
    return sampler.isPresent() && sampling.recent(length) <= sampler.get().mostRecent();
  }

  /** How many of the likeliest tokens a step can tell of. */
  public int tops() {
    return sampler.isPresent() ? sampler.get().tops() : 0;
  }

  /**
   * Asks for the token to follow the one added last; returns its row.
   *
   * @param history tokens of the sequence so far, of which {@code length} count
   */
  public synchronized int wantToken(
      Sampling sampling, int[] history, int length, TokenSampler.Besides besides) {
    requireOpen();
    int row = replay.batch().wantLogits();
    sampler.orElseThrow().want(row, sampling, history, length, besides);
    return row;
  }

  /**
   * Runs the step and empties it. If it fails, sequences keep their lengths, but what the cache
   * holds for the step's tokens is undefined.
   *
   * @throws dev.tokamak.backend.NotFiniteException if logits are not finite
   */
  public synchronized void step() {
    requireOpen();
    try {
      replay.step();
    } finally {
      replay.batch().clear();
    }
  }

  /**
   * The same, but ended early, where the backend can do that, when the thread is interrupted or
   * {@code unwanted} says so; the step is then as one that failed.
   *
   * @param unwanted asked now and then by the calling thread
   * @return whether the step ran to its end
   * @throws dev.tokamak.backend.NotFiniteException if logits are not finite
   */
  public synchronized boolean step(BooleanSupplier unwanted) {
    requireOpen();
    try {
      return replay.step(unwanted);
    } finally {
      replay.batch().clear();
    }
  }

  /** Copies the logits of one row of the last step. */
  public synchronized void logits(int row, float[] to) {
    requireOpen();
    MemorySegment.copy(
        replay.logits(), JAVA_FLOAT, (long) row * vocabulary * Float.BYTES, to, 0, vocabulary);
  }

  /** The token chosen for one row of the last step. */
  public synchronized int token(int row) {
    requireOpen();
    return sampler.orElseThrow().token(row);
  }

  /** Its log probability, if that was asked for. */
  public synchronized double logProbability(int row) {
    requireOpen();
    return sampler.orElseThrow().logProbability(row);
  }

  /** The likeliest token but {@code rank} of one row, if log probabilities were asked for. */
  public synchronized int topToken(int row, int rank) {
    requireOpen();
    return sampler.orElseThrow().topToken(row, rank);
  }

  /** Its log probability. */
  public synchronized double topLogProbability(int row, int rank) {
    requireOpen();
    return sampler.orElseThrow().topLogProbability(row, rank);
  }

  /** Bytes of activations and cache. */
  public long bytes() {
    return replay.bytes();
  }

  /** Frees the memory; does nothing if that is done. Any thread may call it. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      onClose.accept(this);
      replay.close();
      arena.close();
    }
  }

  /** Native code works on plain addresses: nothing must reach it once they are freed. */
  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("closed: this, or the model that it ran on");
    }
  }
}
