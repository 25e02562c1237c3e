// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/**
 * Chooses the next token. The steps, in this order:
 *
 * <ol>
 *   <li><b>penalties</b> on tokens among the last {@code repeat-last-n}, as llama.cpp defines them:
 *       a positive logit is divided by {@code repeat-penalty} and any other multiplied by it; then
 *       {@code presence-penalty}, and {@code frequency-penalty} for each occurrence, are taken off;
 *   <li><b>top-k</b>: the k likeliest stay;
 *   <li><b>typical</b> (Meister et al. 2022): with H the entropy of what is left, the tokens with
 *       the smallest |−ln p − H| stay, up to the first that brings their sum above {@code typical};
 *   <li><b>top-p</b> (Holtzman et al. 2019): the likeliest stay, up to the first that brings their
 *       sum to {@code top-p};
 *   <li><b>min-p</b> (Nguyen et al. 2024): those with p ≥ {@code min-p} · max p stay;
 *   <li><b>temperature</b>: logits are divided by it;
 *   <li><b>draw</b>: the tokens left, in the order of their ids, share the interval from 0 to 1 by
 *       their probabilities; the one on which the random number falls is chosen.
 * </ol>
 *
 * <p>Each step takes as probabilities the softmax of what the step before left. Ties go to the
 * lower id. At temperature 0 the largest logit after penalties wins, whatever the cuts say.
 *
 * <p>The random number depends on the seed and on the token's index in its sequence alone, so the
 * result is a function of the arguments of {@link #sample} alone, the same on every machine: {@link
 * StrictMath} is specified to the bit. A sampler holds only scratch memory; it may serve any number
 * of sequences in turn, by one thread at a time, and allocates nothing.
 */
public final class Sampler {
  private final int[] ids;
  private final double[] logits;
  private final double[] weights;
  private final double[] keys;
  private final int[] occurrences;
  private final Ranking ranking;
  private int count; // candidates left: entries of ids (ascending), logits, weights

  /**
   * @param vocabulary tokens to choose from
   */
  public Sampler(int vocabulary) {
    ids = new int[vocabulary];
    logits = new double[vocabulary];
    weights = new double[vocabulary];
    keys = new double[vocabulary];
    occurrences = new int[vocabulary];
    ranking = new Ranking(vocabulary);
  }

  /**
   * The token that follows.
   *
   * @param given logits [vocabulary], finite; they stay as they are
   * @param history tokens of the sequence so far, the prompt's included
   * @param length how many they are: the index of the token to choose
   */
  public int sample(SamplerOptions options, float[] given, int[] history, int length) {
    int recent = options.recent(length);
    if (options.temp() == 0 && recent == 0) {
      return largest(given);
    }
    count = ids.length;
    for (int i = 0; i < count; i++) {
      ids[i] = i;
      logits[i] = given[i];
    }
    if (recent > 0) {
      penalize(options, history, length - recent, length);
    }
    if (options.temp() == 0) {
      return largestLogit();
    }
    keepTop(options.topK());
    keepTypical(options.typical());
    keepMass(options.topP());
    keepLikely(options.minP());
    return draw(options.temp(), uniform(options.seed(), length));
  }

  private int largest(float[] given) {
    int best = 0;
    for (int i = 1; i < ids.length; i++) {
      if (given[i] > given[best]) {
        best = i;
      }
    }
    return best;
  }

  private int largestLogit() {
    int best = 0;
    for (int i = 1; i < count; i++) {
      if (logits[i] > logits[best]) {
        best = i;
      }
    }
    return ids[best];
  }

  /** Still with all tokens: a token's index is its id. */
  private void penalize(SamplerOptions options, int[] history, int from, int length) {
    for (int i = from; i < length; i++) {
      occurrences[history[i]]++;
    }
    for (int i = from; i < length; i++) {
      int token = history[i];
      int times = occurrences[token];
      occurrences[token] = 0; // so that each token is penalised once, and the next call finds zeros
      if (times > 0) {
        double logit = logits[token];
        logit = logit > 0 ? logit / options.repeatPenalty() : logit * options.repeatPenalty();
        logits[token] = logit - times * options.frequencyPenalty() - options.presencePenalty();
      }
    }
  }

  private void keepTop(int k) {
    if (k == 0 || k >= count) {
      return;
    }
    ranking.first(logits, count, k);
    keepTo(logits, ranking.next());
  }

  private void keepTypical(double mass) {
    if (mass >= 1) {
      return;
    }
    double max = largestOfLogits();
    double total = softmax(max, 1);
    double logTotal = StrictMath.log(total);
    double entropy = 0;
    for (int i = 0; i < count; i++) {
      entropy -= weights[i] / total * (logits[i] - max - logTotal);
    }
    for (int i = 0; i < count; i++) {
      keys[i] = -Math.abs(logTotal + max - logits[i] - entropy);
    }
    ranking.all(keys, count);
    double sum = 0;
    int last = 0;
    for (int i = 0; i < count && sum <= mass * total; i++) {
      last = ranking.next();
      sum += weights[last];
    }
    keepTo(keys, last);
  }

  private void keepMass(double mass) {
    if (mass >= 1) {
      return;
    }
    double total = softmax(largestOfLogits(), 1);
    ranking.all(logits, count);
    int last = ranking.next();
    double sum = weights[last];
    for (int i = 1; i < count && sum < mass * total; i++) {
      last = ranking.next();
      sum += weights[last];
    }
    keepTo(logits, last);
  }

  private void keepLikely(double fraction) {
    if (fraction <= 0) {
      return;
    }
    double least = largestOfLogits() + StrictMath.log(fraction);
    int kept = 0;
    for (int i = 0; i < count; i++) {
      if (logits[i] >= least) {
        move(i, kept++);
      }
    }
    count = kept;
  }

  /** Keeps the entries whose rank by {@code by} is not behind that of entry {@code last}. */
  private void keepTo(double[] by, int last) {
    double least = by[last];
    int kept = 0;
    for (int i = 0; i < count; i++) {
      if (by[i] > least || by[i] == least && i <= last) {
        move(i, kept++);
      }
    }
    count = kept;
  }

  private void move(int from, int to) {
    ids[to] = ids[from];
    logits[to] = logits[from];
  }

  private int draw(double temperature, double random) {
    double left = random * softmax(largestOfLogits(), temperature);
    int chosen = 0;
    for (int i = 0; i < count; i++) {
      if (weights[i] == 0) {
        continue;
      }
      chosen = i;
      left -= weights[i];
      if (left < 0) {
        break;
      }
    }
    return ids[chosen];
  }

  private double largestOfLogits() {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logits[i]);
    }
    return max;
  }

  /** Fills the weights, exp((logit − max) / temperature), and returns their sum. */
  private double softmax(double max, double temperature) {
    double total = 0;
    for (int i = 0; i < count; i++) {
      weights[i] = StrictMath.exp((logits[i] - max) / temperature);
      total += weights[i];
    }
    return total;
  }

  /**
   * A number from 0 to 1, 1 excluded: value {@code index} of the generator SplitMix64 (Steele, Lea
   * and Flood 2014) that starts at the mixed seed, its upper 53 bits.
   */
  static double uniform(long seed, long index) {
    return (mix(mix(seed) + (index + 1) * 0x9e3779b97f4a7c15L) >>> 11) * 0x1p-53;
  }

  private static long mix(long value) {
    long z = (value ^ value >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }

  /** Tokens left by the cuts of the last call with a temperature, for tests. */
  int kept() {
    return count;
  }

  int keptId(int index) {
    return ids[index];
  }

  double keptWeight(int index) {
    return weights[index];
  }
}
