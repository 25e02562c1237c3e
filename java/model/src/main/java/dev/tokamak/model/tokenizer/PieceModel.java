// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * Pieces with their probabilities, as they are trained (Kudo 2018): estimated by
 * expectation-maximisation over all ways to write each word, then those that matter least are
 * dropped. Single characters are always kept, so that every word can be written.
 */
final class PieceModel {
  /** No piece is less probable: 32 of them in a row are still a number. */
  static final double LEAST = 1e-9;

  private static final double LEAST_EXPECTED = 0.5;

  private List<String> pieces;
  private List<byte[]> bytes;
  private double[] probabilities;
  private int characters; // pieces of one character, which come first
  private Trie trie;

  private final List<byte[]> words = new ArrayList<>();
  private final List<Long> counts = new ArrayList<>();

  /**
   * @param words how often each word stands; of at most 32 characters, all of them pieces
   * @param characters single characters and how often they stand
   */
  PieceModel(Map<String, Long> words, Map<String, Long> characters, List<SeedPieces.Seed> seeds) {
    words.forEach(
        (word, count) -> {
          this.words.add(word.getBytes(StandardCharsets.UTF_8));
          counts.add(count);
        });
    var all = new ArrayList<String>(characters.keySet());
    var weights = new ArrayList<Double>();
    characters.values().forEach(count -> weights.add((double) count));
    for (SeedPieces.Seed seed : seeds) {
      all.add(seed.piece());
      weights.add((double) seed.count() * seed.piece().codePointCount(0, seed.piece().length()));
    }
    this.characters = characters.size();
    double sum = weights.stream().mapToDouble(weight -> weight).sum();
    set(all, weights.stream().mapToDouble(weight -> weight / sum).toArray());
  }

  private void set(List<String> pieces, double[] probabilities) {
    this.pieces = pieces;
    this.probabilities = probabilities;
    this.bytes = new ArrayList<>(pieces.size());
    this.trie = new Trie();
    for (int i = 0; i < probabilities.length; i++) {
      probabilities[i] = Math.max(probabilities[i], LEAST);
      byte[] utf8 = pieces.get(i).getBytes(StandardCharsets.UTF_8);
      bytes.add(utf8);
      trie.put(utf8, 0, utf8.length, i);
    }
  }

  int size() {
    return pieces.size();
  }

  String piece(int i) {
    return pieces.get(i);
  }

  double probability(int piece) {
    return probabilities[piece];
  }

  Trie trie() {
    return trie;
  }

  /**
   * One step of expectation-maximisation. A piece that is expected less than half a time goes; the
   * others get the probability that a sparse prior gives (the digamma function of their count).
   */
  void estimate() {
    double[] expected = new double[size()];
    var lattice = new PieceLattice(this);
    for (int i = 0; i < words.size(); i++) {
      lattice.expect(words.get(i), counts.get(i), expected);
    }
    var kept = new ArrayList<String>();
    double[] numbers = new double[size()];
    double sum = 0;
    for (int i = 0; i < size(); i++) {
      if (i < characters || expected[i] >= LEAST_EXPECTED) {
        numbers[kept.size()] = Math.max(expected[i], LEAST_EXPECTED);
        sum += numbers[kept.size()];
        kept.add(pieces.get(i));
      }
    }
    double[] next = new double[kept.size()];
    for (int i = 0; i < next.length; i++) {
      next[i] = Math.exp(digamma(numbers[i]) - digamma(sum));
    }
    set(kept, next);
  }

  /**
   * Drops the pieces without which the words lose least: those that better pieces write anyway
   * first, then by how much less probable the best other way to write them is, times how often they
   * stand.
   *
   * @param most number of pieces to keep, single characters included
   */
  void prune(int most) {
    long[] uses = new long[size()];
    var lattice = new PieceLattice(this);
    long all = 0;
    for (int i = 0; i < words.size(); i++) {
      for (int piece : lattice.best(words.get(i), Trie.NONE)) {
        uses[piece] += counts.get(i);
        all += counts.get(i);
      }
    }
    double[] losses = new double[size()];
    var order = new ArrayList<Integer>();
    for (int i = characters; i < size(); i++) {
      losses[i] = uses[i] == 0 ? 0 : loss(lattice, i, uses, all);
      order.add(i);
    }
    order.sort(Comparator.<Integer>comparingDouble(i -> -losses[i]).thenComparingInt(i -> i));
    keep(order.subList(0, Math.min(order.size(), most - characters)));
  }

  private double loss(PieceLattice lattice, int piece, long[] uses, long all) {
    byte[] word = bytes.get(piece);
    int[] other = lattice.best(word, piece);
    if (lattice.bestProbability(word) > probabilities[piece]) {
      return 0;
    }
    double logAll = Math.log(all);
    double logAllOther = Math.log(all + (double) uses[piece] * (other.length - 1));
    double logOther = 0;
    for (int part : other) {
      logOther += Math.log(uses[part] + (double) uses[piece]) - logAllOther;
    }
    return (double) uses[piece] / all * (Math.log(uses[piece]) - logAll - logOther);
  }

  /** Keeps the most probable pieces. */
  void keepMostProbable(int most) {
    var order = new ArrayList<Integer>();
    for (int i = characters; i < size(); i++) {
      order.add(i);
    }
    order.sort(
        Comparator.<Integer>comparingDouble(i -> -probabilities[i]).thenComparingInt(i -> i));
    keep(order.subList(0, Math.min(order.size(), most - characters)));
  }

  private void keep(List<Integer> some) {
    var sorted = new ArrayList<>(some);
    sorted.sort(null);
    var kept = new ArrayList<String>(pieces.subList(0, characters));
    double[] next = new double[characters + sorted.size()];
    System.arraycopy(probabilities, 0, next, 0, characters);
    for (int i : sorted) {
      next[kept.size()] = probabilities[i];
      kept.add(pieces.get(i));
    }
    set(kept, next);
  }

  /** The derivative of the logarithm of the gamma function, for positive numbers. */
  private static double digamma(double x) {
    double sum = 0;
    double at = x;
    for (; at < 8; at++) {
      sum -= 1 / at;
    }
    double square = 1 / (at * at);
    return sum
        + Math.log(at)
        - 0.5 / at
        - square * (1.0 / 12 - square * (1.0 / 120 - square * (1.0 / 252)));
  }
}
