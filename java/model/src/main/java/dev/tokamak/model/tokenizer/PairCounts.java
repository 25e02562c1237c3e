// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;

/**
 * Words as symbols, and how often each pair of neighbours stands in them, kept up to date while
 * pairs are merged: a merge costs as much as the words that hold the pair.
 */
final class PairCounts {
  /** Two symbols that stand side by side somewhere. */
  static final class Pair {
    private final long key; // left << 32 | right
    private long count;
    private long queued; // the count of the candidate that speaks for it, or 0
    private int[] words = new int[4]; // where it stands, or did
    private int wordCount;

    private Pair(long key) {
      this.key = key;
    }

    int left() {
      return (int) (key >>> 32);
    }

    int right() {
      return (int) key;
    }

    long count() {
      return count;
    }

    private void standsIn(int word) {
      if (wordCount > 0 && words[wordCount - 1] == word) {
        return;
      }
      if (wordCount == words.length) {
        words = Arrays.copyOf(words, 2 * wordCount);
      }
      words[wordCount++] = word;
    }
  }

  /** A pair with the count it had when it was queued: stale where the count has changed since. */
  private record Candidate(long count, Pair pair) {}

  private final List<int[]> words = new ArrayList<>();
  private final List<Long> counts = new ArrayList<>();
  private final Map<Long, Pair> pairs = new HashMap<>();
  private final PriorityQueue<Candidate> queue =
      new PriorityQueue<>(
          Comparator.comparingLong(Candidate::count)
              .reversed()
              .thenComparingLong(candidate -> candidate.pair.key));

  /** Adds a word that stands {@code count} times; only before the first call of {@link #most}. */
  void add(int[] symbols, long count) {
    int word = words.size();
    words.add(symbols);
    counts.add(count);
    for (int i = 0; i + 1 < symbols.length; i++) {
      Pair pair = pair(symbols[i], symbols[i + 1]);
      pair.count += count;
      pair.standsIn(word);
    }
  }

  /** The pair that stands most often, of equals the one of the lowest symbols; or null. */
  Pair most() {
    if (queue.isEmpty()) {
      pairs.values().forEach(this::queue);
    }
    for (Candidate top = queue.poll(); top != null; top = queue.poll()) {
      Pair pair = top.pair;
      if (top.count != pair.queued) {
        continue; // another candidate speaks for the pair
      }
      pair.queued = 0;
      if (top.count == pair.count) {
        return pair;
      }
      queue(pair);
    }
    return null;
  }

  /** Makes each occurrence of a pair one symbol, from the left. */
  void merge(Pair merged, int symbol) {
    var grown = new ArrayList<Pair>();
    for (int i = 0; i < merged.wordCount; i++) {
      merge(merged, symbol, merged.words[i], grown);
    }
    merged.words = new int[4];
    merged.wordCount = 0;
    grown.forEach(this::queue);
  }

  private void merge(Pair merged, int symbol, int word, List<Pair> grown) {
    int[] before = words.get(word);
    int[] after = replaced(before, merged.left(), merged.right(), symbol);
    if (after.length == before.length) {
      return;
    }
    words.set(word, after);
    long count = counts.get(word);
    for (int i = 0; i + 1 < before.length; i++) {
      pair(before[i], before[i + 1]).count -= count;
    }
    for (int i = 0; i + 1 < after.length; i++) {
      Pair pair = pair(after[i], after[i + 1]);
      pair.count += count;
      if (after[i] == symbol || after[i + 1] == symbol) {
        pair.standsIn(word);
        grown.add(pair);
      }
    }
  }

  private static int[] replaced(int[] symbols, int left, int right, int symbol) {
    int[] out = new int[symbols.length];
    int size = 0;
    for (int i = 0; i < symbols.length; i++) {
      boolean found = symbols[i] == left && i + 1 < symbols.length && symbols[i + 1] == right;
      out[size++] = found ? symbol : symbols[i];
      i += found ? 1 : 0;
    }
    return size == symbols.length ? symbols : Arrays.copyOf(out, size);
  }

  private Pair pair(int left, int right) {
    return pairs.computeIfAbsent((long) left << 32 | right, Pair::new);
  }

  private void queue(Pair pair) {
    if (pair.count > 0 && pair.count != pair.queued) {
      pair.queued = pair.count;
      queue.add(new Candidate(pair.count, pair));
    }
  }
}
