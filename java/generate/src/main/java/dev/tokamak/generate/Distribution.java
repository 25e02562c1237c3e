// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import java.util.List;

/**
 * The softmax of one row of logits, in double precision. Used again and again, it allocates nothing
 * but lists that are asked for.
 */
final class Distribution {
  private final double[] logits;
  private final Ranking ranking;
  private double max;
  private double logTotal;
  private double entropy;

  Distribution(int vocabulary) {
    logits = new double[vocabulary];
    ranking = new Ranking(vocabulary);
  }

  /** Takes another row of logits [vocabulary]. */
  void set(float[] row) {
    max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < logits.length; i++) {
      logits[i] = row[i];
      max = Math.max(max, logits[i]);
    }
    double total = 0;
    double mean = 0;
    for (double logit : logits) {
      double weight = StrictMath.exp(logit - max);
      total += weight;
      mean += weight * (logit - max);
    }
    logTotal = StrictMath.log(total);
    entropy = logTotal - mean / total;
  }

  double logProbability(int id) {
    return logits[id] - max - logTotal;
  }

  double entropyBits() {
    return entropy / StrictMath.log(2);
  }

  Choice choice(int id) {
    return new Choice(id, logProbability(id));
  }

  /** The k likeliest tokens, or all, the likeliest first. */
  List<Choice> top(int k) {
    Choice[] top = new Choice[Math.min(k, logits.length)];
    if (top.length > 0) {
      ranking.first(logits, logits.length, top.length);
      for (int i = top.length - 1; i >= 0; i--) {
        top[i] = choice(ranking.next());
      }
    }
    return List.of(top);
  }
}
