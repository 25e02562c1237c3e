// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;

/**
 * Python's numbers: integers of any size, of which those of 64 bits are {@link Long}, and {@link
 * Double}. True and false count as 1 and 0.
 */
final class Numbers {
  private static final int MOST_BITS = 1 << 16;
  private static final BigInteger MIN = BigInteger.valueOf(Long.MIN_VALUE);
  private static final BigInteger MAX = BigInteger.valueOf(Long.MAX_VALUE);

  private Numbers() {}

  static boolean isInteger(Object value) {
    return value instanceof Long || value instanceof BigInteger || value instanceof Boolean;
  }

  static boolean isNumber(Object value) {
    return value instanceof Double || isInteger(value);
  }

  /** A long if it is small enough. */
  static Object of(BigInteger value) {
    if (value.bitLength() > MOST_BITS) {
      throw Failed.because("an integer of more than " + MOST_BITS + " bits");
    }
    return value.compareTo(MIN) >= 0 && value.compareTo(MAX) <= 0
        ? (Object) value.longValue()
        : value;
  }

  static BigInteger big(Object integer) {
    return switch (integer) {
      case Boolean b -> b ? BigInteger.ONE : BigInteger.ZERO;
      case Long l -> BigInteger.valueOf(l);
      case BigInteger b -> b;
      default -> throw new IllegalArgumentException();
    };
  }

  static double real(Object number) {
    if (number instanceof Double d) {
      return d;
    }
    double value = big(number).doubleValue();
    if (Double.isInfinite(value)) {
      throw Failed.because("int too large to convert to float");
    }
    return value;
  }

  /** An integer that is an index or count: beyond 32 bits, the largest or smallest there is. */
  static int index(Object integer) {
    BigInteger value = big(integer);
    return value.bitLength() < 32
        ? value.intValue()
        : value.signum() < 0 ? Integer.MIN_VALUE + 1 : Integer.MAX_VALUE;
  }

  static int compare(Object a, Object b) {
    if (a instanceof Long x && b instanceof Long y) {
      return Long.compare(x, y);
    }
    if (isInteger(a) && isInteger(b)) {
      return big(a).compareTo(big(b));
    }
    if (a instanceof Double x && (x.isInfinite() || x.isNaN())
        || b instanceof Double y && (y.isInfinite() || y.isNaN())) {
      return Double.compare(plain(a), plain(b));
    }
    return exact(a).compareTo(exact(b));
  }

  static boolean isNan(Object number) {
    return number instanceof Double d && d.isNaN();
  }

  private static double plain(Object number) {
    return number instanceof Double d ? d + 0.0 : big(number).signum();
  }

  private static BigDecimal exact(Object number) {
    return number instanceof Double d ? new BigDecimal(d) : new BigDecimal(big(number));
  }

  /** {@code + - * / // % **} of two numbers. */
  static Object arithmetic(String operator, Object a, Object b) {
    if (a instanceof Long x && b instanceof Long y) {
      long high;
      switch (operator) {
        case "+" -> {
          long sum = x + y;
          if (((x ^ sum) & (y ^ sum)) >= 0) {
            return sum;
          }
        }
        case "-" -> {
          long difference = x - y;
          if (((x ^ y) & (x ^ difference)) >= 0) {
            return difference;
          }
        }
        case "*" -> {
          high = Math.multiplyHigh(x, y);
          long low = x * y;
          if (high == 0 && low >= 0 || high == -1 && low < 0) {
            return low;
          }
        }
        default -> {}
      }
    }
    boolean whole = isInteger(a) && isInteger(b);
    if ("/ // %".contains(operator) && (whole ? big(b).signum() == 0 : real(b) == 0)) {
      throw Failed.because(
          operator.equals("%")
              ? whole ? "integer modulo by zero" : "float modulo by zero"
              : "division by zero");
    }
    if (operator.equals("**")) {
      return power(a, b, whole);
    }
    if (whole && !operator.equals("/")) {
      BigInteger x = big(a);
      BigInteger y = big(b);
      return of(
          switch (operator) {
            case "+" -> x.add(y);
            case "-" -> x.subtract(y);
            case "*" -> x.multiply(y);
            case "//" -> {
              BigInteger[] parts = x.divideAndRemainder(y);
              boolean below = parts[1].signum() != 0 && parts[1].signum() != y.signum();
              yield below ? parts[0].subtract(BigInteger.ONE) : parts[0];
            }
            default -> {
              BigInteger rest = x.remainder(y);
              yield rest.signum() != 0 && rest.signum() != y.signum() ? rest.add(y) : rest;
            }
          });
    }
    if (whole) {
      BigDecimal quotient =
          new BigDecimal(big(a)).divide(new BigDecimal(big(b)), MathContext.DECIMAL128);
      double value = quotient.doubleValue();
      if (Double.isInfinite(value)) {
        throw Failed.because("integer division result too large for a float");
      }
      return value;
    }
    double x = real(a);
    double y = real(b);
    return switch (operator) {
      case "+" -> x + y;
      case "-" -> x - y;
      case "*" -> x * y;
      case "/" -> x / y;
      case "//" -> {
        double rest = modulo(x, y);
        double quotient = (x - rest) / y;
        double floor = Math.floor(quotient);
        yield quotient - floor > 0.5 ? floor + 1 : floor;
      }
      default -> modulo(x, y);
    };
  }

  private static double modulo(double x, double y) {
    double rest = x % y;
    if (rest == 0) {
      return Math.copySign(0.0, y);
    }
    return rest < 0 != y < 0 ? rest + y : rest;
  }

  private static Object power(Object a, Object b, boolean whole) {
    if (whole && big(b).signum() >= 0) {
      BigInteger base = big(a);
      BigInteger exponent = big(b);
      if (base.bitLength() > 1 && exponent.bitLength() > 31
          || (long) base.bitLength() * exponent.longValue() > MOST_BITS + base.bitLength()
              && base.bitLength() > 1) {
        throw Failed.because("an integer of more than " + MOST_BITS + " bits");
      }
      if (base.bitLength() <= 1) { // -2, -1, 0, 1
        int value = base.intValue();
        if (value == -2 && exponent.bitLength() > 16) {
          throw Failed.because("an integer of more than " + MOST_BITS + " bits");
        }
        if (value != -2) {
          boolean odd = exponent.testBit(0);
          return exponent.signum() == 0 ? 1L : value == -1 ? (odd ? -1L : 1L) : (long) value;
        }
      }
      return of(base.pow(exponent.intValue()));
    }
    double base = real(a);
    double exponent = real(b);
    if (base == 0 && exponent < 0) {
      throw Failed.because("zero to a negative power");
    }
    double value = Math.pow(base, exponent);
    if (Double.isNaN(value) && !Double.isNaN(base) && !Double.isNaN(exponent)) {
      throw Failed.because("a negative number to a fractional power is complex");
    }
    if (Double.isInfinite(value) && !Double.isInfinite(base) && !Double.isInfinite(exponent)) {
      throw Failed.because("(34, 'Numerical result out of range')");
    }
    return value;
  }

  static Object negative(Object number) {
    return number instanceof Double d ? (Object) (-d) : of(big(number).negate());
  }

  static Object absolute(Object number) {
    return number instanceof Double d ? (Object) Math.abs(d) : of(big(number).abs());
  }

  /** Python's {@code repr} of a float: as few digits as say which it is. */
  static String repr(double value) {
    if (Double.isNaN(value)) {
      return "nan";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "inf" : "-inf";
    }
    if (value == 0) {
      return 1 / value > 0 ? "0.0" : "-0.0";
    }
    BigDecimal decimal = new BigDecimal(Double.toString(Math.abs(value))).stripTrailingZeros();
    String digits = decimal.unscaledValue().toString();
    int exponent = digits.length() - decimal.scale() - 1;
    String sign = value < 0 ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
      String rest = digits.length() > 1 ? "." + digits.substring(1) : "";
      int size = Math.abs(exponent);
      return sign + digits.charAt(0) + rest + "e" + (exponent < 0 ? "-" : "+")
          + (size < 10 ? "0" : "") + size;
    }
    String plain = decimal.toPlainString();
    return sign + plain + (plain.indexOf('.') < 0 ? ".0" : "");
  }

  /** To so many places behind the point, halves of the exact value to even, as {@code round}. */
  static double round(double value, int places) {
    if (Double.isNaN(value) || Double.isInfinite(value) || places > 400) {
      return value;
    }
    double rounded =
        new BigDecimal(value)
            .setScale(Math.max(places, -400), RoundingMode.HALF_EVEN)
            .doubleValue();
    return rounded == 0 ? Math.copySign(0.0, value) : rounded;
  }

  /** An integer out of a float, towards zero. */
  static Object truncated(double value) {
    if (Double.isNaN(value)) {
      throw Failed.because("cannot convert float NaN to integer");
    }
    if (Double.isInfinite(value)) {
      throw Failed.because("cannot convert float infinity to integer");
    }
    return of(new BigDecimal(value).toBigInteger());
  }
}
