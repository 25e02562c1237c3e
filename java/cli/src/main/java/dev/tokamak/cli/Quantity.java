// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.util.Locale;

/** Amounts as people read them: three digits and a decimal prefix. */
public final class Quantity {
  private static final String PREFIXES = " kMGTPE";

  private Quantity() {}

  /** For example {@code 1.05 MB}. */
  public static String bytes(long bytes) {
    return of(bytes, "B");
  }

  /** For example {@code 31.4 GB/s}. */
  public static String of(double value, String unit) {
    double scaled = value;
    int prefix = 0;
    while (Math.abs(scaled) >= 999.5 && prefix < PREFIXES.length() - 1) {
      scaled /= 1000;
      prefix++;
    }
    String digits = prefix == 0 && scaled == Math.rint(scaled)
        ? String.format(Locale.ROOT, "%.0f", scaled)
        : significant(scaled);
    return digits + " " + PREFIXES.substring(prefix, prefix + 1).strip() + unit;
  }

  /** Three digits, or as many as stand before the point. */
  public static String significant(double value) {
    double size = Math.abs(value);
    int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  /** For example {@code 63.2 %}. */
  public static String percent(double fraction) {
    return significant(100 * fraction) + " %";
  }
}
