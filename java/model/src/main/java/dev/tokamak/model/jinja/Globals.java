// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.time.ZonedDateTime;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Functions that every template has. */
final class Globals {
  static final Map<String, Object> TABLE =
      new Function.Table()
              .add("range", "*", Globals::range)
              .add("dict", "*", Globals::dict)
              .add("namespace", "*", Globals::namespace)
              .add("cycler", "*", (in, self, a) -> new Cycler(a.ordered()))
              .add("joiner", "sep?", Globals::joiner)
              .add("raise_exception", "message", Globals::raise)
              .add(
                  "strftime_now",
                  "format",
                  (in, self, a) -> Strftime.format(a.text(0), ZonedDateTime.now(in.clock)))
              .done()
              .entrySet()
              .stream()
              .collect(
                  Collectors.toUnmodifiableMap(
                      Map.Entry::getKey, e -> new Function.Bound(e.getValue(), None.NONE)));

  private Globals() {}

  private static Object range(Interpreter in, Object self, Arguments a) {
    List<Object> given = a.ordered();
    if (given.isEmpty() || given.size() > 3 || !a.named().isEmpty()) {
      throw Failed.because("range expected 1 to 3 arguments, got " + given.size());
    }
    for (Object value : given) {
      if (value instanceof Undefined undefined) {
        throw undefined.failure();
      }
    }
    int first = a.number(0, 0);
    return given.size() == 1
        ? Range.of(0, first, 1)
        : Range.of(first, a.number(1, 0), a.number(2, 1));
  }

  private static Object dict(Interpreter in, Object self, Arguments a) {
    var dict = new Dict();
    for (Object from : a.ordered()) {
      entries(in, from).entries().forEach(entry -> dict.put(entry.key(), entry.value()));
    }
    a.named().forEach(dict::put);
    return dict;
  }

  private static Dict entries(Interpreter in, Object from) {
    if (from instanceof Dict dict) {
      return dict;
    }
    var dict = new Dict();
    for (Object pair : in.values.list(from)) {
      List<Object> items = in.values.list(pair);
      if (items.size() != 2) {
        throw Failed.because("dictionary update sequence element has length " + items.size()
            + "; 2 is required");
      }
      dict.put(items.get(0), items.get(1));
    }
    return dict;
  }

  private static Object namespace(Interpreter in, Object self, Arguments a) {
    var namespace = new Namespace();
    for (Dict.Entry entry : ((Dict) dict(in, self, a)).entries()) {
      namespace.attributes().put(in.values.str(entry.key()), entry.value());
    }
    return namespace;
  }

  /** Its call gives nothing the first time, and the separator from then on. */
  private static Object joiner(Interpreter in, Object self, Arguments a) {
    boolean[] used = {false};
    String separator = a.text(0, ", ");
    Function.Body call =
        (_, _, _) -> {
          String now = used[0] ? separator : "";
          used[0] = true;
          return now;
        };
    return new Function.Bound(new Function("joiner", List.of(), call), None.NONE);
  }

  private static Object raise(Interpreter in, Object self, Arguments a) {
    throw Failed.byTemplate(in.values.str(a.get(0)));
  }

  /** Goes round and round through values. */
  static final class Cycler {
    private final List<Object> items;
    private int at;

    Cycler(List<Object> items) {
      if (items.isEmpty()) {
        throw Failed.because("at least one item has to be provided");
      }
      this.items = items;
    }

    Object current() {
      return items.get(at);
    }

    Object next() {
      Object item = items.get(at);
      at = (at + 1) % items.size();
      return item;
    }

    Object reset() {
      at = 0;
      return None.NONE;
    }
  }
}
