// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.generate.Event.Refused;
import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Runs many generations in one step: a token of each that has begun its answer, and chunks of the
 * prompts of others. One that ends frees its place, and the next that waits takes it. Each gives
 * the tokens, and the bits of logits, that it gives alone.
 *
 * <p>Used by one thread at a time; listeners are called by it, between steps, and may submit more.
 * What a listener throws ends its generation and comes out of {@link #step}.
 */
public final class Batcher implements AutoCloseable {
  private final Model model;
  private final Capacity capacity;
  private final Inference inference;
  private final Chooser chooser;
  private final Deque<Generation> waiting = new ArrayDeque<>();
  private final List<Generation> active = new ArrayList<>();

  /**
   * Takes the memory that it needs.
   *
   * @throws dev.tokamak.backend.BackendException if there is not enough
   */
  public Batcher(Model model, Capacity capacity) {
    this.model = model;
    this.capacity = capacity;
    inference = model.prepare(capacity.shape());
    try {
      chooser = new Chooser(inference, model.architecture().vocabulary());
    } catch (RuntimeException | Error e) {
      inference.close();
      throw e;
    }
  }

  public Capacity capacity() {
    return capacity;
  }

  /** Bytes of activations and cache. */
  public long bytes() {
    return inference.bytes();
  }

  /**
   * Takes a text to complete, BOS in front as the model says; names of control tokens in it are
   * text.
   */
  public Generation submit(
      String prompt, GenerateOptions options, Consumer<? super Event> listener) {
    return submit(model.tokenizer().encode(prompt, true, false), options, listener);
  }

  /**
   * Takes tokens to continue, nothing added in front. If they cannot be, the listener hears {@link
   * Refused} at once. Else it runs when the steps do, those submitted first before the others.
   */
  public Generation submit(
      int[] prompt, GenerateOptions options, Consumer<? super Event> listener) {
    Generation generation = generation(prompt, options, listener);
    Optional<String> problem = problem(prompt, 0);
    if (problem.isPresent()) {
      generation.release();
      listener.accept(new Refused(problem.get()));
    } else {
      waiting.add(generation);
    }
    return generation;
  }

  private Generation generation(
      int[] prompt, GenerateOptions options, Consumer<? super Event> listener) {
    return new Generation(
        prompt.clone(), options, listener, model.tokenizer(), model.architecture().vocabulary());
  }

  /** Why a prompt cannot follow {@code length} tokens, if it cannot. */
  Optional<String> problem(int[] prompt, int length) {
    return problem(prompt, length, model.architecture().vocabulary(), capacity.context());
  }

  static Optional<String> problem(int[] prompt, int length, int vocabulary, int context) {
    for (int token : prompt) {
      if (token < 0 || token >= vocabulary) {
        return Optional.of(
            "prompt: expected tokens from 0 to " + (vocabulary - 1) + ", found " + token);
      }
    }
    if (length + prompt.length == 0) {
      return Optional.of(
          "prompt: empty, and the model puts nothing in front; give a text or tokens");
    }
    if (prompt.length > context - length) {
      String before = length == 0 ? "" : " after " + length + " others";
      return Optional.of(
          "prompt: "
              + prompt.length
              + " tokens"
              + before
              + " do not fit into the context of "
              + context
              + "; shorten it, or make the context larger (--ctx)");
    }
    return Optional.empty();
  }

  /** A sequence for a session to keep. */
  Sequence open() {
    return new Sequence(inference);
  }

  /** Begins a generation on a session's sequence; its prompt has no {@link #problem}. */
  Generation begin(
      Sequence sequence, int[] prompt, GenerateOptions options, Consumer<? super Event> listener) {
    Generation generation = generation(prompt, options, listener);
    start(generation, sequence, false);
    return generation;
  }

  private void start(Generation generation, Sequence sequence, boolean owned) {
    active.add(generation);
    generation.start(sequence, owned);
  }

  /** Runs steps until every generation has ended. */
  public void run() {
    while (step()) {}
  }

  /**
   * Runs one step; each generation that has all of its prompt behind it gets a token. If the thread
   * is interrupted, it runs none, ends all generations as {@link FinishReason#CANCELLED}, and
   * leaves the thread's flag set. On the backends {@code cpu} and {@code reference} an interrupt
   * ends a long step early, and so do those who cancelled every generation that it works on.
   *
   * @return whether generations are left to work on
   * @throws dev.tokamak.backend.NotFiniteException if logits are not finite; like any other failure
   *     of a step, this ends the generations of the step without a further event
   */
  public boolean step() {
    if (Thread.currentThread().isInterrupted()) {
      waiting.forEach(Generation::cancel);
      active.forEach(Generation::cancel);
    }
    admit();
    if (active.isEmpty()) {
      return false;
    }
    fill();
    boolean whole = false;
    boolean done = false;
    try {
      whole = inference.step(this::unwanted);
      done = true;
    } finally {
      if (!done) {
        abandon();
      }
    }
    if (whole) {
      sample();
    } else {
      takeBack();
    }
    dropFinished();
    return !active.isEmpty() || !waiting.isEmpty();
  }

  /** Ends what was cancelled, and gives free places to those that wait. */
  private void admit() {
    for (int i = 0; i < active.size(); i++) {
      if (active.get(i).cancelled() && !active.get(i).finished()) {
        active.get(i).finish(FinishReason.CANCELLED);
      }
    }
    dropFinished();
    while (!waiting.isEmpty() && active.size() < capacity.sequences()) {
      Generation next = waiting.remove();
      if (next.cancelled()) {
        next.finish(FinishReason.CANCELLED);
      } else {
        start(next, new Sequence(inference), true);
        dropFinished();
      }
    }
  }

  /**
   * Adds rows: of each generation its one pending token, and of longer prompts together a chunk, so
   * that one long prompt delays the others' tokens by no more than that.
   */
  private void fill() {
    int room = inference.room() - (capacity.sequences() - 1);
    for (int i = 0; i < active.size(); i++) {
      Generation generation = active.get(i);
      Sequence sequence = generation.sequence();
      if (sequence.pending() == 0) {
        // Its logits were lost: a listener failed, or it was cancelled. The same bits come again.
        sequence.uncache(sequence.length() - 1);
      }
      generation.before = sequence.cached();
      generation.row = -1;
      int pending = sequence.pending();
      int count = pending == 1 ? 1 : Math.min(pending, room);
      sequence.run(count);
      if (pending > 1) {
        room -= count;
      }
      if (count == pending) {
        generation.row = chooser.want(generation);
      }
    }
  }

  private void sample() {
    for (int i = 0; i < active.size(); i++) {
      Generation generation = active.get(i);
      if (generation.row >= 0) {
        boolean done = false;
        try {
          chooser.choose(generation);
          done = true;
        } finally {
          if (!done) {
            generation.release();
          }
        }
      }
    }
  }

  private boolean unwanted() {
    for (int i = 0; i < active.size(); i++) {
      if (!active.get(i).cancelled()) {
        return false;
      }
    }
    return true;
  }

  /** After a failed step. */
  private void abandon() {
    takeBack();
    active.forEach(Generation::release);
    active.clear();
  }

  /** After a step that did not end, whose tokens' part of the cache is undefined. */
  private void takeBack() {
    active.forEach(generation -> generation.sequence().uncache(generation.before));
  }

  private void dropFinished() {
    for (int i = active.size() - 1; i >= 0; i--) {
      if (active.get(i).finished()) {
        active.remove(i);
      }
    }
  }

  /** Frees the memory; generations that have not ended hear nothing more. */
  @Override
  public void close() {
    inference.close();
  }
}
