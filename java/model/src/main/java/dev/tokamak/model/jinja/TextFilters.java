// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Filters on text. */
final class TextFilters {
  private static final Pattern WORD = Pattern.compile("\\w+", Pattern.UNICODE_CHARACTER_CLASS);
  private static final Pattern CHUNK =
      Pattern.compile("\\s+|(?:(?!\\s|\\p{L}-\\p{L}).)+(?:\\p{L}-)?|\\S");
  private static final String UNRESERVED =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";

  private TextFilters() {}

  static Object standard(Interpreter in, Object value, Arguments a) {
    boolean missing = value instanceof Undefined || a.truth(1, false) && !Values.truth(value);
    return missing ? a.given(0) ? a.get(0) : "" : value;
  }

  /** Jinja's own: words begin behind blanks, hyphens and opening brackets only. */
  static String title(String text) {
    var out = new StringBuilder(text.length());
    boolean begins = true;
    for (int c : text.codePoints().toArray()) {
      String one = Character.toString(c);
      out.append(begins ? Text.upper(one) : Text.lower(one));
      begins = Text.isSpace(c) || "-({[<".indexOf(c) >= 0;
    }
    return out.toString();
  }

  static Object replace(Interpreter in, Object value, Arguments a) {
    return TextMethods.replace(
        in,
        in.values.str(value),
        in.values.str(a.get(0)),
        in.values.str(a.get(1)),
        a.number(2, -1));
  }

  static Object center(Interpreter in, Object value, Arguments a) {
    var width = new Arguments(List.of((long) a.number(0, 80)), Map.of());
    return TextMethods.TABLE.get("center").body().call(in, in.values.str(value), width);
  }

  static Object indent(Interpreter in, Object value, Arguments a) {
    if (!(value instanceof String text)) {
      throw value instanceof Undefined undefined
          ? undefined.failure()
          : Failed.because("indent: expected str, found " + Values.typeName(value));
    }
    String indent;
    if (a.or(0, 4L) instanceof String given) {
      indent = given;
    } else {
      int width = Math.max(0, a.number(0, 4));
      in.values.make(width);
      indent = " ".repeat(width);
    }
    boolean blank = a.truth(2, false);
    List<Object> lines = TextMethods.lines(text + "\n", false);
    var out = new StringBuilder(a.truth(1, false) ? indent : "");
    for (int i = 0; i < lines.size(); i++) {
      String line = (String) lines.get(i);
      if (i > 0) {
        out.append('\n').append(blank || !line.isEmpty() ? indent : "");
      }
      in.values.make((long) line.length() + indent.length());
      out.append(line);
    }
    return out.toString();
  }

  static Object truncate(Interpreter in, Object value, Arguments a) {
    String text = in.values.str(value);
    int length = a.number(0, 255);
    String end = a.text(2, "...");
    int leeway = a.number(3, 5);
    if (length < Text.length(end)) {
      throw Failed.because("expected length >= " + Text.length(end) + ", got " + length);
    }
    if (leeway < 0) {
      throw Failed.because("expected leeway >= 0, got " + leeway);
    }
    if (Text.length(text) <= (long) length + leeway) {
      return text;
    }
    String cut = Text.substring(text, 0, length - Text.length(end));
    int blank = cut.lastIndexOf(' ');
    return (a.truth(1, false) || blank < 0 ? cut : cut.substring(0, blank)) + end;
  }

  static Object wordWrap(Interpreter in, Object value, Arguments a) {
    String text = in.values.str(value);
    int width = a.number(0, 79);
    if (width < 1) {
      throw Failed.because("invalid width " + width + " (must be > 0)");
    }
    boolean breakWords = a.truth(1, true);
    boolean hyphens = a.truth(3, true);
    var lines = new ArrayList<String>();
    for (Object paragraph : TextMethods.lines(text, false)) {
      List<String> wrapped = wrap((String) paragraph, width, breakWords, hyphens);
      lines.addAll(wrapped.isEmpty() ? List.of("") : wrapped);
    }
    in.values.make(2L * text.length());
    return String.join(a.text(2, "\n"), lines);
  }

  private static List<String> wrap(String text, int width, boolean breakWords, boolean hyphens) {
    var chunks = new ArrayList<String>();
    Matcher chunk = hyphens ? CHUNK.matcher(text) : Pattern.compile("\\s+|\\S+").matcher(text);
    while (chunk.find()) {
      chunks.add(chunk.group());
    }
    var lines = new ArrayList<String>();
    var line = new StringBuilder();
    for (int i = 0; i < chunks.size(); ) {
      String next = chunks.get(i);
      boolean dropped = line.isEmpty() && !lines.isEmpty() && Text.isBlank(next);
      if (dropped) {
        i++;
      } else if (line.length() + next.length() <= width) {
        line.append(next);
        i++;
      } else if (next.length() > width && breakWords) {
        int room = width - line.length();
        line.append(next, 0, room);
        chunks.set(i, next.substring(room));
        add(lines, line);
      } else {
        if (line.isEmpty()) {
          line.append(next);
          i++;
        }
        add(lines, line);
      }
    }
    add(lines, line);
    return lines;
  }

  private static void add(List<String> lines, StringBuilder line) {
    String text = Text.rstrip(line.toString());
    if (!text.isEmpty()) {
      lines.add(text);
    }
    line.setLength(0);
  }

  static long words(String text) {
    return WORD.matcher(text).results().count();
  }

  static Object format(Interpreter in, Object value, Arguments a) {
    if (!a.ordered().isEmpty() && !a.named().isEmpty()) {
      throw Failed.because("can't handle positional and keyword arguments at the same time");
    }
    Object given = new Tuple(a.ordered());
    if (!a.named().isEmpty()) {
      var dict = new Dict();
      a.named().forEach(dict::put);
      given = dict;
    }
    return new PercentFormat(in.values, in.values.str(value)).with(given);
  }

  static String escape(String text) {
    return text.replace("&", "&amp;")
        .replace(">", "&gt;")
        .replace("<", "&lt;")
        .replace("'", "&#39;")
        .replace("\"", "&#34;");
  }

  static String stripTags(String text) {
    String rest = without(without(text, "<!--", "-->"), "<", ">");
    return Text.strip(rest.replaceAll("\\s+", " "))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
  }

  private static String without(String text, String open, String close) {
    var out = new StringBuilder(text.length());
    int at = 0;
    for (int start = text.indexOf(open); start >= 0; start = text.indexOf(open, at)) {
      int end = text.indexOf(close, start);
      if (end < 0) {
        break;
      }
      out.append(text, at, start);
      at = end + close.length();
    }
    return out.append(text.substring(at)).toString();
  }

  static Object urlEncode(Interpreter in, Object value, Arguments a) {
    if (value instanceof String || !Values.iterable(value)) {
      return percent(in, in.values.str(value), "/");
    }
    List<Object> pairs =
        value instanceof Dict dict ? new Dict.View("items", dict).list() : in.values.list(value);
    var out = new ArrayList<String>();
    for (Object pair : pairs) {
      List<Object> both = in.values.list(pair);
      if (both.size() != 2) {
        throw Failed.because("urlencode: expected pairs");
      }
      out.add(
          percent(in, in.values.str(both.get(0)), "").replace("%20", "+")
              + "="
              + percent(in, in.values.str(both.get(1)), "").replace("%20", "+"));
    }
    return String.join("&", out);
  }

  private static String percent(Interpreter in, String text, String safe) {
    in.values.make(3L * text.length());
    var out = new StringBuilder(text.length());
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      boolean plain = b > 0 && (UNRESERVED + safe).indexOf(b) >= 0;
      out.append(plain ? String.valueOf((char) b) : String.format("%%%02X", b));
    }
    return out.toString();
  }
}
