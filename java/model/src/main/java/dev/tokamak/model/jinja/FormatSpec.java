// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What stands behind the colon in {@code "{:>8.2f}".format(x)}.
 *
 * @param fill what fills up to {@code width}
 * @param align {@code <}, {@code >}, {@code ^}, {@code =}, or 0 where the kind of value decides
 * @param sign {@code +}, {@code -} or a blank
 * @param alternate {@code #}
 * @param grouped {@code ,}: a comma between thousands
 * @param precision or -1
 * @param kind the letter at the end, or 0
 */
record FormatSpec(
    Values values,
    char fill,
    char align,
    char sign,
    boolean alternate,
    int width,
    boolean grouped,
    int precision,
    char kind) {
  private static final Pattern SPEC =
      Pattern.compile(
          "(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alt>#)?(?<zero>0)?(?<width>\\d{1,9})?"
              + "(?<group>[,_])?(?:\\.(?<precision>\\d{1,9}))?(?<kind>[a-zA-Z%])?",
          Pattern.DOTALL);
  private static final int MOST_DIGITS = 2000;

  static FormatSpec parse(Values values, String text) {
    Matcher m = SPEC.matcher(text);
    if (!m.matches()) {
      throw Failed.because("Invalid format specifier '" + text + "'");
    }
    boolean zero = m.group("zero") != null;
    String align = m.group("align");
    String fill = m.group("fill");
    String precision = m.group("precision");
    return new FormatSpec(
        values,
        fill != null ? fill.charAt(0) : zero && align == null ? '0' : ' ',
        align != null ? align.charAt(0) : zero ? '=' : 0,
        m.group("sign") == null ? '-' : m.group("sign").charAt(0),
        m.group("alt") != null,
        m.group("width") == null ? 0 : Integer.parseInt(m.group("width")),
        m.group("group") != null,
        precision == null ? -1 : Integer.parseInt(precision),
        m.group("kind") == null ? 0 : m.group("kind").charAt(0));
  }

  String format(Object value) {
    boolean number = Numbers.isNumber(value) && !(value instanceof Boolean && kind == 0);
    if (value instanceof Boolean && kind == 0 || !number && (kind == 0 || kind == 's')) {
      if (!(value instanceof String) && !(value instanceof Boolean) && !isPlain()) {
        throw Failed.because(
            "unsupported format string passed to " + Values.typeName(value) + ".__format__");
      }
      String text = values.str(value);
      boolean cut = precision >= 0 && precision < Text.length(text);
      return padded("", cut ? Text.substring(text, 0, precision) : text, '<');
    }
    if (!number || kind == 's') {
      throw Failed.because(
          "Unknown format code '" + kind + "' for object of type '" + Values.typeName(value)
              + "'");
    }
    boolean whole = Numbers.isInteger(value) && "\0dxXobcn".indexOf(kind) >= 0;
    String text =
        whole
            ? integer(Numbers.big(value), kind == 0 || kind == 'n' ? 'd' : kind)
            : real(Numbers.real(value), kind);
    boolean minus = text.startsWith("-");
    String body = minus ? text.substring(1) : text;
    return padded(minus ? "-" : sign == '-' ? "" : String.valueOf(sign), grouped(body), '>');
  }

  private boolean isPlain() {
    return width == 0 && precision < 0 && align == 0;
  }

  private String grouped(String digits) {
    if (!grouped) {
      return digits;
    }
    int end = 0;
    while (end < digits.length() && Character.isDigit(digits.charAt(end))) {
      end++;
    }
    var out = new StringBuilder(digits);
    for (int i = end - 3; i > 0; i -= 3) {
      out.insert(i, ',');
    }
    return out.toString();
  }

  private String padded(String sign, String body, char standard) {
    int missing = Math.max(0, width - Text.length(body) - sign.length());
    values.make(missing);
    String f = String.valueOf(fill);
    return switch (align == 0 ? standard : align) {
      case '<' -> sign + body + f.repeat(missing);
      case '^' -> f.repeat(missing / 2) + sign + body + f.repeat(missing - missing / 2);
      case '=' -> sign + f.repeat(missing) + body;
      default -> f.repeat(missing) + sign + body;
    };
  }

  /** In the base of the kind: d, x, X, o, b, c. */
  String integer(BigInteger value, char kind) {
    if (kind == 'c') {
      return Character.toString(value.intValue());
    }
    int base = kind == 'd' ? 10 : kind == 'o' ? 8 : kind == 'b' ? 2 : 16;
    String digits = value.abs().toString(base);
    String prefix = alternate && base != 10 ? "0" + kind : "";
    return (value.signum() < 0 ? "-" : "")
        + prefix
        + (kind == 'X' ? Text.upper(digits) : digits);
  }

  /** As e, f, g, % or, with none of them, as {@code str} writes it. */
  String real(double value, char kind) {
    if (precision > MOST_DIGITS) {
      throw Failed.because("precision: at most " + MOST_DIGITS + " digits");
    }
    if (Double.isNaN(value) || Double.isInfinite(value)) {
      String text = Numbers.repr(value) + (kind == '%' ? "%" : "");
      return Character.isUpperCase(kind) ? Text.upper(text) : text;
    }
    int digits = precision < 0 ? 6 : precision;
    String minus = 1 / value < 0 ? "-" : "";
    BigDecimal exact = new BigDecimal(Math.abs(value));
    return switch (kind) {
      case 'f', 'F' -> minus + fixed(exact, digits);
      case '%' -> minus + fixed(exact.movePointRight(2), digits) + "%";
      case 'e' -> minus + scientific(exact, digits);
      case 'E' -> minus + Text.upper(scientific(exact, digits));
      case 'g', 'n' -> minus + general(exact, digits);
      case 'G' -> minus + Text.upper(general(exact, digits));
      case 0 -> precision < 0 ? Numbers.repr(value) : minus + shortest(exact, digits);
      default ->
          throw Failed.because("Unknown format code '" + kind + "' for object of type 'float'");
    };
  }

  private static String fixed(BigDecimal value, int digits) {
    return value.setScale(digits, RoundingMode.HALF_EVEN).toPlainString();
  }

  private static String scientific(BigDecimal value, int digits) {
    BigDecimal rounded =
        value.signum() == 0
            ? BigDecimal.ZERO
            : value.round(new MathContext(digits + 1, RoundingMode.HALF_EVEN));
    String all = rounded.unscaledValue().toString();
    int exponent = rounded.signum() == 0 ? 0 : all.length() - 1 - rounded.scale();
    String padded = all + "0".repeat(Math.max(0, digits + 1 - all.length()));
    String rest = digits > 0 ? "." + padded.substring(1, digits + 1) : "";
    int size = Math.abs(exponent);
    return padded.charAt(0) + rest + "e" + (exponent < 0 ? "-" : "+") + (size < 10 ? "0" : "")
        + size;
  }

  private String general(BigDecimal value, int digits) {
    int significant = Math.max(1, digits);
    String scientific = scientific(value, significant - 1);
    int at = scientific.indexOf('e');
    int exponent = Integer.parseInt(scientific.substring(at + 1));
    if (exponent < -4 || exponent >= significant) {
      return (alternate ? scientific.substring(0, at) : trimmed(scientific.substring(0, at)))
          + scientific.substring(at);
    }
    String fixed = fixed(value, significant - 1 - exponent);
    return alternate ? fixed : trimmed(fixed);
  }

  /** As general, but a number that looks whole gets its {@code .0}. */
  private String shortest(BigDecimal value, int digits) {
    String text = general(value, digits);
    return text.contains(".") || text.contains("e") ? text : text + ".0";
  }

  private static String trimmed(String digits) {
    return digits.contains(".") ? digits.replaceFirst("\\.?0+$", "") : digits;
  }
}
