// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;

/** Python's {@code "%s and %d" % (a, b)}. */
final class PercentFormat {
  private final Values values;
  private final String format;
  private int at;
  private int used;

  PercentFormat(Values values, String format) {
    this.values = values;
    this.format = format;
  }

  String with(Object given) {
    List<Object> arguments = given instanceof Tuple tuple ? tuple.items() : List.of(given);
    var out = new StringBuilder();
    while (at < format.length()) {
      char c = format.charAt(at++);
      if (c != '%') {
        out.append(c);
      } else if (at < format.length() && format.charAt(at) == '%') {
        out.append('%');
        at++;
      } else {
        out.append(field(given, arguments));
      }
    }
    if (used < arguments.size() && !(given instanceof Dict)) {
      throw Failed.because("not all arguments converted during string formatting");
    }
    values.make(out.length());
    return out.toString();
  }

  private String field(Object given, List<Object> arguments) {
    Object value = Arguments.MISSING;
    if (peek() == '(') {
      int end = format.indexOf(')', at);
      if (end < 0) {
        throw Failed.because("incomplete format key");
      }
      if (!(given instanceof Dict dict)) {
        throw Failed.because("format requires a mapping");
      }
      String key = format.substring(at + 1, end);
      value = dict.get(key).orElseThrow(() -> Failed.because(Text.quoted(key)));
      at = end + 1;
    }
    String flags = "";
    while ("-+ #0".indexOf(peek()) >= 0) {
      flags += format.charAt(at++);
    }
    int width = number(arguments);
    int precision = -1;
    if (peek() == '.') {
      at++;
      precision = Math.max(0, number(arguments));
    }
    char kind = peek();
    at++;
    if (value == Arguments.MISSING) {
      value = next(arguments);
    }
    if (value instanceof Undefined undefined && kind != 's') {
      throw undefined.failure();
    }
    var spec = new FormatSpec(values, ' ', '>', ' ', flags.contains("#"), 0, false, precision, 'd');
    String text;
    switch (kind) {
      case 's' -> text = cut(values.str(value), precision);
      case 'r', 'a' -> text = cut(values.repr(value), precision);
      case 'c' -> text = value instanceof String s ? s : Character.toString(integer(value, kind));
      case 'd', 'i', 'u', 'x', 'X', 'o' -> text = digits(value, kind, precision, spec);
      case 'e', 'E', 'f', 'F', 'g', 'G' -> {
        if (!Numbers.isNumber(value)) {
          throw Failed.because("must be real number, not " + Values.typeName(value));
        }
        text = spec.real(Numbers.real(value), kind);
      }
      default ->
          throw Failed.because(
              kind == 0
                  ? "incomplete format"
                  : "unsupported format character '" + kind + "' at index " + (at - 1));
    }
    boolean number = "sra c".indexOf(kind) < 0;
    if (number && !text.startsWith("-")) {
      text = (flags.contains("+") ? "+" : flags.contains(" ") ? " " : "") + text;
    }
    int missing = Math.max(0, width - Text.length(text));
    values.make(missing);
    if (flags.contains("-")) {
      return text + " ".repeat(missing);
    }
    if (number && flags.contains("0")) {
      int sign = text.startsWith("-") || text.startsWith("+") || text.startsWith(" ") ? 1 : 0;
      return text.substring(0, sign) + "0".repeat(missing) + text.substring(sign);
    }
    return " ".repeat(missing) + text;
  }

  private char peek() {
    return at < format.length() ? format.charAt(at) : 0;
  }

  private int number(List<Object> arguments) {
    if (peek() == '*') {
      at++;
      return integer(next(arguments), '*');
    }
    int start = at;
    while (Character.isDigit(peek()) && at - start < 9) {
      at++;
    }
    return start == at ? 0 : Integer.parseInt(format.substring(start, at));
  }

  private Object next(List<Object> arguments) {
    if (used == arguments.size()) {
      throw Failed.because("not enough arguments for format string");
    }
    return arguments.get(used++);
  }

  private String digits(Object value, char kind, int precision, FormatSpec spec) {
    boolean real = value instanceof Double && "diu".indexOf(kind) >= 0;
    if (!real && !Numbers.isInteger(value)) {
      throw Failed.because(
          "%" + kind + " format: a real number is required, not " + Values.typeName(value));
    }
    Object whole = real ? Numbers.truncated((Double) value) : value;
    String text = spec.integer(Numbers.big(whole), "iu".indexOf(kind) >= 0 ? 'd' : kind);
    boolean minus = text.startsWith("-");
    String body = minus ? text.substring(1) : text;
    int zeros = Math.max(0, precision - body.length());
    values.make(zeros);
    return (minus ? "-" : "") + "0".repeat(zeros) + body;
  }

  private static int integer(Object value, char kind) {
    if (!Numbers.isInteger(value)) {
      throw Failed.because("%" + kind + " requires an integer, found " + Values.typeName(value));
    }
    int number = Numbers.index(value);
    if (kind == 'c' && (number < 0 || number > Character.MAX_CODE_POINT)) {
      throw Failed.because("%c arg not in range(0x110000)");
    }
    return number;
  }

  private static String cut(String text, int precision) {
    return precision >= 0 && precision < Text.length(text)
        ? Text.substring(text, 0, precision)
        : text;
  }
}
