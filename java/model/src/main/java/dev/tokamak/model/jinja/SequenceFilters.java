// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/** Filters on lists and what else has items. */
final class SequenceFilters {
  private SequenceFilters() {}

  /** Looks up {@code a.b.0} in an item, as {@code item['a']['b'][0]} would. */
  private static UnaryOperator<Object> path(
      Interpreter in, Object path, Optional<Object> standard) {
    List<Object> keys = new ArrayList<>();
    if (path instanceof String text) {
      for (String key : text.split("\\.", -1)) {
        keys.add(key.matches("\\d{1,9}") ? (Object) Long.valueOf(key) : key);
      }
    } else if (path != None.NONE) {
      keys.add(path);
    }
    return item -> {
      Object value = item;
      for (Object key : keys) {
        value = in.item(value, key);
        if (value instanceof Undefined && standard.isPresent()) {
          value = standard.get();
        }
      }
      return value;
    };
  }

  private static UnaryOperator<Object> key(Interpreter in, Object path, boolean caseSensitive) {
    UnaryOperator<Object> value = path(in, path, Optional.empty());
    return item -> caseSensitive ? value.apply(item) : folded(value.apply(item));
  }

  private static Object folded(Object value) {
    return value instanceof String text ? Text.lower(text) : value;
  }

  static Object attr(Interpreter in, Object value, Arguments a) {
    if (value instanceof Undefined undefined) {
      throw undefined.failure();
    }
    String name = a.text(0);
    return Attributes.find(value, name).orElseGet(() -> Attributes.missing(value, name));
  }

  static Object list(Interpreter in, Object value, Arguments a) {
    return new ArrayList<>(in.values.list(value));
  }

  static Object first(Interpreter in, Object value, Arguments a) {
    Iterator<Object> items = in.values.iterate(value);
    return items.hasNext()
        ? items.next()
        : new Undefined("No first item, sequence was empty.");
  }

  static Object last(Interpreter in, Object value, Arguments a) {
    if (value instanceof Lazy) {
      throw Failed.because("'generator' object is not reversible");
    }
    List<Object> items = in.values.list(value);
    return items.isEmpty()
        ? new Undefined("No last item, sequence was empty.")
        : items.getLast();
  }

  static Object reverse(Interpreter in, Object value, Arguments a) {
    if (value instanceof String) {
      return in.values.slice(value, None.NONE, None.NONE, -1L);
    }
    if (!Values.iterable(value)) {
      throw Failed.because("argument must be iterable");
    }
    List<Object> items = new ArrayList<>(in.values.list(value));
    Collections.reverse(items);
    return value instanceof Lazy ? items : new Lazy(items.iterator());
  }

  static Object join(Interpreter in, Object value, Arguments a) {
    UnaryOperator<Object> part = path(in, a.or(1, None.NONE), Optional.empty());
    var parts = new ArrayList<Object>();
    for (Object item : in.values.list(value)) {
      parts.add(in.values.str(part.apply(item)));
    }
    String between = a.given(0) ? in.values.str(a.get(0)) : "";
    return TextMethods.join(in, between, new Arguments(List.of(parts), Map.of()));
  }

  static Object map(Interpreter in, Object value, Arguments a) {
    UnaryOperator<Object> change;
    if (a.ordered().isEmpty() && a.named().containsKey("attribute")) {
      Set<String> known = Set.of("attribute", "default");
      for (String name : a.named().keySet()) {
        if (!known.contains(name)) {
          throw Failed.because("Unexpected keyword argument '" + name + "'");
        }
      }
      Object standard = a.named().getOrDefault("default", None.NONE);
      change =
          path(
              in,
              a.named().get("attribute"),
              standard == None.NONE ? Optional.empty() : Optional.of(standard));
    } else if (a.ordered().isEmpty()) {
      return lazily(
          value, _ -> { throw Failed.because("map requires a filter argument"); }, in);
    } else {
      String name = a.text(0);
      List<Object> rest = a.ordered().subList(1, a.ordered().size());
      change = item -> in.filter(name, item, rest, a.named());
    }
    return lazily(value, change, in);
  }

  private static Lazy lazily(Object value, UnaryOperator<Object> change, Interpreter in) {
    Iterator<Object> items = items(in, value);
    return new Lazy(
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return items.hasNext();
          }

          @Override
          public Object next() {
            return change.apply(items.next());
          }
        });
  }

  /** What is there; nothing where there is nothing, be it no sequence at all. */
  private static Iterator<Object> items(Interpreter in, Object value) {
    return Values.truth(value) ? in.values.iterate(value) : Collections.emptyIterator();
  }

  /**
   * The four that choose.
   *
   * @param wanted what the test must say
   * @param attributes whether the first argument is an attribute to test
   */
  static Object select(
      Interpreter in, Object value, Arguments a, boolean wanted, boolean attributes) {
    List<Object> given = a.ordered();
    if (attributes && given.isEmpty()) {
      throw Failed.because("Missing parameter for attribute name");
    }
    UnaryOperator<Object> tested =
        path(in, attributes ? given.getFirst() : None.NONE, Optional.empty());
    int at = attributes ? 1 : 0;
    if (given.size() == at) {
      return new Lazy(
          new Interpreter.Filtered(
              items(in, value), item -> Values.truth(tested.apply(item)) == wanted));
    }
    String test = a.text(at);
    List<Object> rest = given.subList(at + 1, given.size());
    return new Lazy(
        new Interpreter.Filtered(
            items(in, value),
            item -> in.test(test, tested.apply(item), rest, a.named()) == wanted));
  }

  static Object unique(Interpreter in, Object value, Arguments a) {
    UnaryOperator<Object> key = key(in, a.or(1, None.NONE), a.truth(0, false));
    var seen = new HashSet<Object>();
    return new Lazy(
        new Interpreter.Filtered(
            in.values.iterate(value), item -> seen.add(Dict.hashed(key.apply(item)))));
  }

  static Object sort(Interpreter in, Object value, Arguments a) {
    boolean caseSensitive = a.truth(1, false);
    Object attribute = a.or(2, None.NONE);
    var keys = new ArrayList<UnaryOperator<Object>>();
    if (attribute instanceof String text) {
      for (String one : text.split(",", -1)) {
        keys.add(key(in, one, caseSensitive));
      }
    } else {
      keys.add(key(in, attribute, caseSensitive));
    }
    UnaryOperator<Object> all = item -> keys.stream().map(key -> key.apply(item)).toList();
    return sorted(in, in.values.list(value), all, a.truth(0, false));
  }

  static Object sortDict(Interpreter in, Object value, Arguments a) {
    if (!(value instanceof Dict dict)) {
      throw Failed.because("dictsort: expected a dict, found " + Values.typeName(value));
    }
    String by = a.text(1, "key");
    if (!by.equals("key") && !by.equals("value")) {
      throw Failed.because("You can only sort by either \"key\" or \"value\"");
    }
    UnaryOperator<Object> key = key(in, by.equals("key") ? 0L : 1L, a.truth(0, false));
    return sorted(in, new Dict.View("items", dict).list(), key, a.truth(2, false));
  }

  private record Keyed(Object key, Object item) {}

  private static List<Object> sorted(
      Interpreter in, List<Object> items, UnaryOperator<Object> key, boolean reverse) {
    Comparator<Keyed> order = (x, y) -> in.values.order(x.key(), y.key());
    var out = new ArrayList<Object>(items.size());
    items.stream()
        .map(item -> new Keyed(key.apply(item), item))
        .sorted(reverse ? order.reversed() : order)
        .forEach(keyed -> out.add(keyed.item()));
    return out;
  }

  static Object groups(Interpreter in, Object value, Arguments a) {
    Optional<Object> standard = a.has(1) ? Optional.of(a.get(1)) : Optional.empty();
    UnaryOperator<Object> plain = path(in, a.get(0), standard);
    boolean caseSensitive = a.truth(2, false);
    UnaryOperator<Object> key =
        item -> caseSensitive ? plain.apply(item) : folded(plain.apply(item));
    var groups = new ArrayList<Object>();
    var group = new ArrayList<Object>();
    for (Object item : sorted(in, in.values.list(value), key, false)) {
      if (!group.isEmpty() && !in.values.equal(key.apply(group.getFirst()), key.apply(item))) {
        groups.add(group(plain, group));
        group = new ArrayList<>();
      }
      group.add(item);
    }
    if (!group.isEmpty()) {
      groups.add(group(plain, group));
    }
    return groups;
  }

  private static Tuple group(UnaryOperator<Object> key, List<Object> items) {
    return new Tuple(List.of(key.apply(items.getFirst()), items), List.of("grouper", "list"));
  }

  /** The first that is least, or greatest. */
  static Object best(Interpreter in, Object value, Arguments a, String better) {
    UnaryOperator<Object> key = key(in, a.or(1, None.NONE), a.truth(0, false));
    Iterator<Object> items = in.values.iterate(value);
    if (!items.hasNext()) {
      return new Undefined("No aggregated item, sequence was empty.");
    }
    Object best = items.next();
    Object bestKey = key.apply(best);
    while (items.hasNext()) {
      Object item = items.next();
      Object itemKey = key.apply(item);
      if (in.values.compare(better, itemKey, bestKey)) {
        best = item;
        bestKey = itemKey;
      }
    }
    return best;
  }

  static Object sum(Interpreter in, Object value, Arguments a) {
    UnaryOperator<Object> part = path(in, a.or(0, None.NONE), Optional.empty());
    Object sum = a.or(1, 0L);
    if (sum instanceof String) {
      throw Failed.because("sum() can't sum strings [use ''.join(seq) instead]");
    }
    for (Object item : in.values.list(value)) {
      sum = in.values.binary("+", sum, part.apply(item));
    }
    return sum;
  }

  static Object batch(Interpreter in, Object value, Arguments a) {
    int size = a.number(0, 0);
    List<Object> items = in.values.list(value);
    var rows = new ArrayList<Object>();
    if (size < 1) {
      rows.addAll(items.isEmpty() ? List.of() : List.of(items));
      return new Lazy(rows.iterator());
    }
    for (int i = 0; i < items.size(); i += size) {
      var row = new ArrayList<>(items.subList(i, Math.min(items.size(), i + size)));
      if (a.has(1)) {
        in.values.make(size);
        row.addAll(Collections.nCopies(size - row.size(), a.get(1)));
      }
      rows.add(row);
    }
    return new Lazy(rows.iterator());
  }

  static Object slices(Interpreter in, Object value, Arguments a) {
    int count = a.number(0, 0);
    if (count == 0) {
      throw Failed.because("integer division or modulo by zero");
    }
    List<Object> items = in.values.list(value);
    in.values.make(Math.max(0, count));
    var rows = new ArrayList<Object>();
    int at = 0;
    for (int i = 0; i < count; i++) {
      boolean extra = i < items.size() % count;
      int end = at + items.size() / count + (extra ? 1 : 0);
      var row = new ArrayList<>(items.subList(at, end));
      if (a.has(1) && !extra) {
        row.add(a.get(1));
      }
      rows.add(row);
      at = end;
    }
    return new Lazy(rows.iterator());
  }

  static Object items(Interpreter in, Object value, Arguments a) {
    return switch (value) {
      case Undefined _ -> new Lazy(Collections.emptyIterator());
      case Dict dict -> new Lazy(new Dict.View("items", dict).list().iterator());
      default -> throw Failed.because("Can only get item pairs from a mapping.");
    };
  }
}
