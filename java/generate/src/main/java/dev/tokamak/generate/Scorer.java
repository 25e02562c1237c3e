// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * Looks at what a model thinks of given tokens, without adding any. Used by one thread at a time.
 */
public final class Scorer implements AutoCloseable {
  /**
   * Logits are wanted of every row, so there are fewer rows where vocabularies are large; bytes.
   */
  private static final int LOGITS_BYTES = 64 << 20;

  private final Model model;
  private final int vocabulary;
  private final Inference inference;
  private final float[] logits;
  private final Distribution distribution;

  /** Hears how many of the chunks of a text are done. */
  @FunctionalInterface
  public interface Progress {
    void at(int doneChunks, int chunks);

    /** Nobody listens. */
    static Progress none() {
      return (done, chunks) -> {};
    }
  }

  /** Takes the logits after the token at a position. */
  private interface Visitor {
    void visit(int position);
  }

  /**
   * Takes the memory that it needs.
   *
   * @param capacity context, chunk and cache type; one sequence is run
   * @throws dev.tokamak.backend.BackendException if there is not enough
   */
  public Scorer(Model model, Capacity capacity) {
    this.model = model;
    vocabulary = model.architecture().vocabulary();
    int most = Math.max(1, LOGITS_BYTES / Float.BYTES / vocabulary);
    int rows = Math.min(most, Math.min(capacity.chunk(), capacity.context()));
    logits = new float[vocabulary];
    distribution = new Distribution(vocabulary);
    inference =
        model.prepare(new Inference.Shape(capacity.context(), rows, rows, 1, capacity.cacheType()));
  }

  /**
   * The distribution after the last of some tokens.
   *
   * @param top how many of the likeliest tokens are listed
   * @throws PromptException if there is no token, or more than the context holds
   */
  public Prediction predict(int[] tokens, int top) {
    Prediction[] last = new Prediction[1];
    predict(tokens, Math.max(0, tokens.length - 1), top, prediction -> last[0] = prediction);
    return last[0];
  }

  /**
   * The distributions after each token.
   *
   * @param from the first position that is wanted, from 0
   * @param to hears them in order
   * @throws PromptException as above
   */
  public void predict(int[] tokens, int from, int top, Consumer<? super Prediction> to) {
    run(
        tokens,
        from,
        position -> {
          distribution.set(logits);
          to.accept(
              new Prediction(
                  position, logits.clone(), distribution.top(top), distribution.entropyBits()));
        });
  }

  /**
   * The perplexity of a text, in chunks as long as the context.
   *
   * @throws PromptException if the text has fewer tokens than one chunk, or the context is below 3
   */
  public Perplexity perplexity(String text, Progress progress) {
    int context = inference.shape().context();
    if (context < 3) {
      throw new PromptException("ctx: expected 3 or more for a perplexity, found " + context);
    }
    String body = text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    int[] tokens = model.tokenizer().encode(body, true, false);
    int chunks = tokens.length / context;
    if (chunks == 0) {
      throw new PromptException(
          "text: "
              + tokens.length
              + " tokens are fewer than one chunk of "
              + context
              + "; give a longer text or a smaller context (--ctx)");
    }
    double[] sums = new double[2]; // of −ln p, and of its square
    for (int chunk = 0; chunk < chunks; chunk++) {
      score(Arrays.copyOfRange(tokens, chunk * context, (chunk + 1) * context), sums);
      progress.at(chunk + 1, chunks);
    }
    int scores = chunks * (context - context / 2 - 1);
    double mean = sums[0] / scores;
    double variance = Math.max(0, sums[1] / scores - mean * mean);
    double perplexity = StrictMath.exp(mean);
    int textTokens = tokens.length - (model.tokenizer().addBos() ? 1 : 0);
    return new Perplexity(
        perplexity,
        scores > 1 ? Math.sqrt(variance / (scores - 1)) * perplexity : 0,
        mean / StrictMath.log(2) * textTokens / body.getBytes(StandardCharsets.UTF_8).length,
        tokens.length,
        scores,
        chunks);
  }

  private void score(int[] chunk, double[] sums) {
    if (model.tokenizer().addBos()) {
      chunk[0] = model.tokenizer().bos().orElseThrow();
    }
    run(
        chunk,
        chunk.length / 2,
        position -> {
          if (position + 1 < chunk.length) {
            distribution.set(logits);
            double loss = -distribution.logProbability(chunk[position + 1]);
            sums[0] += loss;
            sums[1] += loss * loss;
          }
        });
  }

  /** Runs tokens as a sequence of their own; {@code logits} are those of the position visited. */
  private void run(int[] tokens, int from, Visitor visitor) {
    Optional<String> problem = Batcher.problem(tokens, 0, vocabulary, inference.shape().context());
    if (problem.isPresent()) {
      throw new PromptException(problem.get());
    }
    int sequence = inference.begin();
    try {
      int next = 0;
      while (next < tokens.length) {
        int first = next;
        while (next < tokens.length && inference.room() > 0) {
          inference.add(sequence, tokens[next]);
          if (next >= from) {
            inference.wantLogits();
          }
          next++;
        }
        inference.step();
        int wanted = Math.max(first, from);
        for (int position = wanted; position < next; position++) {
          inference.logits(position - wanted, logits);
          visitor.visit(position);
        }
      }
    } finally {
      inference.end(sequence);
    }
  }

  @Override
  public void close() {
    inference.close();
  }
}
