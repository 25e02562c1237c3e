// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.backend.train.TrainingBatch;
import java.util.BitSet;

/**
 * One sequence to learn from. It takes a row for each token but the last, which is a target only.
 * Its arrays are the caller's and never change.
 *
 * @param id tells examples of one source apart; those of one pair or group differ too
 * @param tokens at least two
 * @param targets positions in {@code tokens} of those that are to be predicted: 1 or later
 * @param weight how much each target counts: 1 for plain examples; an answer's advantage in GRPO
 */
public record Example(long id, int[] tokens, BitSet targets, double weight) {
  public Example {
    if (tokens.length < 2 || targets.get(0) || targets.length() > tokens.length) {
      throw new IllegalArgumentException(
          "example " + id + ": tokens=" + tokens.length + ", targets=" + targets);
    }
  }

  /** Every token after the first is a target. */
  public static Example of(long id, int[] tokens) {
    BitSet targets = new BitSet(tokens.length);
    targets.set(1, tokens.length);
    return new Example(id, tokens, targets, 1);
  }

  /** Every token from {@code from} on is a target: an answer behind its prompt. */
  public static Example answer(long id, int[] tokens, int from, double weight) {
    BitSet targets = new BitSet(tokens.length);
    targets.set(from, tokens.length);
    return new Example(id, tokens, targets, weight);
  }

  /** Rows that it takes in a step. */
  public int rows() {
    return tokens.length - 1;
  }

  /** Number of targets. */
  public int outputs() {
    return targets.cardinality();
  }

  /** Adds it as a sequence of its own. */
  void addTo(TrainingBatch batch) {
    batch.beginSequence();
    for (int i = 0; i + 1 < tokens.length; i++) {
      batch.add(tokens[i]);
      if (targets.get(i + 1)) {
        batch.target(tokens[i + 1]);
      }
    }
  }
}
