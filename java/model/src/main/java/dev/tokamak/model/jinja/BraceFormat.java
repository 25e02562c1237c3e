// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

/** Python's {@code "{} and {name!r:>8}".format(a, name=b)}. */
final class BraceFormat {
  private final Interpreter in;
  private final String format;
  private final Arguments arguments;
  private int next;

  BraceFormat(Interpreter in, String format, Arguments arguments) {
    this.in = in;
    this.format = format;
    this.arguments = arguments;
  }

  String result() {
    return fill(format, 2);
  }

  private String fill(String text, int depth) {
    if (depth == 0) {
      throw Failed.because("Max string recursion exceeded");
    }
    var out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean twice = i + 1 < text.length() && text.charAt(i + 1) == c;
      if (c != '{' && c != '}') {
        out.append(c);
      } else if (twice) {
        out.append(c);
        i++;
      } else if (c == '}') {
        throw Failed.because("Single '}' encountered in format string");
      } else {
        int end = end(text, i + 1);
        out.append(field(text.substring(i + 1, end), depth));
        i = end;
      }
    }
    in.values.make(out.length());
    return out.toString();
  }

  private static int end(String text, int from) {
    int open = 1;
    for (int i = from; i < text.length(); i++) {
      open += text.charAt(i) == '{' ? 1 : text.charAt(i) == '}' ? -1 : 0;
      if (open == 0) {
        return i;
      }
    }
    throw Failed.because(
        from == text.length()
            ? "Single '{' encountered in format string"
            : "expected '}' before end of string");
  }

  private String field(String field, int depth) {
    int colon = field.indexOf(':');
    String spec = colon < 0 ? "" : fill(field.substring(colon + 1), depth - 1);
    String name = colon < 0 ? field : field.substring(0, colon);
    int mark = name.indexOf('!');
    String conversion = mark < 0 ? "" : name.substring(mark + 1);
    Object value = value(mark < 0 ? name : name.substring(0, mark));
    value =
        switch (conversion) {
          case "" -> value;
          case "s" -> in.values.str(value);
          case "r", "a" -> in.values.repr(value);
          default -> throw Failed.because("Unknown conversion specifier '" + conversion + "'");
        };
    return spec.isEmpty()
        ? in.values.str(value)
        : FormatSpec.parse(in.values, spec).format(value);
  }

  /** {@code name.attribute[key]}. */
  private Object value(String path) {
    int at = 0;
    while (at < path.length() && path.charAt(at) != '.' && path.charAt(at) != '[') {
      at++;
    }
    Object value = first(path.substring(0, at));
    while (at < path.length()) {
      if (path.charAt(at) == '.') {
        int start = ++at;
        while (at < path.length() && path.charAt(at) != '.' && path.charAt(at) != '[') {
          at++;
        }
        value = in.attribute(value, path.substring(start, at));
      } else {
        int end = path.indexOf(']', at);
        if (end < 0) {
          throw Failed.because("Missing ']' in format string");
        }
        String key = path.substring(at + 1, end);
        value = in.item(value, key.matches("\\d{1,9}") ? (Object) Long.valueOf(key) : key);
        at = end + 1;
      }
    }
    return value;
  }

  private Object first(String name) {
    if (name.isEmpty() || name.matches("\\d{1,9}")) {
      int index = name.isEmpty() ? next++ : Integer.parseInt(name);
      if (index >= arguments.ordered().size()) {
        throw Failed.because(
            "Replacement index " + index + " out of range for positional args tuple");
      }
      return arguments.ordered().get(index);
    }
    Object value = arguments.named().get(name);
    if (value == null) {
      throw Failed.because(Text.quoted(name));
    }
    return value;
  }
}
