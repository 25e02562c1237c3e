// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.function.IntPredicate;

/** Text as Python sees it: a row of code points, and Python's own idea of white space. */
final class Text {
  private Text() {}

  static boolean isSpace(int c) {
    return c >= 0x09 && c <= 0x0d
        || c >= 0x1c && c <= 0x20
        || c == 0x85
        || c == 0xa0
        || c == 0x1680
        || c >= 0x2000 && c <= 0x200a
        || c == 0x2028
        || c == 0x2029
        || c == 0x202f
        || c == 0x205f
        || c == 0x3000;
  }

  static boolean isBlank(String text) {
    return text.chars().allMatch(Text::isSpace);
  }

  static String strip(String text) {
    return lstrip(rstrip(text));
  }

  static String lstrip(String text) {
    return lstrip(text, Text::isSpace);
  }

  static String rstrip(String text) {
    return rstrip(text, Text::isSpace);
  }

  static String lstrip(String text, IntPredicate goes) {
    int from = 0;
    while (from < text.length() && goes.test(text.codePointAt(from))) {
      from += Character.charCount(text.codePointAt(from));
    }
    return text.substring(from);
  }

  static String rstrip(String text, IntPredicate goes) {
    int to = text.length();
    while (to > 0 && goes.test(text.codePointBefore(to))) {
      to -= Character.charCount(text.codePointBefore(to));
    }
    return text.substring(0, to);
  }

  /** Whether each char is a code point of its own, so that indices need no counting. */
  static boolean isSimple(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  /** Number of code points. */
  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** Between code points. */
  static String substring(String text, int from, int to) {
    if (isSimple(text)) {
      return text.substring(from, to);
    }
    int start = text.offsetByCodePoints(0, from);
    return text.substring(start, text.offsetByCodePoints(start, to - from));
  }

  /** The code point at an index of code points, as a text. */
  static String at(String text, int index) {
    return substring(text, index, index + 1);
  }

  /** First letter large, others small. */
  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    return titled(text.codePointAt(0)) + lower(text.substring(first));
  }

  static String lower(String text) {
    return text.toLowerCase(java.util.Locale.ROOT);
  }

  static String upper(String text) {
    return text.toUpperCase(java.util.Locale.ROOT);
  }

  /** Python's {@code title}: every letter behind something that is no letter is large. */
  static String title(String text) {
    var out = new StringBuilder(text.length());
    boolean inside = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      String one = Character.toString(c);
      out.append(inside ? lower(one) : titled(c));
      inside = isCased(c);
      i += one.length();
    }
    return out.toString();
  }

  static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  private static String titled(int c) {
    int title = Character.toTitleCase(c);
    if (title != c || Character.isTitleCase(c)) {
      return Character.toString(title);
    }
    String upper = upper(Character.toString(c));
    // ß becomes Ss, not SS
    int first = Character.charCount(upper.codePointAt(0));
    return upper.substring(0, first) + lower(upper.substring(first));
  }

  /** A text in quotes, as Python's {@code repr} writes it. */
  static String quoted(String text) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    var out = new StringBuilder(text.length() + 2).append(quote);
    text.codePoints()
        .forEach(
            c -> {
              if (c == quote || c == '\\') {
                out.append('\\').append((char) c);
              } else if (c == '\n') {
                out.append("\\n");
              } else if (c == '\r') {
                out.append("\\r");
              } else if (c == '\t') {
                out.append("\\t");
              } else if (isPrintable(c)) {
                out.appendCodePoint(c);
              } else {
                out.append(
                    String.format(c <= 0xff ? "\\x%02x" : c <= 0xffff ? "\\u%04x" : "\\U%08x", c));
              }
            });
    return out.append(quote).toString();
  }

  static boolean isPrintable(int c) {
    return c == ' '
        || switch (Character.getType(c)) {
          case Character.CONTROL,
              Character.FORMAT,
              Character.SURROGATE,
              Character.PRIVATE_USE,
              Character.UNASSIGNED,
              Character.LINE_SEPARATOR,
              Character.PARAGRAPH_SEPARATOR,
              Character.SPACE_SEPARATOR ->
              false;
          default -> true;
        };
  }
}
