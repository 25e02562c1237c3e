// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;

/** The methods of Python's {@code str}. */
final class TextMethods {
  static final Map<String, Function> TABLE =
      new Function.Table()
          .add("capitalize", "", (in, s, a) -> Text.capitalize((String) s))
          .add("casefold", "", (in, s, a) -> Text.lower(Text.upper(Text.lower((String) s))))
          .add("center", "width fillchar?", (in, s, a) -> pad(in, s, a, 0))
          .add("count", "sub start? end?", TextMethods::count)
          .add("encode", "encoding? errors?", (in, s, a) -> noBytes())
          .add("endswith", "suffix start? end?", (in, s, a) -> affix(in, s, a, String::endsWith))
          .add("expandtabs", "tabsize?", TextMethods::expandTabs)
          .add("find", "sub start? end?", (in, s, a) -> find(in, s, a, false))
          .add("format", "*", (in, s, a) -> new BraceFormat(in, (String) s, a).result())
          .add("format_map", "mapping", TextMethods::formatMap)
          .add("index", "sub start? end?", (in, s, a) -> found(find(in, s, a, false)))
          .add("isalnum", "", (in, s, a) -> every(s, Character::isLetterOrDigit))
          .add("isalpha", "", (in, s, a) -> every(s, Character::isLetter))
          .add("isascii", "", (in, s, a) -> ((String) s).chars().allMatch(c -> c < 128))
          .add("isdecimal", "", (in, s, a) -> every(s, Character::isDigit))
          .add("isdigit", "", (in, s, a) -> every(s, TextMethods::isDigit))
          .add("isidentifier", "", (in, s, a) -> isIdentifier((String) s))
          .add("islower", "", (in, s, a) -> isLower((String) s))
          .add("isnumeric", "", (in, s, a) -> every(s, TextMethods::isNumeric))
          .add("isprintable", "", (in, s, a) -> "".equals(s) || every(s, Text::isPrintable))
          .add("isspace", "", (in, s, a) -> every(s, Text::isSpace))
          .add("istitle", "", (in, s, a) -> isTitle((String) s))
          .add("isupper", "", (in, s, a) -> isUpper((String) s))
          .add("join", "iterable", TextMethods::join)
          .add("ljust", "width fillchar?", (in, s, a) -> pad(in, s, a, -1))
          .add("lower", "", (in, s, a) -> Text.lower((String) s))
          .add("lstrip", "chars?", (in, s, a) -> Text.lstrip((String) s, stripped(a)))
          .add("partition", "sep", (in, s, a) -> partition((String) s, a.text(0), false))
          .add("removeprefix", "prefix", (in, s, a) -> removePrefix((String) s, a.text(0)))
          .add("removesuffix", "suffix", (in, s, a) -> removeSuffix((String) s, a.text(0)))
          .add(
              "replace",
              "old new count?",
              (in, s, a) -> replace(in, (String) s, a.text(0), a.text(1), a.number(2, -1)))
          .add("rfind", "sub start? end?", (in, s, a) -> find(in, s, a, true))
          .add("rindex", "sub start? end?", (in, s, a) -> found(find(in, s, a, true)))
          .add("rjust", "width fillchar?", (in, s, a) -> pad(in, s, a, 1))
          .add("rpartition", "sep", (in, s, a) -> partition((String) s, a.text(0), true))
          .add("rsplit", "sep? maxsplit?", (in, s, a) -> split(in, s, a, true))
          .add(
              "rstrip", "chars?", (in, s, a) -> Text.rstrip((String) s, stripped(a)))
          .add("split", "sep? maxsplit?", (in, s, a) -> split(in, s, a, false))
          .add("splitlines", "keepends?", (in, s, a) -> lines((String) s, a.truth(0, false)))
          .add(
              "startswith", "prefix start? end?", (in, s, a) -> affix(in, s, a, String::startsWith))
          .add("strip", "chars?", (in, s, a) -> strip((String) s, a))
          .add("swapcase", "", (in, s, a) -> swapCase((String) s))
          .add("title", "", (in, s, a) -> Text.title((String) s))
          .add("upper", "", (in, s, a) -> Text.upper((String) s))
          .add("zfill", "width", TextMethods::zfill)
          .done();

  private TextMethods() {}

  private static Object noBytes() {
    throw Failed.because("encode() is not supported: a chat template makes text");
  }

  private static boolean every(Object text, IntPredicate letter) {
    String s = (String) text;
    return !s.isEmpty() && s.codePoints().allMatch(letter);
  }

  /** Digits of any script, and those such as ², which are no decimal numbers. */
  private static boolean isDigit(int c) {
    return Character.isDigit(c)
        || Character.getType(c) == Character.OTHER_NUMBER
            && Character.getNumericValue(c) >= 0
            && Character.getNumericValue(c) <= 9
            && !(c >= 0xbc && c <= 0xbe);
  }

  private static boolean isNumeric(int c) {
    int type = Character.getType(c);
    return Character.isDigit(c)
        || type == Character.OTHER_NUMBER
        || type == Character.LETTER_NUMBER
        || Character.getNumericValue(c) >= 0 && !Character.isAlphabetic(c);
  }

  private static boolean isIdentifier(String s) {
    return !s.isEmpty()
        && (s.charAt(0) == '_' || Character.isUnicodeIdentifierStart(s.codePointAt(0)))
        && s.codePoints().allMatch(c -> c == '_' || Character.isUnicodeIdentifierPart(c));
  }

  static boolean isLower(String s) {
    return s.codePoints().anyMatch(Character::isLowerCase)
        && s.codePoints().noneMatch(c -> Character.isUpperCase(c) || Character.isTitleCase(c));
  }

  static boolean isUpper(String s) {
    return s.codePoints().anyMatch(Character::isUpperCase)
        && s.codePoints().noneMatch(c -> Character.isLowerCase(c) || Character.isTitleCase(c));
  }

  private static boolean isTitle(String s) {
    return s.codePoints().anyMatch(Text::isCased) && s.equals(Text.title(s));
  }

  private static Object pad(Interpreter in, Object self, Arguments a, int side) {
    String s = (String) self;
    int missing = a.number(0, 0) - Text.length(s);
    String fill = a.text(1, " ");
    if (Text.length(fill) != 1) {
      throw Failed.because("The fill character must be exactly one character long");
    }
    if (missing <= 0) {
      return s;
    }
    in.values.make(missing);
    // as CPython rounds: the odd one goes left where the width is odd too
    int left = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & a.number(0, 0) & 1);
    return fill.repeat(left) + s + fill.repeat(missing - left);
  }

  private static Object zfill(Interpreter in, Object self, Arguments a) {
    String s = (String) self;
    int missing = Math.max(0, a.number(0, 0) - Text.length(s));
    in.values.make(missing);
    boolean signed = s.startsWith("-") || s.startsWith("+");
    return signed
        ? s.charAt(0) + "0".repeat(missing) + s.substring(1)
        : "0".repeat(missing) + s;
  }

  private static Object expandTabs(Interpreter in, Object self, Arguments a) {
    int size = Math.min(1000, a.number(0, 8));
    var out = new StringBuilder();
    int column = 0;
    for (int c : ((String) self).codePoints().toArray()) {
      if (c == '\t') {
        int blanks = size > 0 ? size - column % size : 0;
        in.values.make(blanks);
        out.append(" ".repeat(blanks));
        column += blanks;
      } else {
        out.appendCodePoint(c);
        column = c == '\n' || c == '\r' ? 0 : column + 1;
      }
    }
    return out.toString();
  }

  /** The part that {@code start} and {@code end}, arguments 1 and 2, leave. */
  private static String part(Interpreter in, Object self, Arguments a) {
    return a.has(1) || a.has(2)
        ? (String)
            in.values.slice(self, a.or(1, None.NONE), a.or(2, None.NONE), None.NONE)
        : (String) self;
  }

  private interface Affix {
    boolean of(String text, String affix);
  }

  private static Object affix(Interpreter in, Object self, Arguments a, Affix affix) {
    String part = part(in, self, a);
    if (a.get(0) instanceof Tuple tuple) {
      return tuple.items().stream().anyMatch(one -> one instanceof String s && affix.of(part, s));
    }
    return affix.of(part, a.text(0));
  }

  private static Object count(Interpreter in, Object self, Arguments a) {
    String part = part(in, self, a);
    String sub = a.text(0);
    if (sub.isEmpty()) {
      return Text.length(part) + 1L;
    }
    in.values.steps(part.length() / 16);
    long count = 0;
    for (int i = part.indexOf(sub); i >= 0; i = part.indexOf(sub, i + sub.length())) {
      count++;
    }
    return count;
  }

  private static long find(Interpreter in, Object self, Arguments a, boolean last) {
    String s = (String) self;
    String part = part(in, self, a);
    in.values.steps(part.length() / 16);
    int at = last ? part.lastIndexOf(a.text(0)) : part.indexOf(a.text(0));
    if (at < 0) {
      return -1;
    }
    int start = a.number(1, 0);
    int size = Text.length(s);
    int from = start < 0 ? Math.max(0, start + size) : start;
    return from > size ? -1 : from + Text.length(part.substring(0, at));
  }

  private static Object found(long index) {
    if (index < 0) {
      throw Failed.because("substring not found");
    }
    return index;
  }

  private static Object formatMap(Interpreter in, Object self, Arguments a) {
    if (!(a.get(0) instanceof Dict dict)) {
      throw Failed.because("format_map() expects a dict");
    }
    var named = new java.util.LinkedHashMap<String, Object>();
    dict.entries().forEach(entry -> named.put(in.values.str(entry.key()), entry.value()));
    return new BraceFormat(in, (String) self, new Arguments(List.of(), named)).result();
  }

  static Object join(Interpreter in, Object self, Arguments a) {
    List<Object> items = in.values.list(a.get(0));
    var parts = new ArrayList<String>(items.size());
    long size = 0;
    for (int i = 0; i < items.size(); i++) {
      if (!(items.get(i) instanceof String part)) {
        throw Failed.because(
            "sequence item " + i + ": expected str instance, "
                + Values.typeName(items.get(i)) + " found");
      }
      parts.add(part);
      size += part.length() + ((String) self).length();
    }
    in.values.make(size);
    return String.join((String) self, parts);
  }

  private static IntPredicate stripped(Arguments a) {
    return a.has(0) ? c -> a.text(0).indexOf(c) >= 0 : Text::isSpace;
  }

  static String strip(String s, Arguments a) {
    return Text.lstrip(Text.rstrip(s, stripped(a)), stripped(a));
  }

  private static Object partition(String s, String separator, boolean last) {
    if (separator.isEmpty()) {
      throw Failed.because("empty separator");
    }
    int at = last ? s.lastIndexOf(separator) : s.indexOf(separator);
    if (at < 0) {
      return new Tuple(last ? List.of("", "", s) : List.of(s, "", ""));
    }
    return new Tuple(
        List.of(s.substring(0, at), separator, s.substring(at + separator.length())));
  }

  private static String removePrefix(String s, String prefix) {
    return s.startsWith(prefix) ? s.substring(prefix.length()) : s;
  }

  private static String removeSuffix(String s, String suffix) {
    return s.endsWith(suffix) ? s.substring(0, s.length() - suffix.length()) : s;
  }

  static String replace(Interpreter in, String s, String from, String to, int most) {
    int left = most < 0 ? Integer.MAX_VALUE : most;
    in.values.steps(s.length() / 16);
    var out = new StringBuilder(s.length());
    int at = 0;
    if (from.isEmpty()) {
      while (left-- > 0 && at <= s.length()) {
        out.append(to);
        in.values.make(to.length() + 1L);
        if (at == s.length()) {
          return out.toString();
        }
        int next = at + Character.charCount(s.codePointAt(at));
        out.append(s, at, next);
        at = next;
      }
      return out.append(s, at, s.length()).toString();
    }
    for (int i = s.indexOf(from); i >= 0 && left-- > 0; i = s.indexOf(from, at)) {
      in.values.make((long) i - at + to.length());
      out.append(s, at, i).append(to);
      at = i + from.length();
    }
    return at == 0 ? s : out.append(s, at, s.length()).toString();
  }

  private static Object split(Interpreter in, Object self, Arguments a, boolean fromRight) {
    String s = (String) self;
    int most = a.number(1, -1);
    int left = most < 0 ? Integer.MAX_VALUE : most;
    in.values.steps(s.length() / 16);
    List<Object> parts =
        a.has(0) ? split(s, a.text(0), left, fromRight) : splitBlanks(s, left, fromRight);
    in.values.make(parts.size());
    return parts;
  }

  private static List<Object> split(String s, String separator, int most, boolean fromRight) {
    if (separator.isEmpty()) {
      throw Failed.because("empty separator");
    }
    var parts = new ArrayList<Object>();
    int left = most;
    if (fromRight) {
      int end = s.length();
      for (int i; left-- > 0 && (i = before(s, separator, end)) >= 0; end = i) {
        parts.add(s.substring(i + separator.length(), end));
      }
      parts.add(s.substring(0, end));
      Collections.reverse(parts);
    } else {
      int start = 0;
      for (int i; left-- > 0 && (i = s.indexOf(separator, start)) >= 0; ) {
        parts.add(s.substring(start, i));
        start = i + separator.length();
      }
      parts.add(s.substring(start));
    }
    return parts;
  }

  private static int before(String s, String separator, int end) {
    return end < separator.length() ? -1 : s.lastIndexOf(separator, end - separator.length());
  }

  /** At runs of white space, those at the ends left out; the last part keeps what is in it. */
  private static List<Object> splitBlanks(String s, int most, boolean fromRight) {
    var parts = new ArrayList<Object>();
    String rest = fromRight ? Text.rstrip(s) : Text.lstrip(s);
    int left = most;
    while (!rest.isEmpty()) {
      int at = left-- > 0 ? blank(rest, fromRight) : -1;
      if (at < 0) {
        parts.add(rest);
        break;
      }
      parts.add(fromRight ? rest.substring(at + 1) : rest.substring(0, at));
      rest = fromRight ? Text.rstrip(rest.substring(0, at)) : Text.lstrip(rest.substring(at));
    }
    if (fromRight) {
      Collections.reverse(parts);
    }
    return parts;
  }

  private static int blank(String s, boolean last) {
    for (int i = 0; i < s.length(); i++) {
      int at = last ? s.length() - 1 - i : i;
      if (Text.isSpace(s.charAt(at))) {
        return at;
      }
    }
    return -1;
  }

  /** Lines by all that Unicode ends one with. */
  static List<Object> lines(String s, boolean keepEnds) {
    var lines = new ArrayList<Object>();
    int start = 0;
    for (int i = 0; i < s.length(); i++) {
      char c = s.charAt(i);
      if (c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028
          || c == 0x2029) {
        int end = c == '\r' && i + 1 < s.length() && s.charAt(i + 1) == '\n' ? i + 2 : i + 1;
        lines.add(s.substring(start, keepEnds ? end : i));
        start = end;
        i = end - 1;
      }
    }
    if (start < s.length()) {
      lines.add(s.substring(start));
    }
    return lines;
  }

  private static String swapCase(String s) {
    var out = new StringBuilder(s.length());
    s.codePoints()
        .forEach(
            c -> {
              String one = Character.toString(c);
              out.append(Character.isUpperCase(c) ? Text.lower(one) : Text.upper(one));
            });
    return out.toString();
  }
}
