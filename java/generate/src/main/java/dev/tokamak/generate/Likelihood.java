// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How likely a model holds given continuations: the sum of their tokens' log probabilities, many of
 * them in one step. The conventions are those of EleutherAI's lm-evaluation-harness: a context and
 * its continuation are encoded together, blanks at the context's end counting as the
 * continuation's; where the model puts no BOS in front, its end token stands for an empty context.
 * Used by one thread at a time.
 */
public final class Likelihood implements AutoCloseable {
  /** Sequences in a step: enough to fill it with short sentences. */
  private static final int SEQUENCES = 64;

  /** Logits are wanted of most rows, so there are fewer rows where vocabularies are large; bytes. */
  private static final int LOGITS_BYTES = 64 << 20;

  private final Model model;
  private final Inference inference;
  private final float[] logits;
  private final Distribution distribution;

  /**
   * What is to be scored.
   *
   * @param tokens context and continuation
   * @param from the first token of the continuation, at least 1
   */
  public record Request(int[] tokens, int from) {
    public Request {
      if (from < 1 || from > tokens.length) {
        throw new IllegalArgumentException(
            "from: expected 1 to " + tokens.length + ", found " + from);
      }
    }
  }

  /** Hears the sum of the log probabilities of a request's tokens, natural logarithms. */
  @FunctionalInterface
  public interface Scores {
    void score(int request, double logProbability);
  }

  /** A request on its way. */
  private static final class Running {
    final int number;
    final Request request;
    final int sequence;
    int next;
    int firstRow;
    int firstWanted;
    double sum;

    Running(int number, Request request, int sequence) {
      this.number = number;
      this.request = request;
      this.sequence = sequence;
    }
  }

  /**
   * Takes the memory that it needs.
   *
   * @param capacity context, chunk and cache type
   * @throws dev.tokamak.backend.BackendException if there is not enough
   */
  public Likelihood(Model model, Capacity capacity) {
    this.model = model;
    int vocabulary = model.architecture().vocabulary();
    int most = Math.max(1, LOGITS_BYTES / Float.BYTES / vocabulary);
    int rows = Math.min(most, capacity.chunk());
    logits = new float[vocabulary];
    distribution = new Distribution(vocabulary);
    int sequences = Math.min(SEQUENCES, rows);
    inference =
        model.prepare(
            new Inference.Shape(capacity.context(), rows, rows, sequences, capacity.cacheType()));
  }

  /** Tokens that a request may have. */
  public int context() {
    return inference.shape().context();
  }

  /**
   * A text after another.
   *
   * @throws PromptException if the context is empty and the model has neither BOS nor an end token,
   *     or the continuation has no token
   */
  public Request request(String context, String continuation) {
    int blanks = context.length() - context.stripTrailing().length();
    String front = context.substring(0, context.length() - blanks);
    String whole = context + continuation;
    Tokenizer tokenizer = model.tokenizer();
    int[] tokens = tokenizer.encode(whole, true, false);
    int from = tokenizer.encode(front, true, false).length;
    if (from == 0) {
      int[] behind = tokens;
      tokens = new int[behind.length + 1];
      tokens[0] = start(tokenizer);
      System.arraycopy(behind, 0, tokens, 1, behind.length);
      from = 1;
    }
    if (tokens.length <= from) {
      throw new PromptException("continuation: no token of its own, found '" + continuation + "'");
    }
    return new Request(tokens, from);
  }

  private static int start(Tokenizer tokenizer) {
    if (tokenizer.bos().isPresent()) {
      return tokenizer.bos().getAsInt();
    }
    return tokenizer
        .eos()
        .orElseThrow(
            () ->
                new PromptException(
                    "context: empty, and the model has neither a BOS nor an end token"));
  }

  /** A request that fits: its first tokens left out if it has more than the context holds. */
  public Request fit(Request request) {
    int excess = request.tokens.length - context();
    if (excess <= 0) {
      return request;
    }
    int[] tokens = Arrays.copyOfRange(request.tokens, excess, request.tokens.length);
    return new Request(tokens, Math.max(1, request.from - excess));
  }

  /**
   * Scores requests.
   *
   * @param to hears each score with the request's number, in the order in which they are done
   * @throws PromptException if one has more tokens than the context holds
   */
  public void score(List<Request> requests, Scores to) {
    for (Request request : requests) {
      if (request.tokens.length > context()) {
        throw new PromptException(
            "context: " + request.tokens.length + " tokens do not fit into " + context());
      }
    }
    List<Running> running = new ArrayList<>();
    int begun = 0;
    try {
      while (begun < requests.size() || !running.isEmpty()) {
        for (Running r : running) {
          fill(r);
        }
        while (begun < requests.size()
            && running.size() < inference.shape().sequences()
            && inference.room() > 0) {
          Running r = new Running(begun, requests.get(begun), inference.begin());
          begun++;
          running.add(r);
          fill(r);
        }
        inference.step();
        running.removeIf(r -> finish(r, to));
      }
    } finally {
      running.forEach(r -> inference.end(r.sequence));
    }
  }

  /** Adds rows of a request to the step, as many as there is room for. */
  private void fill(Running r) {
    int last = r.request.tokens.length - 1; // nothing is asked after the last token
    r.firstRow = -1;
    while (r.next < last && inference.room() > 0) {
      inference.add(r.sequence, r.request.tokens[r.next]);
      r.next++;
      if (r.next >= r.request.from) {
        int row = inference.wantLogits();
        if (r.firstRow < 0) {
          r.firstRow = row;
          r.firstWanted = r.next;
        }
      }
    }
  }

  /** Takes the logits of the step; whether the request is done. */
  private boolean finish(Running r, Scores to) {
    if (r.firstRow >= 0) {
      for (int position = r.firstWanted; position <= r.next; position++) {
        inference.logits(r.firstRow + position - r.firstWanted, logits);
        distribution.set(logits);
        r.sum += distribution.logProbability(r.request.tokens[position]);
      }
    }
    boolean done = r.next == r.request.tokens.length - 1;
    if (done) {
      inference.end(r.sequence);
      to.score(r.number, r.sum);
    }
    return done;
  }

  @Override
  public void close() {
    inference.close();
  }
}
