// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.TokenSampler;
import dev.tokamak.generate.Sampler;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.Inference;
import java.util.SplittableRandom;

/**
 * The steps that {@link Bench} times: forward passes over random tokens, and the choice of the
 * likeliest token, by the backend where it does that.
 */
final class TimedSteps {
  private static final SamplerOptions GREEDY = SamplerOptions.greedy();

  private final Inference inference;
  private final int vocabulary;
  private final int[] sequences;
  private final int depth;
  private final SplittableRandom random;
  private final Sampler sampler;
  private final float[] logits;
  private final int[] none = {};

  /**
   * Fills the sequences.
   *
   * @param batch sequences that decode together
   * @param depth tokens that each holds when anything is timed
   */
  TimedSteps(Inference inference, int vocabulary, int batch, int depth, long seed) {
    this.inference = inference;
    this.vocabulary = vocabulary;
    this.depth = depth;
    random = new SplittableRandom(seed);
    sampler = new Sampler(vocabulary);
    logits = new float[vocabulary];
    inference.prepareSampling();
    sequences = new int[batch];
    for (int i = 0; i < batch; i++) {
      sequences[i] = inference.begin();
      read(sequences[i], depth, false);
    }
  }

  /** Seconds from a prompt to its first token. */
  double prefill(int tokens) {
    long start = System.nanoTime();
    read(sequences[0], tokens, true);
    double seconds = (System.nanoTime() - start) / 1e9;
    inference.truncate(sequences[0], depth);
    return seconds;
  }

  private void read(int sequence, int tokens, boolean answer) {
    for (int i = 0; i < tokens; ) {
      while (i < tokens && inference.room() > 0) {
        inference.add(sequence, random.nextInt(vocabulary));
        i++;
      }
      int row = answer && i == tokens ? want() : -1;
      inference.step();
      if (row >= 0) {
        choose(row);
      }
    }
  }

  /** Seconds of so many steps, a token of each sequence in each. */
  double decode(int steps) {
    int[] rows = new int[sequences.length];
    long start = System.nanoTime();
    for (int step = 0; step < steps; step++) {
      for (int i = 0; i < rows.length; i++) {
        inference.add(sequences[i], random.nextInt(vocabulary));
        rows[i] = want();
      }
      inference.step();
      for (int row : rows) {
        choose(row);
      }
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    for (int sequence : sequences) {
      inference.truncate(sequence, depth);
    }
    return seconds;
  }

  private int want() {
    return inference.samples(GREEDY, 0)
        ? inference.wantToken(GREEDY, none, 0, TokenSampler.Besides.NOTHING)
        : inference.wantLogits();
  }

  private int choose(int row) {
    if (inference.samples(GREEDY, 0)) {
      return inference.token(row);
    }
    inference.logits(row, logits);
    return sampler.sample(GREEDY, logits, none, 0);
  }
}
