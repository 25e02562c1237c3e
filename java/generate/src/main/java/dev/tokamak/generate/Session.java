// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Refused;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Model;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * One conversation with a model: what was said stays in the cache, and the next prompt goes on from
 * there. Used by one thread at a time, but for {@link #cancel} and {@link #close}.
 */
public final class Session implements AutoCloseable {
  private final Model model;
  private final Batcher batcher;
  private final Sequence sequence;
  private final AtomicBoolean busy = new AtomicBoolean();
  private volatile Optional<Generation> running = Optional.empty();

  /** A session with the room of {@link Capacity#of}. */
  public Session(Model model) {
    this(model, Capacity.of(model));
  }

  /**
   * Takes the memory that it needs.
   *
   * @throws dev.tokamak.backend.BackendException if there is not enough
   */
  public Session(Model model, Capacity capacity) {
    this.model = model;
    batcher = new Batcher(model, capacity.withSequences(1));
    sequence = batcher.open();
  }

  /** Completes a text as {@code sampler} says until the model ends it or the context is full. */
  public Finished generate(
      String prompt, SamplerOptions sampler, Consumer<? super Token> listener) {
    return generate(prompt, GenerateOptions.of(sampler), listener);
  }

  /**
   * Completes a text. At the beginning of the session BOS goes in front as the model says; names of
   * control tokens in the text are text.
   *
   * @param listener hears each token as it comes
   * @throws PromptException if nothing is there to continue, or it does not fit into the context
   */
  public Finished generate(
      String prompt, GenerateOptions options, Consumer<? super Token> listener) {
    return generate(encode(prompt), options, listener);
  }

  /**
   * Continues the session's tokens and these, nothing added in front. Ended by {@link #cancel} or
   * an interrupt of the thread, it keeps what it has, and the thread's flag.
   *
   * @throws PromptException as above; the session is as it was
   * @throws IllegalStateException if the session or its model is closed, or it generates already
   * @throws dev.tokamak.backend.NotFiniteException if logits are not finite
   */
  public Finished generate(
      int[] prompt, GenerateOptions options, Consumer<? super Token> listener) {
    Optional<String> problem = batcher.problem(prompt, sequence.length());
    if (problem.isPresent()) {
      throw new PromptException(problem.get());
    }
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("session: generates already; each thread needs its own");
    }
    Answer answer = new Answer(listener);
    try {
      running = Optional.of(batcher.begin(sequence, prompt, options, answer));
      batcher.run();
    } finally {
      running = Optional.empty();
      busy.set(false);
    }
    return answer.finished.orElseThrow();
  }

  /** Passes tokens on and keeps the end. */
  private static final class Answer implements Consumer<Event> {
    private final Consumer<? super Token> listener;
    private Optional<Finished> finished = Optional.empty();

    Answer(Consumer<? super Token> listener) {
      this.listener = listener;
    }

    @Override
    public void accept(Event event) {
      switch (event) {
        case Token token -> listener.accept(token);
        case Finished end -> finished = Optional.of(end);
        case Refused refused -> throw new PromptException(refused.problem());
      }
    }
  }

  private int[] encode(String text) {
    return model.tokenizer().encode(text, sequence.length() == 0, false);
  }

  /**
   * Ends a running {@link #generate} before its next token. Any thread, and a listener, may call it.
   */
  public void cancel() {
    running.ifPresent(Generation::cancel);
  }

  public Capacity capacity() {
    return batcher.capacity();
  }

  /** Bytes of activations and cache. */
  public long bytes() {
    return batcher.bytes();
  }

  /** All tokens so far, prompts and answers. */
  public int[] tokens() {
    return sequence.copy();
  }

  /** Number of {@link #tokens}. */
  public int length() {
    return sequence.length();
  }

  /**
   * Forgets the tokens from {@code length} on.
   *
   * @throws IllegalArgumentException if there are fewer
   */
  public void truncate(int length) {
    if (length < 0 || length > sequence.length()) {
      throw new IllegalArgumentException(
          "length: expected 0 to " + sequence.length() + ", found " + length);
    }
    sequence.truncate(length);
  }

  /** Frees the memory; a generation that runs ends with an {@link IllegalStateException}. */
  @Override
  public void close() {
    batcher.close();
  }
}
