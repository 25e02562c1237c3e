// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import java.util.List;

/**
 * Watches a text that comes in pieces for strings that end it. What may be the beginning of such a
 * string is held back until it is clear; the string itself never comes out. The text ends where the
 * first of the strings is complete, however it was cut into pieces; of those complete at the same
 * place, the longest is cut off. Takes time linear in the text for each string (Knuth, Morris and
 * Pratt 1977).
 */
final class StopStrings {
  private final String[] stops;
  private final int[][] borders; // of the first i characters: length of the longest border
  private final int[] matched; // characters of each string that the text ends with
  private final StringBuilder held = new StringBuilder();
  private boolean found;

  StopStrings(List<String> strings) {
    stops = strings.toArray(String[]::new);
    borders = new int[stops.length][];
    matched = new int[stops.length];
    for (int s = 0; s < stops.length; s++) {
      borders[s] = borders(stops[s]);
    }
  }

  private static int[] borders(String stop) {
    int[] borders = new int[stop.length() + 1];
    int border = 0;
    for (int i = 1; i < stop.length(); i++) {
      while (border > 0 && stop.charAt(i) != stop.charAt(border)) {
        border = borders[border];
      }
      if (stop.charAt(i) == stop.charAt(border)) {
        border++;
      }
      borders[i + 1] = border;
    }
    return borders;
  }

  /** Takes the next piece, whole characters; returns what has become certain to come out. */
  String accept(String piece) {
    for (int i = 0; i < piece.length() && !found; i++) {
      char c = piece.charAt(i);
      held.append(c);
      int longest = 0;
      for (int s = 0; s < stops.length; s++) {
        matched[s] = advance(s, c);
        if (matched[s] == stops[s].length()) {
          found = true;
          longest = Math.max(longest, matched[s]);
        }
      }
      if (found) {
        held.setLength(held.length() - longest);
        return rest();
      }
    }
    int keep = 0;
    for (int length : matched) {
      keep = Math.max(keep, length);
    }
    String certain = held.substring(0, held.length() - keep);
    held.delete(0, held.length() - keep);
    return certain;
  }

  private int advance(int s, char c) {
    int length = matched[s];
    while (length > 0 && stops[s].charAt(length) != c) {
      length = borders[s][length];
    }
    return stops[s].charAt(length) == c ? length + 1 : 0;
  }

  /** Whether one of the strings was found: the text is over. */
  boolean found() {
    return found;
  }

  /** What is held back, when no more text comes. */
  String rest() {
    String rest = held.toString();
    held.setLength(0);
    return rest;
  }
}
