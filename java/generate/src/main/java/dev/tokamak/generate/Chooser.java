// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.backend.TokenSampler.Besides;
import dev.tokamak.generate.Event.Logprobs;
import dev.tokamak.model.Inference;
import java.util.List;
import java.util.Optional;

/**
 * Chooses the next tokens of generations: asks a step for no more than each needs, and makes a
 * token of what comes. Where the backend chooses tokens itself, logits come only for a receipt, or
 * where more is asked than the backend does; else they come always and a {@link Sampler} chooses.
 */
final class Chooser {
  private final Inference inference;
  private final Sampler sampler;
  private final Distribution distribution;
  private final float[] logits;

  Chooser(Inference inference, int vocabulary) {
    this.inference = inference;
    sampler = new Sampler(vocabulary);
    distribution = new Distribution(vocabulary);
    logits = new float[vocabulary];
    inference.prepareSampling();
  }

  /** Asks for what a generation needs of the row that was added last; returns its output. */
  int want(Generation generation) {
    Sequence sequence = generation.sequence();
    return onDevice(generation)
        ? inference.wantToken(
            generation.options().sampler(),
            sequence.tokens(),
            sequence.length(),
            besides(generation.options()))
        : inference.wantLogits();
  }

  private boolean onDevice(Generation generation) {
    return inference.samples(generation.options().sampler(), generation.sequence().length());
  }

  private Besides besides(GenerateOptions options) {
    if (options.receipt() || options.logprobs().orElse(0) > inference.tops()) {
      return Besides.LOGITS;
    }
    return options.logprobs().isPresent() ? Besides.LOG_PROBABILITIES : Besides.NOTHING;
  }

  /** Gives a generation the token that the step made. */
  void choose(Generation generation) {
    int row = generation.row;
    GenerateOptions options = generation.options();
    Sequence sequence = generation.sequence();
    boolean onDevice = onDevice(generation);
    boolean withLogits = !onDevice || besides(options) == Besides.LOGITS;
    if (withLogits) {
      inference.logits(row, logits);
      generation.sampledFrom(logits);
    }
    int token =
        onDevice
            ? inference.token(row)
            : sampler.sample(options.sampler(), logits, sequence.tokens(), sequence.length());
    if (options.logprobs().isEmpty()) {
      generation.accept(token, Optional.empty());
    } else {
      int top = options.logprobs().getAsInt();
      Logprobs logprobs = withLogits ? ofLogits(token, top) : ofRow(row, token, top);
      generation.accept(token, Optional.of(logprobs));
    }
  }

  private Logprobs ofLogits(int token, int top) {
    distribution.set(logits);
    return new Logprobs(distribution.choice(token), distribution.top(top));
  }

  private Logprobs ofRow(int row, int token, int top) {
    Choice[] likeliest = new Choice[top];
    for (int rank = 0; rank < top; rank++) {
      likeliest[rank] =
          new Choice(inference.topToken(row, rank), inference.topLogProbability(row, rank));
    }
    return new Logprobs(new Choice(token, inference.logProbability(row)), List.of(likeliest));
  }
}
