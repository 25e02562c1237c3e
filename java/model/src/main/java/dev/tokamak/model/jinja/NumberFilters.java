// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Filters that give numbers, or take them. */
final class NumberFilters {
  private NumberFilters() {}

  static Object abs(Interpreter in, Object value, Arguments a) {
    return Numbers.absolute(number(value, "abs"));
  }

  private static Object number(Object value, String filter) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (!Numbers.isNumber(value)) {
      throw Failed.because(
          "bad operand type for " + filter + "(): '" + Values.typeName(value) + "'");
    }
    return value;
  }

  static Object integer(Interpreter in, Object value, Arguments a) {
    Object standard = a.or(0, 0L);
    int base = a.number(1, 10);
    switch (value) {
      case Undefined undefined -> throw undefined.failure();
      case String text -> {
        Optional<BigInteger> parsed = integer(Text.strip(text), base);
        if (parsed.isPresent()) {
          return Numbers.of(parsed.get());
        }
        Optional<Double> real = real(text);
        return real.isPresent() && !real.get().isNaN() && !real.get().isInfinite()
            ? Numbers.truncated(real.get())
            : standard;
      }
      case Boolean b -> {
        return b ? 1L : 0L;
      }
      case Double d -> {
        return d.isNaN() || d.isInfinite() ? standard : Numbers.truncated(d);
      }
      default -> {
        return Numbers.isInteger(value) ? value : standard;
      }
    }
  }

  private static Optional<BigInteger> integer(String text, int base) {
    if (base != 0 && (base < 2 || base > 36) || text.length() > 4000) {
      return Optional.empty();
    }
    String digits = text;
    boolean minus = digits.startsWith("-");
    if (minus || digits.startsWith("+")) {
      digits = digits.substring(1);
    }
    int radix = base;
    String[] prefixes = {"0b", "0o", "0x"};
    int[] bases = {2, 8, 16};
    for (int i = 0; i < prefixes.length; i++) {
      if ((base == 0 || base == bases[i]) && Text.lower(digits).startsWith(prefixes[i])) {
        digits = digits.substring(2).replaceFirst("^_", "");
        radix = bases[i];
      }
    }
    if (!digits.matches("[0-9a-zA-Z]+(_[0-9a-zA-Z]+)*")) {
      return Optional.empty();
    }
    try {
      BigInteger value = new BigInteger(digits.replace("_", ""), radix == 0 ? 10 : radix);
      return Optional.of(minus ? value.negate() : value);
    } catch (NumberFormatException _) {
      return Optional.empty();
    }
  }

  private static Optional<Double> real(String text) {
    String digits = Text.lower(Text.strip(text));
    if (digits.matches("[+-]?(inf|infinity|nan)")) {
      double size = digits.endsWith("nan") ? Double.NaN : Double.POSITIVE_INFINITY;
      return Optional.of(digits.startsWith("-") ? -size : size);
    }
    String n = "[0-9]+(_[0-9]+)*";
    return digits.matches("[+-]?(" + n + "\\.?(" + n + ")?|\\." + n + ")(e[+-]?" + n + ")?")
        ? Optional.of(Double.valueOf(digits.replace("_", "")))
        : Optional.empty();
  }

  static Object real(Interpreter in, Object value, Arguments a) {
    Object standard = a.or(0, 0.0);
    return switch (value) {
      case Undefined undefined -> throw undefined.failure();
      case String text -> real(text).<Object>map(d -> d).orElse(standard);
      default -> Numbers.isNumber(value) ? (Object) Numbers.real(value) : standard;
    };
  }

  static Object round(Interpreter in, Object input, Arguments a) {
    Object value = number(input, "round");
    int places = a.number(0, 0);
    String method = a.text(1, "common");
    if (method.equals("common")) {
      if (value instanceof Double d) {
        return Numbers.round(d, places);
      }
      if (places >= 0) {
        return Numbers.of(Numbers.big(value));
      }
      BigDecimal whole = new BigDecimal(Numbers.big(value));
      return Numbers.of(
          whole.setScale(Math.max(places, -400), RoundingMode.HALF_EVEN).toBigInteger());
    }
    if (!method.equals("ceil") && !method.equals("floor")) {
      throw Failed.because("method must be common, ceil or floor");
    }
    Object scale = Numbers.arithmetic("**", 10L, (long) places);
    Object scaled = Numbers.arithmetic("*", value, scale);
    Object whole = scaled;
    if (scaled instanceof Double d) {
      whole = Numbers.truncated(method.equals("ceil") ? Math.ceil(d) : Math.floor(d));
    }
    return Numbers.arithmetic("/", whole, scale);
  }

  static Object fileSize(Interpreter in, Object value, Arguments a) {
    Object number = real(in, value, new Arguments(List.of(), Map.of()));
    double bytes = (Double) number;
    boolean binary = a.truth(0, false);
    double base = binary ? 1024 : 1000;
    if (bytes == 1) {
      return "1 Byte";
    }
    if (bytes < base) {
      return Numbers.truncated(bytes) + " Bytes";
    }
    String letters = binary ? "KMGTPEZY" : "kMGTPEZY";
    double unit = base;
    int at = 0;
    while (at < letters.length() - 1 && bytes >= unit * base) {
      unit *= base;
      at++;
    }
    var spec = new FormatSpec(in.values, ' ', '>', '-', false, 0, false, 1, 'f');
    return spec.real(bytes / unit, 'f') + " " + letters.charAt(at) + (binary ? "iB" : "B");
  }
}
