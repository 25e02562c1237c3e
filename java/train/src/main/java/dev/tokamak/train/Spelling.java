// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.util.Collection;
import java.util.Comparator;
import java.util.Optional;

/** Finds what somebody may have meant. */
public final class Spelling {
  private Spelling() {}

  /** The word that is fewest edits away, if that is less than half of what was written. */
  public static Optional<String> nearest(String written, Collection<String> words) {
    return words.stream()
        .filter(word -> 2 * edits(written, word) < written.length())
        .min(
            Comparator.comparingInt((String word) -> edits(written, word))
                .thenComparing(Comparator.naturalOrder()));
  }

  /** Insertions, deletions and replacements from one word to another (Levenshtein 1966). */
  private static int edits(String from, String to) {
    int[] row = new int[to.length() + 1];
    for (int j = 0; j <= to.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= from.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= to.length(); j++) {
        int replaced = diagonal + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[to.length()];
  }
}
