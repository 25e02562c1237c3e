// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * The pieces that training a {@link Unigram} begins with: substrings of words, of 2 to 16
 * characters, that stand at least twice and are followed by different characters (what is always
 * followed by the same one is better with it). A suffix array of the words, by its sorted order,
 * gives all that begin alike side by side.
 */
final class SeedPieces {
  private static final int LONGEST = 16;
  private static final int END = -1; // of a word

  /** A piece and how often it stands in the words. */
  record Seed(String piece, long count) {
    private long score() {
      return count * piece.codePointCount(0, piece.length());
    }
  }

  private final int[] text; // code points of all words, END behind each
  private final long[] counts; // of the word at each place of the text
  private final Integer[] suffixes;

  private SeedPieces(Map<String, Long> words) {
    int length = 0;
    for (String word : words.keySet()) {
      length = Math.addExact(length, word.codePointCount(0, word.length()) + 1);
    }
    text = new int[length];
    counts = new long[length];
    int at = 0;
    int starts = 0;
    for (var word : words.entrySet()) {
      int[] characters = word.getKey().codePoints().toArray();
      System.arraycopy(characters, 0, text, at, characters.length);
      Arrays.fill(counts, at, at + characters.length, word.getValue());
      at += characters.length;
      text[at++] = END;
      starts += characters.length;
    }
    suffixes = new Integer[starts];
    int next = 0;
    for (int i = 0; i < length; i++) {
      if (text[i] != END) {
        suffixes[next++] = i;
      }
    }
    Arrays.sort(suffixes, this::compare);
  }

  /**
   * The best pieces, at most {@code most}, by how many characters of the words they cover.
   *
   * @param words how often each word stands
   */
  static List<Seed> of(Map<String, Long> words, int most) {
    var seeds = new ArrayList<Seed>();
    var all = new SeedPieces(words);
    for (int length = 2; length <= LONGEST; length++) {
      all.collect(length, seeds);
    }
    seeds.sort(Comparator.comparingLong(Seed::score).reversed().thenComparing(Seed::piece));
    return seeds.size() > most ? seeds.subList(0, most) : seeds;
  }

  private int compare(int a, int b) {
    for (int i = 0; i < LONGEST + 1; i++) {
      if (text[a + i] != text[b + i]) {
        return Integer.compare(text[a + i], text[b + i]);
      }
      if (text[a + i] == END) {
        return 0;
      }
    }
    return 0;
  }

  /** Adds what the suffixes begin with, at one length. */
  private void collect(int length, List<Seed> seeds) {
    int from = 0;
    while (from < suffixes.length) {
      int start = suffixes[from];
      int to = from + 1;
      if (isWithin(start, length)) {
        long count = counts[start];
        boolean branches = false;
        while (to < suffixes.length && isAlike(start, suffixes[to], length)) {
          count += counts[suffixes[to]];
          branches |= text[suffixes[to] + length] != text[start + length];
          to++;
        }
        boolean ends = text[start + length] == END;
        if (count > 1 && (branches || ends || length == LONGEST)) {
          seeds.add(new Seed(new String(text, start, length), count));
        }
      }
      from = to;
    }
  }

  private boolean isWithin(int start, int length) {
    for (int i = 0; i < length; i++) {
      if (text[start + i] == END) {
        return false;
      }
    }
    return true;
  }

  private boolean isAlike(int a, int b, int length) {
    for (int i = 0; i < length; i++) {
      if (text[a + i] != text[b + i]) {
        return false;
      }
    }
    return true;
  }
}
