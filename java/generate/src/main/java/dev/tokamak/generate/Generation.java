// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Logprobs;
import dev.tokamak.generate.Event.Timings;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.tokenizer.TokenStream;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/** One generation that a {@link Batcher} works on: made by it, and cancelled here. */
public final class Generation {
  private final int[] prompt;
  private final GenerateOptions options;
  private final Consumer<? super Event> listener;
  private final Tokenizer tokenizer;
  private final TokenStream characters;
  private final StopStrings stops;
  private final Optional<Receipt.LogitsHash> hash;
  private final List<Token> tokens = new ArrayList<>();
  private final StringBuilder text = new StringBuilder();
  private final long submitted = System.nanoTime();
  private volatile boolean cancelled;
  private Sequence sequence;
  private boolean ownsSequence;
  private int prefill; // tokens run before the first was sampled
  private long started;
  private long first;
  private long last;
  private boolean finished;

  /** Set by the batcher in each step: cached tokens before it, and the row of its logits or -1. */
  int before;

  int row;

  Generation(
      int[] prompt,
      GenerateOptions options,
      Consumer<? super Event> listener,
      Tokenizer tokenizer,
      int vocabulary) {
    this.prompt = prompt;
    this.options = options;
    this.listener = listener;
    this.tokenizer = tokenizer;
    characters = tokenizer.stream(false);
    stops = new StopStrings(options.stop());
    hash = options.receipt() ? Optional.of(new Receipt.LogitsHash(vocabulary)) : Optional.empty();
  }

  /**
   * Ends it before its next token, as {@link FinishReason#CANCELLED}; does nothing if it has ended.
   * Any thread may call this. Text held back for a stop string is dropped.
   */
  public void cancel() {
    cancelled = true;
  }

  /** Whether it has ended, or failed. */
  public boolean finished() {
    return finished;
  }

  GenerateOptions options() {
    return options;
  }

  Sequence sequence() {
    return sequence;
  }

  boolean cancelled() {
    return cancelled;
  }

  /**
   * Puts the prompt at the end of a sequence; it is given back at the end if it is {@code owned}.
   */
  void start(Sequence on, boolean owned) {
    sequence = on;
    ownsSequence = owned;
    sequence.append(prompt);
    prefill = sequence.pending();
    started = System.nanoTime();
    if (options.maxTokens() == 0 || sequence.full()) {
      finish(FinishReason.LENGTH);
    }
  }

  /** Takes the logits that the next token is sampled from, for the receipt if one is asked for. */
  void sampledFrom(float[] logits) {
    if (hash.isPresent()) {
      hash.get().add(logits);
    }
  }

  /** Takes the token that was sampled. */
  void accept(int token, Optional<Logprobs> logprobs) {
    last = System.nanoTime();
    if (tokens.isEmpty()) {
      first = last;
    }
    sequence.appendOne(token);
    boolean end = tokenizer.isEnd(token) && !options.ignoreEos();
    String certain = end || token >= tokenizer.vocabularySize() ? "" : characters.accept(token);
    certain = stops.accept(certain);
    boolean full = tokens.size() + 1 >= options.maxTokens() || sequence.full();
    if (!stops.found() && (end || full)) {
      certain += stops.accept(characters.finish());
      certain += stops.rest();
    }
    text.append(certain);
    Token event = new Token(token, certain, logprobs);
    tokens.add(event);
    listener.accept(event);
    if (stops.found()) {
      finish(FinishReason.STOP);
    } else if (end) {
      finish(FinishReason.EOS);
    } else if (full) {
      finish(FinishReason.LENGTH);
    }
  }

  void finish(FinishReason reason) {
    release();
    Finished event =
        new Finished(
            Arrays.stream(prompt).boxed().toList(),
            List.copyOf(tokens),
            text.toString(),
            reason,
            timings(),
            hash.map(Receipt.LogitsHash::hex));
    listener.accept(event);
  }

  /** Ends it without a word: it failed. */
  void release() {
    if (!finished && ownsSequence) {
      sequence.end();
    }
    finished = true;
  }

  private Timings timings() {
    if (tokens.isEmpty()) {
      return new Timings(0, 0, 0);
    }
    return new Timings(
        perSecond(prefill, first - started),
        perSecond(tokens.size() - 1, last - first),
        (first - submitted) / 1e6);
  }

  private static double perSecond(int tokens, long nanos) {
    return nanos == 0 ? 0 : tokens * 1e9 / nanos;
  }
}
