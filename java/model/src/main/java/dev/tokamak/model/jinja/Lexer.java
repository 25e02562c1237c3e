// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import dev.tokamak.model.jinja.Token.Kind;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Splits a template into tokens, with white space around tags treated as chat templates expect it:
 * the first line feed behind a block or comment goes ({@code trim_blocks}), so do blanks in front
 * of one that begins its line ({@code lstrip_blocks}), and so does one line feed at the end of the
 * template. {@code -} strips all white space on its side, {@code +} keeps it.
 */
final class Lexer {
  private static final Pattern RAW = Pattern.compile("\\s*raw\\s*(?:-%\\}\\s*|%\\})");
  private static final Pattern END_RAW =
      Pattern.compile("\\{%([-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\}\\n?)");
  private static final Pattern NUMBER =
      Pattern.compile(
          "(?<float>(?<!\\.)(?:[0-9]+_)*[0-9]+(?:(?:\\.(?:[0-9]+_)*[0-9]+)?[eE][+-]?"
              + "(?:[0-9]+_)*[0-9]+|\\.(?:[0-9]+_)*[0-9]+))"
              + "|0[bB](?<binary>(?:_?[01])+)|0[oO](?<octal>(?:_?[0-7])+)"
              + "|0[xX](?<hex>(?:_?[0-9a-fA-F])+)|(?<decimal>[1-9](?:_?[0-9])*|0(?:_?0)*)");
  private static final List<String> OPERATORS =
      List.of(
          "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")",
          "{", "}", ">", "<", "=", ".", ":", "|", ",", ";");

  private final String source;
  private final int[] lineStarts;
  private final List<Token> tokens = new ArrayList<>();
  private int at;

  /** A place in the source where it cannot go on. */
  static final class Unreadable extends RuntimeException {
    private static final long serialVersionUID = 1L;
    private final int line;

    Unreadable(String message, int line) {
      super(message, null, false, false);
      this.line = line;
    }

    int line() {
      return line;
    }
  }

  private Lexer(String text) {
    String lines = text.replace("\r\n", "\n").replace('\r', '\n');
    source = lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines;
    int[] starts = new int[16];
    int count = 1;
    for (int i = source.indexOf('\n'); i >= 0; i = source.indexOf('\n', i + 1)) {
      if (count == starts.length) {
        starts = Arrays.copyOf(starts, 2 * count);
      }
      starts[count++] = i + 1;
    }
    lineStarts = Arrays.copyOf(starts, count);
  }

  /** The tokens of a template, the last of which is {@link Kind#END}. */
  static List<Token> tokens(String source) {
    var lexer = new Lexer(source);
    while (lexer.at < lexer.source.length()) {
      lexer.textAndTag();
    }
    lexer.add(Kind.END, "", lexer.source.length());
    return lexer.tokens;
  }

  private void textAndTag() {
    int start = at;
    int tag = tag(start);
    if (tag < 0) {
      addData(source.substring(start), start);
      at = source.length();
      return;
    }
    char kind = source.charAt(tag + 1);
    char sign = sign(tag + 2);
    int behind = sign == 0 ? tag + 2 : tag + 3;
    addData(text(start, tag, sign, kind == '{'), start);
    at = behind;
    switch (kind) {
      case '#' -> comment(tag);
      case '{' -> {
        add(Kind.VARIABLE_BEGIN, "{{", tag);
        inside("}}", Kind.VARIABLE_END, tag);
      }
      default -> {
        Matcher raw = RAW.matcher(source).region(behind, source.length());
        if (raw.lookingAt()) {
          at = raw.end();
          raw(tag);
        } else {
          add(Kind.BLOCK_BEGIN, "{%", tag);
          inside("%}", Kind.BLOCK_END, tag);
        }
      }
    }
  }

  /** Where the next tag begins, or -1. */
  private int tag(int from) {
    for (int i = source.indexOf('{', from); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  private char sign(int index) {
    char c = index < source.length() ? source.charAt(index) : 0;
    return c == '-' || c == '+' ? c : 0;
  }

  /** Text in front of a tag, without the white space that the tag takes along. */
  private String text(int from, int tag, char sign, boolean variable) {
    String text = source.substring(from, tag);
    if (sign == '-') {
      return Text.rstrip(text);
    }
    if (sign == 0 && !variable) {
      int line = text.lastIndexOf('\n') + 1;
      boolean lineStarts = line > 0 || from == 0 || source.charAt(from - 1) == '\n';
      if (lineStarts && Text.isBlank(text.substring(line))) {
        return text.substring(0, line);
      }
    }
    return text;
  }

  private void comment(int tag) {
    int end = source.indexOf("#}", at);
    if (end < 0) {
      throw new Unreadable("missing end of comment tag", line(tag));
    }
    boolean signed = end > at;
    char sign = signed ? sign(end - 1) : 0;
    at = end + 2;
    behind(sign);
  }

  private void raw(int tag) {
    Matcher end = END_RAW.matcher(source);
    if (!end.find(at)) {
      throw new Unreadable("missing end of raw directive", line(tag));
    }
    char sign = end.group(1).isEmpty() ? 0 : end.group(1).charAt(0);
    addData(text(at, end.start(), sign, false), at);
    at = end.end();
  }

  /** White space behind a block or comment. */
  private void behind(char sign) {
    if (sign == '-') {
      while (at < source.length() && Text.isSpace(source.charAt(at))) {
        at++;
      }
    } else if (sign == 0 && at < source.length() && source.charAt(at) == '\n') {
      at++;
    }
  }

  /** The tokens of a tag, up to its end. */
  private void inside(String closing, Kind kind, int tag) {
    var open = new ArrayList<Character>();
    while (at < source.length()) {
      char c = source.charAt(at);
      if (open.isEmpty()) {
        boolean sign = c == '-' || c == '+' && kind == Kind.BLOCK_END;
        if (source.startsWith(closing, sign ? at + 1 : at)) {
          add(kind, closing, at);
          at += sign ? 3 : 2;
          if (kind == Kind.BLOCK_END || c == '-') {
            behind(sign ? c : 0);
          }
          return;
        }
      }
      if (Text.isSpace(c)) {
        at++;
      } else if (c >= '0' && c <= '9') {
        number();
      } else if (c == '"' || c == '\'') {
        string(c);
      } else if (Character.isUnicodeIdentifierStart(source.codePointAt(at)) || c == '_') {
        name();
      } else {
        operator(open);
      }
    }
    throw new Unreadable(
        "unexpected end of template, '" + closing + "' is missing", line(tag));
  }

  private void number() {
    Matcher number = NUMBER.matcher(source).region(at, source.length());
    number.useTransparentBounds(true); // x.1.0 is an item of an item
    if (!number.lookingAt()) {
      throw new Unreadable("unexpected char '" + source.charAt(at) + "'", line(at));
    }
    Object value;
    String decimal = number.group("float");
    if (decimal != null) {
      value = Double.valueOf(decimal.replace("_", ""));
    } else {
      value = null;
      String[] names = {"binary", "octal", "hex", "decimal"};
      int[] bases = {2, 8, 16, 10};
      for (int i = 0; i < names.length; i++) {
        String digits = number.group(names[i]);
        if (digits != null) {
          if (digits.length() > 4000) {
            throw new Unreadable("a number of more than 4000 digits", line(at));
          }
          value = Numbers.of(new BigInteger(digits.replace("_", ""), bases[i]));
        }
      }
    }
    tokens.add(new Token(Kind.NUMBER, number.group(), value, line(at)));
    at = number.end();
  }

  private void name() {
    int start = at;
    while (at < source.length() && Character.isUnicodeIdentifierPart(source.codePointAt(at))) {
      at += Character.charCount(source.codePointAt(at));
    }
    add(Kind.NAME, source.substring(start, at), start);
  }

  private void operator(List<Character> open) {
    for (String operator : OPERATORS) {
      if (source.startsWith(operator, at)) {
        char c = operator.charAt(0);
        if ("([{".indexOf(c) >= 0) {
          open.add(c == '(' ? ')' : c == '[' ? ']' : '}');
        } else if (")]}".indexOf(c) >= 0) {
          if (open.isEmpty()) {
            throw new Unreadable("unexpected '" + c + "'", line(at));
          }
          char expected = open.removeLast();
          if (expected != c) {
            throw new Unreadable(
                "unexpected '" + c + "', expected '" + expected + "'", line(at));
          }
        }
        add(Kind.OPERATOR, operator, at);
        at += operator.length();
        return;
      }
    }
    throw new Unreadable(
        "unexpected char '" + Character.toString(source.codePointAt(at)) + "'", line(at));
  }

  private void string(char quote) {
    int start = at;
    var value = new StringBuilder();
    for (at++; at < source.length(); ) {
      char c = source.charAt(at++);
      if (c == quote) {
        add(Kind.STRING, value.toString(), start);
        return;
      }
      if (c == '\\' && at < source.length()) {
        escape(value);
      } else {
        value.append(c);
      }
    }
    throw new Unreadable("unexpected char '" + quote + "': the string has no end", line(start));
  }

  /** Python's escapes; a backslash in front of anything else stays. */
  private void escape(StringBuilder value) {
    char c = source.charAt(at++);
    int letter = "abfnrtv\\'\"".indexOf(c);
    if (letter >= 0) {
      value.append("\007\b\f\n\r\t\013\\'\"".charAt(letter));
    } else if (c >= '0' && c <= '7') {
      int code = c - '0';
      for (int i = 0; i < 2 && at < source.length(); i++) {
        int digit = Character.digit(source.charAt(at), 8);
        if (digit < 0) {
          break;
        }
        code = 8 * code + digit;
        at++;
      }
      value.append((char) code);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      int digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      int end = Math.min(at + digits, source.length());
      String hex = source.substring(at, end);
      if (!hex.matches("[0-9a-fA-F]{" + digits + "}")
          || Long.parseLong(hex, 16) > Character.MAX_CODE_POINT) {
        throw new Unreadable("truncated \\" + c + " escape in a string", line(at));
      }
      value.appendCodePoint(Integer.parseInt(hex, 16));
      at = end;
    } else if (c != '\n') {
      value.append('\\').append(c);
    }
  }

  private void addData(String text, int start) {
    if (!text.isEmpty()) {
      add(Kind.DATA, text, start);
    }
  }

  private void add(Kind kind, String text, int start) {
    tokens.add(new Token(kind, text, text, line(start)));
  }

  private int line(int index) {
    int found = Arrays.binarySearch(lineStarts, index);
    return found >= 0 ? found + 1 : -found - 1;
  }
}
