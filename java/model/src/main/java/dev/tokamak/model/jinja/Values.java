// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What Python does with values. A value is {@link None}, {@link Boolean}, {@link Long} or {@link
 * BigInteger}, {@link Double}, {@link String}, {@link List}, {@link Tuple}, {@link Dict}, {@link
 * Range}, {@link Lazy}, {@link Namespace}, {@link Undefined}, or something to call. None but a
 * namespace ever changes.
 */
final class Values {
  private final Budget budget;

  Values(Budget budget) {
    this.budget = budget;
  }

  /**
   * A value of Java's as one of Python's: null, booleans, numbers, texts, lists and maps of them.
   *
   * @throws IllegalArgumentException for anything else
   */
  static Object of(Object value) {
    return switch (value) {
      case null -> None.NONE;
      case None none -> none;
      case Boolean b -> b;
      case String s -> s;
      case Integer i -> i.longValue();
      case Long l -> l;
      case BigInteger b -> Numbers.of(b);
      // as JSON readers give numbers: with a point or an exponent it is a float
      case BigDecimal d when d.scale() == 0 -> Numbers.of(d.toBigIntegerExact());
      case Number n -> n.doubleValue();
      case List<?> list -> {
        var items = new ArrayList<Object>(list.size());
        list.forEach(item -> items.add(of(item)));
        yield items;
      }
      case Map<?, ?> map -> {
        var dict = new Dict();
        map.forEach((key, item) -> dict.put(of(key), of(item)));
        yield dict;
      }
      default ->
          throw new IllegalArgumentException(
              "a template has no values of " + value.getClass().getName());
    };
  }

  static boolean truth(Object value) {
    return switch (value) {
      case None _ -> false;
      case Boolean b -> b;
      case Long l -> l != 0;
      case Double d -> d != 0;
      case String s -> !s.isEmpty();
      case List<?> l -> !l.isEmpty();
      case Tuple t -> !t.items().isEmpty();
      case Dict d -> d.size() != 0;
      case Dict.View v -> v.dict().size() != 0;
      case Undefined _ -> false;
      default -> true;
    };
  }

  static String typeName(Object value) {
    return switch (value) {
      case None _ -> "NoneType";
      case Boolean _ -> "bool";
      case Long _ -> "int";
      case BigInteger _ -> "int";
      case Double _ -> "float";
      case String _ -> "str";
      case Range _ -> "range";
      case List<?> _ -> "list";
      case Tuple _ -> "tuple";
      case Dict _ -> "dict";
      case Dict.View v -> "dict_" + v.kind();
      case Undefined _ -> "Undefined";
      case Lazy _ -> "generator";
      default -> value.getClass().getSimpleName();
    };
  }

  /** What a print statement writes. */
  String str(Object value) {
    return switch (value) {
      case String s -> s;
      case Undefined _ -> "";
      default -> repr(value);
    };
  }

  /** How a value looks in a list. */
  String repr(Object value) {
    var out = new StringBuilder();
    repr(out, value);
    return out.toString();
  }

  private void repr(StringBuilder out, Object value) {
    budget.step();
    int before = out.length();
    switch (value) {
      case None _ -> out.append("None");
      case Boolean b -> out.append(b ? "True" : "False");
      case Long l -> out.append(l.longValue());
      case BigInteger b -> out.append(b);
      case Double d -> out.append(Numbers.repr(d));
      case String s -> out.append(Text.quoted(s));
      case Range range -> out.append(range);
      case List<?> list -> items(out, "[", list, "]");
      case Tuple tuple -> items(out, "(", tuple.items(), tuple.items().size() == 1 ? ",)" : ")");
      case Dict dict -> {
        out.append('{');
        String between = "";
        for (Dict.Entry entry : dict.entries()) {
          repr(out.append(between), entry.key());
          repr(out.append(": "), entry.value());
          between = ", ";
        }
        out.append('}');
      }
      case Dict.View view -> items(out, typeName(view) + "([", view.list(), "])");
      case Namespace namespace -> {
        var dict = new Dict();
        namespace.attributes().forEach(dict::put);
        repr(out.append("<Namespace "), dict);
        out.append('>');
      }
      case Undefined _ -> out.append("Undefined");
      case Function.Bound bound ->
          out.append("<function ").append(bound.function().name()).append('>');
      case Macro macro -> out.append("<Macro ").append(Text.quoted(macro.name())).append('>');
      case Loop loop ->
          out.append("<LoopContext ").append(loop.index()).append('/').append(loop.length())
              .append('>');
      default -> out.append('<').append(typeName(value)).append('>');
    }
    budget.make(out.length() - before);
  }

  private void items(StringBuilder out, String open, List<?> items, String close) {
    out.append(open);
    String between = "";
    for (Object item : items) {
      repr(out.append(between), item);
      between = ", ";
    }
    out.append(close);
  }

  boolean equal(Object a, Object b) {
    budget.step();
    if (a == b) {
      return !Numbers.isNan(a);
    }
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return !Numbers.isNan(a) && !Numbers.isNan(b) && Numbers.compare(a, b) == 0;
    }
    if (a instanceof Range != b instanceof Range) {
      return false;
    }
    return switch (a) {
      case String s -> s.equals(b);
      case List<?> x -> b instanceof List<?> y && equalItems(x, y);
      case Tuple x -> b instanceof Tuple y && equalItems(x.items(), y.items());
      case Dict x -> b instanceof Dict y && equalDicts(x, y);
      case Dict.View x when !x.kind().equals("values") ->
          b instanceof Dict.View y
              && x.kind().equals(y.kind())
              && x.dict().size() == y.dict().size()
              && x.list().stream().allMatch(item -> contains(y.list(), item));
      case Undefined _ -> b instanceof Undefined;
      case None _ -> false;
      default -> a.equals(b);
    };
  }

  private boolean equalItems(List<?> x, List<?> y) {
    if (x.size() != y.size()) {
      return false;
    }
    for (int i = 0; i < x.size(); i++) {
      if (x.get(i) != y.get(i) && !equal(x.get(i), y.get(i))) {
        return false;
      }
    }
    return true;
  }

  private boolean equalDicts(Dict x, Dict y) {
    if (x.size() != y.size()) {
      return false;
    }
    for (Dict.Entry entry : x.entries()) {
      Optional<Object> other = y.get(entry.key());
      if (other.isEmpty() || !equal(entry.value(), other.get())) {
        return false;
      }
    }
    return true;
  }

  /** One of {@code == != < <= > >= in}. */
  boolean compare(String operator, Object a, Object b) {
    return switch (operator) {
      case "==" -> equal(a, b);
      case "!=" -> !equal(a, b);
      case "in" -> contains(b, a);
      case "not in" -> !contains(b, a);
      default -> {
        if (Numbers.isNan(a) || Numbers.isNan(b)) {
          yield false;
        }
        int order = order(operator, a, b);
        yield switch (operator) {
          case "<" -> order < 0;
          case "<=" -> order <= 0;
          case ">" -> order > 0;
          default -> order >= 0;
        };
      }
    };
  }

  /** Which comes first, as {@code <} says. */
  int order(Object a, Object b) {
    return order("<", a, b);
  }

  private int order(String operator, Object a, Object b) {
    budget.step();
    if (a instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (b instanceof Undefined undefined) {
      throw undefined.failure();
    }
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.compare(a, b);
    }
    if (a instanceof String x && b instanceof String y) {
      return byCodePoint(x, y);
    }
    boolean ranges = a instanceof Range || b instanceof Range;
    if (a instanceof List<?> x && b instanceof List<?> y && !ranges) {
      return orderItems(operator, x, y);
    }
    if (a instanceof Tuple x && b instanceof Tuple y) {
      return orderItems(operator, x.items(), y.items());
    }
    throw Failed.because(
        "'" + operator + "' not supported between instances of '" + typeName(a) + "' and '"
            + typeName(b) + "'");
  }

  private static int byCodePoint(String x, String y) {
    int length = Math.min(x.length(), y.length());
    for (int i = 0; i < length; i++) {
      char c = x.charAt(i);
      char d = y.charAt(i);
      if (c != d) {
        // a surrogate stands for a code point above all others
        return Character.isSurrogate(c) == Character.isSurrogate(d)
            ? Character.compare(c, d)
            : Character.isSurrogate(c) ? 1 : -1;
      }
    }
    return Integer.compare(x.length(), y.length());
  }

  private int orderItems(String operator, List<?> x, List<?> y) {
    for (int i = 0; i < Math.min(x.size(), y.size()); i++) {
      if (!equal(x.get(i), y.get(i))) {
        return order(operator, x.get(i), y.get(i));
      }
    }
    return Integer.compare(x.size(), y.size());
  }

  boolean contains(Object container, Object item) {
    switch (container) {
      case String s -> {
        if (item instanceof Undefined || !(item instanceof String)) {
          throw Failed.because(
              "'in <string>' requires string as left operand, not " + typeName(item));
        }
        budget.steps(s.length() / 64);
        return s.contains((String) item);
      }
      case Dict d -> {
        return d.get(item).isPresent();
      }
      case Namespace _ ->
          throw Failed.because("argument of type 'Namespace' is not a container or iterable");
      default -> {
        if (!iterable(container)) {
          throw Failed.because(
              "argument of type '" + typeName(container) + "' is not a container or iterable");
        }
        Iterator<Object> items = iterate(container);
        while (items.hasNext()) {
          if (equal(items.next(), item)) {
            return true;
          }
        }
        return false;
      }
    }
  }

  static boolean iterable(Object value) {
    return switch (value) {
      case String _ -> true;
      case List<?> _ -> true;
      case Tuple _ -> true;
      case Dict _ -> true;
      case Dict.View _ -> true;
      case Lazy _ -> true;
      case Undefined _ -> true;
      default -> false;
    };
  }

  Iterator<Object> iterate(Object value) {
    return switch (value) {
      case String s ->
          s.codePoints().<Object>mapToObj(Character::toString).iterator();
      case List<?> list -> Collections.<Object>unmodifiableList(list).iterator();
      case Tuple tuple -> tuple.items().iterator();
      case Dict dict -> dict.entries().stream().map(Dict.Entry::key).iterator();
      case Dict.View view -> view.list().iterator();
      case Lazy lazy -> lazy.values();
      case Undefined _ -> Collections.emptyIterator();
      default ->
          throw Failed.because("'" + typeName(value) + "' object is not iterable");
    };
  }

  /** All that can be iterated over. */
  List<Object> list(Object value) {
    if (value instanceof Tuple tuple) {
      return tuple.items();
    }
    var list = new ArrayList<Object>();
    Iterator<Object> items = iterate(value);
    while (items.hasNext()) {
      budget.step();
      list.add(items.next());
    }
    budget.make(list.size());
    return list;
  }

  /** Its {@code len}, if it has one. */
  static Optional<Integer> size(Object value) {
    return switch (value) {
      case String s -> Optional.of(Text.length(s));
      case List<?> list -> Optional.of(list.size());
      case Tuple tuple -> Optional.of(tuple.items().size());
      case Dict dict -> Optional.of(dict.size());
      case Dict.View view -> Optional.of(view.dict().size());
      case Loop loop -> Optional.of(loop.length());
      case Undefined _ -> Optional.of(0);
      default -> Optional.empty();
    };
  }

  static long length(Object value) {
    return size(value)
        .orElseThrow(
            () -> Failed.because("object of type '" + typeName(value) + "' has no len()"));
  }

  /** {@code value[key]}, or empty where Python has a TypeError or LookupError. */
  Optional<Object> item(Object value, Object key) {
    return switch (value) {
      case Undefined undefined -> throw undefined.failure();
      case Dict dict -> {
        if (key instanceof List<?> || key instanceof Dict) {
          yield Optional.empty();
        }
        yield dict.get(key);
      }
      case String s when Numbers.isInteger(key) ->
          index(Text.length(s), key).map(i -> Text.at(s, i));
      case List<?> list when Numbers.isInteger(key) -> index(list.size(), key).map(list::get);
      case Tuple tuple when Numbers.isInteger(key) ->
          index(tuple.items().size(), key).map(tuple.items()::get);
      default -> Optional.empty();
    };
  }

  private static Optional<Integer> index(int size, Object key) {
    int index = Numbers.index(key);
    int from = index < 0 ? index + size : index;
    return from >= 0 && from < size ? Optional.of(from) : Optional.empty();
  }

  /** {@code value[start:stop:step]}. */
  Object slice(Object value, Object start, Object stop, Object step) {
    switch (value) {
      case Undefined undefined -> throw undefined.failure();
      case String _, Tuple _, List<?> _ -> {}
      case Dict _ -> throw Failed.because("unhashable type: 'slice'");
      default ->
          throw Failed.because("'" + typeName(value) + "' object is not subscriptable");
    }
    long by = bound(step, 1);
    if (by == 0) {
      throw Failed.because("slice step cannot be zero");
    }
    long size = length(value);
    long first = place(bound(start, by > 0 ? 0 : size - 1), start, size, by);
    long end = stop == None.NONE ? by > 0 ? size : -1 : place(bound(stop, 0), stop, size, by);
    int count = (int) Math.max(0, Math.ceilDiv(end - first, by));
    budget.make(count);
    budget.steps(count / 8);
    if (value instanceof String text) {
      if (by == 1) {
        return count == 0 ? "" : Text.substring(text, (int) first, (int) first + count);
      }
      int[] letters = text.codePoints().toArray();
      var out = new StringBuilder(count);
      for (long i = 0, at = first; i < count; i++, at += by) {
        out.appendCodePoint(letters[(int) at]);
      }
      return out.toString();
    }
    List<?> items = value instanceof Tuple tuple ? tuple.items() : (List<?>) value;
    var out = new ArrayList<Object>(count);
    for (long i = 0, at = first; i < count; i++, at += by) {
      out.add(items.get((int) at));
    }
    return value instanceof Tuple ? new Tuple(out) : out;
  }

  private static long bound(Object value, long standard) {
    if (value == None.NONE) {
      return standard;
    }
    if (!Numbers.isInteger(value)) {
      throw Failed.because(
          "slice indices must be integers or None or have an __index__ method");
    }
    return Numbers.index(value);
  }

  private static long place(long bound, Object given, long size, long step) {
    if (given == None.NONE) {
      return bound;
    }
    long from = bound < 0 ? bound + size : bound;
    return step > 0 ? Math.clamp(from, 0, size) : Math.clamp(from, -1, size - 1);
  }

  /** {@code + - * / // % **}. */
  Object binary(String operator, Object a, Object b) {
    if (a instanceof Undefined undefined) {
      throw undefined.failure();
    }
    boolean format = operator.equals("%") && a instanceof String;
    if (b instanceof Undefined undefined && !format) {
      throw undefined.failure();
    }
    if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
      return Numbers.arithmetic(operator, a, b);
    }
    switch (operator) {
      case "+" -> {
        if (a instanceof String x && b instanceof String y) {
          budget.make((long) x.length() + y.length());
          return x.concat(y);
        }
        if (a instanceof Tuple x && b instanceof Tuple y) {
          return new Tuple(joined(x.items(), y.items()));
        }
        boolean ranges = a instanceof Range || b instanceof Range;
        if (a instanceof List<?> x && b instanceof List<?> y && !ranges) {
          return joined(x, y);
        }
        if (a instanceof String || a instanceof Tuple || a instanceof List<?> && !ranges) {
          String type = typeName(a);
          throw Failed.because(
              "can only concatenate " + type + " (not \"" + typeName(b) + "\") to " + type);
        }
      }
      case "*" -> {
        if (Numbers.isInteger(b) && !(a instanceof Range)) {
          Optional<Object> repeated = repeated(a, Numbers.index(b));
          if (repeated.isPresent()) {
            return repeated.get();
          }
        } else if (Numbers.isInteger(a) && !(b instanceof Range)) {
          Optional<Object> repeated = repeated(b, Numbers.index(a));
          if (repeated.isPresent()) {
            return repeated.get();
          }
        }
      }
      case "%" -> {
        if (a instanceof String text) {
          return new PercentFormat(this, text).with(b);
        }
      }
      default -> {}
    }
    String name = operator.equals("**") ? "** or pow()" : operator;
    throw Failed.because(
        "unsupported operand type(s) for " + name + ": '" + typeName(a) + "' and '" + typeName(b)
            + "'");
  }

  private List<Object> joined(List<?> x, List<?> y) {
    budget.make((long) x.size() + y.size());
    var out = new ArrayList<Object>(x.size() + y.size());
    out.addAll(x);
    out.addAll(y);
    return out;
  }

  private Optional<Object> repeated(Object value, int times) {
    int count = Math.max(0, times);
    return switch (value) {
      case String s -> {
        budget.make((long) s.length() * count);
        yield Optional.of(s.repeat(count));
      }
      case List<?> list -> Optional.of(repeatedItems(list, count));
      case Tuple tuple -> Optional.of(new Tuple(repeatedItems(tuple.items(), count)));
      default -> Optional.empty();
    };
  }

  private List<Object> repeatedItems(List<?> items, int count) {
    budget.make((long) items.size() * count);
    var out = new ArrayList<Object>(items.size() * count);
    for (int i = 0; i < count; i++) {
      out.addAll(items);
    }
    return out;
  }

  /** Called before a text of this many characters is made. */
  void make(long characters) {
    budget.make(characters);
  }

  void steps(long count) {
    budget.steps(count);
  }
}
