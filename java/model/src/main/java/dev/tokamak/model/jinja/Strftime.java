// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.time.ZonedDateTime;
import java.time.format.TextStyle;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Python's {@code strftime} in the C locale, with glibc's {@code %-d}, {@code %_d}. */
final class Strftime {
  private Strftime() {}

  static String format(String format, ZonedDateTime time) {
    var out = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        out.append(c);
        continue;
      }
      char flag = format.charAt(++i);
      boolean flagged = (flag == '-' || flag == '_' || flag == '0') && i + 1 < format.length();
      char letter = flagged ? format.charAt(++i) : flag;
      String field = field(letter, time, flagged ? flag : 0);
      out.append(field.isEmpty() ? "%" + letter : field);
    }
    return out.toString();
  }

  /** A field, or nothing for a letter that means nothing. */
  private static String field(char letter, ZonedDateTime t, char flag) {
    int hour12 = t.getHour() % 12 == 0 ? 12 : t.getHour() % 12;
    return switch (letter) {
      case 'a' -> t.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
      case 'A' -> t.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'b', 'h' -> t.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH).substring(0, 3);
      case 'B' -> t.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'c' -> format("%a %b %e %H:%M:%S %Y", t);
      case 'C' -> number(t.getYear() / 100, 2, '0', flag);
      case 'd' -> number(t.getDayOfMonth(), 2, '0', flag);
      case 'D', 'x' -> format("%m/%d/%y", t);
      case 'e' -> number(t.getDayOfMonth(), 2, ' ', flag);
      case 'f' -> number(t.getNano() / 1000, 6, '0', flag);
      case 'F' -> format("%Y-%m-%d", t);
      case 'g' -> number(t.get(IsoFields.WEEK_BASED_YEAR) % 100, 2, '0', flag);
      case 'G' -> String.valueOf(t.get(IsoFields.WEEK_BASED_YEAR));
      case 'H' -> number(t.getHour(), 2, '0', flag);
      case 'I' -> number(hour12, 2, '0', flag);
      case 'j' -> number(t.getDayOfYear(), 3, '0', flag);
      case 'k' -> number(t.getHour(), 2, ' ', flag);
      case 'l' -> number(hour12, 2, ' ', flag);
      case 'm' -> number(t.getMonthValue(), 2, '0', flag);
      case 'M' -> number(t.getMinute(), 2, '0', flag);
      case 'n' -> "\n";
      case 'p' -> t.getHour() < 12 ? "AM" : "PM";
      case 'P' -> t.getHour() < 12 ? "am" : "pm";
      case 'r' -> format("%I:%M:%S %p", t);
      case 'R' -> format("%H:%M", t);
      case 's' -> String.valueOf(t.toEpochSecond());
      case 'S' -> number(t.getSecond(), 2, '0', flag);
      case 't' -> "\t";
      case 'T', 'X' -> format("%H:%M:%S", t);
      case 'u' -> String.valueOf(t.getDayOfWeek().getValue());
      case 'U' -> number(week(t, 0), 2, '0', flag);
      case 'V' -> number(t.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR), 2, '0', flag);
      case 'w' -> String.valueOf(t.getDayOfWeek().getValue() % 7);
      case 'W' -> number(week(t, 1), 2, '0', flag);
      case 'y' -> number(t.getYear() % 100, 2, '0', flag);
      case 'Y' -> String.valueOf(t.getYear());
      case '%' -> "%";
      default -> "";
    };
  }

  /** Week of the year, the first of which begins with the first such day. */
  private static int week(ZonedDateTime t, int firstDay) {
    int weekday = Math.floorMod(t.getDayOfWeek().getValue() - firstDay, 7);
    return (t.getDayOfYear() - 1 + 7 - weekday) / 7;
  }

  private static String number(int value, int width, char pad, char flag) {
    String digits = String.valueOf(value);
    if (flag == '-') {
      return digits;
    }
    char fill = flag == '_' ? ' ' : flag == '0' ? '0' : pad;
    return String.valueOf(fill).repeat(Math.max(0, width - digits.length())) + digits;
  }
}
