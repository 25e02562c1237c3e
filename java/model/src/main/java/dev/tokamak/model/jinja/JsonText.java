// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.math.BigInteger;
import java.util.Comparator;
import java.util.List;

/** JSON as Python's {@code json.dumps} writes it. */
final class JsonText {
  private final Values values;
  private final boolean ascii;
  private final boolean sorted;
  private final String indent;
  private final boolean lines;
  private final String comma;
  private final String colon;
  private final StringBuilder out = new StringBuilder();

  private JsonText(Values values, Arguments a) {
    this.values = values;
    ascii = a.truth(0, false);
    Object step = a.or(1, None.NONE);
    lines = step != None.NONE;
    if (step instanceof String text) {
      indent = text;
    } else if (lines && !Numbers.isInteger(step)) {
      throw Failed.because("indent: expected an integer or text, found " + Values.typeName(step));
    } else {
      int width = lines ? Math.max(0, Numbers.index(step)) : 0;
      values.make(width);
      indent = " ".repeat(width);
    }
    String[] between = {lines ? "," : ", ", ": "};
    if (a.has(2)) {
      List<Object> given = values.list(a.get(2));
      if (given.size() != 2 || !given.stream().allMatch(String.class::isInstance)) {
        throw Failed.because("separators: expected two texts");
      }
      between = given.toArray(String[]::new);
    }
    comma = between[0];
    colon = between[1];
    sorted = a.truth(3, false);
  }

  /** The filter {@code tojson(ensure_ascii, indent, separators, sort_keys)}. */
  static Object filter(Interpreter in, Object value, Arguments a) {
    var json = new JsonText(in.values, a);
    json.write(value, 0);
    return json.out.toString();
  }

  private void write(Object value, int depth) {
    values.steps(1);
    int before = out.length();
    switch (value) {
      case None _ -> out.append("null");
      case Boolean b -> out.append(b.booleanValue());
      case Long l -> out.append(l.longValue());
      case BigInteger b -> out.append(b);
      case Double d -> out.append(real(d));
      case String s -> quoted(s);
      case Range _ -> throw unknown(value);
      case List<?> list -> array(list, depth);
      case Tuple tuple -> array(tuple.items(), depth);
      case Dict dict -> object(dict, depth);
      default -> throw unknown(value);
    }
    values.make(out.length() - before);
  }

  private static Failed unknown(Object value) {
    return Failed.because(
        "Object of type " + Values.typeName(value) + " is not JSON serializable");
  }

  private static String real(double value) {
    return Double.isNaN(value)
        ? "NaN"
        : Double.isInfinite(value) ? value > 0 ? "Infinity" : "-Infinity" : Numbers.repr(value);
  }

  private void array(List<?> items, int depth) {
    out.append('[');
    String between = "";
    for (Object item : items) {
      out.append(between);
      line(depth + 1);
      write(item, depth + 1);
      between = comma;
    }
    if (!items.isEmpty()) {
      line(depth);
    }
    out.append(']');
  }

  private void object(Dict dict, int depth) {
    List<Dict.Entry> entries = List.copyOf(dict.entries());
    if (sorted) {
      Comparator<Dict.Entry> byKey = (x, y) -> values.order(x.key(), y.key());
      entries = entries.stream().sorted(byKey).toList();
    }
    out.append('{');
    String between = "";
    for (Dict.Entry entry : entries) {
      out.append(between);
      line(depth + 1);
      quoted(key(entry.key()));
      out.append(colon);
      write(entry.value(), depth + 1);
      between = comma;
    }
    if (!entries.isEmpty()) {
      line(depth);
    }
    out.append('}');
  }

  private static String key(Object key) {
    return switch (key) {
      case String s -> s;
      case None _ -> "null";
      case Boolean b -> b.toString();
      case Long l -> l.toString();
      case BigInteger b -> b.toString();
      case Double d -> real(d);
      default ->
          throw Failed.because(
              "keys must be str, int, float, bool or None, not " + Values.typeName(key));
    };
  }

  private void line(int depth) {
    if (lines) {
      values.make((long) depth * indent.length());
      out.append('\n').append(indent.repeat(depth));
    }
  }

  private void quoted(String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int letter = "\"\\\n\r\t\f\b".indexOf(c);
      if (letter >= 0) {
        out.append('\\').append("\"\\nrtfb".charAt(letter));
      } else if (c < 0x20 || ascii && c > 0x7e) {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }
}
