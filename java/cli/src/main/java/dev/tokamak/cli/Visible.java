// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

/** Text of strangers made safe and readable in a terminal: what cannot be seen is escaped. */
public final class Visible {
  private Visible() {}

  /** One line: line breaks and runs of blanks around them become one space, the rest is escaped. */
  public static String line(String text) {
    return escape(text.strip().replaceAll("\\s*[\\r\\n]+\\s*", " "), false);
  }

  /** Every control character and line break escaped, in quotes: {@code "a\n\u001b"}. */
  public static String quoted(String text) {
    return '"' + escape(text, true) + '"';
  }

  /** Text as it is, but for control characters other than line feed and tab. */
  public static String plain(String text) {
    var out = new StringBuilder(text.length());
    text.codePoints()
        .forEach(
            c -> {
              if (c == '\n' || c == '\t') {
                out.append((char) c);
              } else {
                append(out, c);
              }
            });
    return out.toString();
  }

  private static String escape(String text, boolean quotes) {
    var out = new StringBuilder(text.length() + 8);
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '\n' -> out.append("\\n");
                case '\t' -> out.append("\\t");
                case '\r' -> out.append("\\r");
                case '"', '\\' -> out.append(quotes ? "\\" : "").append((char) c);
                default -> append(out, c);
              }
            });
    return out.toString();
  }

  private static void append(StringBuilder out, int c) {
    switch (Character.getType(c)) {
      // FORMAT holds the marks that turn the direction of what follows.
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          out.append(String.format(c > 0xffff ? "\\u{%x}" : "\\u%04x", c));
      default -> out.appendCodePoint(c);
    }
  }
}
