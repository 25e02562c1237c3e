// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What stands behind a dot: methods of texts, lists and dicts, and a loop's and macro's values. */
final class Attributes {
  private static final Set<String> CHANGES_LIST =
      Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");
  private static final Set<String> CHANGES_DICT =
      Set.of("clear", "pop", "popitem", "setdefault", "update");

  private static final Map<String, Function> LIST =
      new Function.Table()
          .add("index", "value", Attributes::index)
          .add("count", "value", Attributes::count)
          .add("copy", "", (in, self, a) -> List.copyOf(in.values.list(self)))
          .done();

  private static final Map<String, Function> DICT =
      new Function.Table()
          .add("items", "", (in, self, a) -> new Dict.View("items", (Dict) self))
          .add("keys", "", (in, self, a) -> new Dict.View("keys", (Dict) self))
          .add("values", "", (in, self, a) -> new Dict.View("values", (Dict) self))
          .add(
              "get",
              "key default?",
              (in, self, a) ->
                  ((Dict) self).get(a.get(0)).orElse(a.given(1) ? a.get(1) : None.NONE))
          .add("copy", "", (in, self, a) -> self)
          .done();

  private static final Map<String, Function> LOOP =
      new Function.Table()
          .add("cycle", "*", (in, self, a) -> ((Loop) self).cycle(a.ordered()))
          .add("changed", "*", (in, self, a) -> ((Loop) self).changed(a.ordered(), in.values))
          .done();

  private static final Map<String, Function> CYCLER =
      new Function.Table()
          .add("next", "", (in, self, a) -> ((Globals.Cycler) self).next())
          .add("reset", "", (in, self, a) -> ((Globals.Cycler) self).reset())
          .done();

  private static final Map<String, Function> FLOAT =
      new Function.Table()
          .add("is_integer", "", (in, self, a) -> (Double) self == Math.rint((Double) self))
          .done();

  private Attributes() {}

  /** An attribute, other than a dict's key. */
  static Optional<Object> find(Object value, String name) {
    if (name.length() > 4 && name.startsWith("__") && name.endsWith("__")) {
      return Optional.of(unsafe(value, name));
    }
    return switch (value) {
      case String _ -> method(TextMethods.TABLE, value, name);
      case Dict _ when CHANGES_DICT.contains(name) -> Optional.of(unsafe(value, name));
      case Dict _ -> method(DICT, value, name);
      case Range range -> method(LIST, range, name).filter(_ -> !name.equals("copy"));
      case List<?> _ when CHANGES_LIST.contains(name) -> Optional.of(unsafe(value, name));
      case List<?> _ -> method(LIST, value, name);
      case Tuple tuple when tuple.names().contains(name) ->
          Optional.of(tuple.items().get(tuple.names().indexOf(name)));
      case Tuple _ -> method(LIST, value, name).filter(_ -> !name.equals("copy"));
      case Double _ -> method(FLOAT, value, name);
      case Loop loop -> loop.attribute(name).or(() -> method(LOOP, value, name));
      case Namespace namespace -> Optional.ofNullable(namespace.attributes().get(name));
      case Globals.Cycler cycler ->
          name.equals("current")
              ? Optional.of(cycler.current())
              : method(CYCLER, value, name);
      case Macro macro ->
          switch (name) {
            case "name" -> Optional.of(macro.name());
            case "arguments" ->
                Optional.of(new Tuple(List.copyOf(macro.signature().parameters())));
            case "catch_kwargs" -> Optional.of(macro.signature().special().contains("kwargs"));
            case "catch_varargs" -> Optional.of(macro.signature().special().contains("varargs"));
            case "caller" -> Optional.of(macro.signature().special().contains("caller"));
            default -> Optional.empty();
          };
      default -> Optional.empty();
    };
  }

  private static Optional<Object> method(
      Map<String, Function> table, Object subject, String name) {
    return Optional.ofNullable(table.get(name))
        .map(function -> new Function.Bound(function, subject));
  }

  private static Undefined unsafe(Object value, String name) {
    return new Undefined(
        "access to attribute '" + name + "' of '" + Values.typeName(value)
            + "' object is unsafe.");
  }

  /** What Jinja gives where nothing is. */
  static Undefined missing(Object value, Object key) {
    String of =
        switch (value) {
          case None _ -> "None";
          case Namespace _ -> "jinja2.utils.Namespace object";
          case Loop _ -> "jinja2.runtime.LoopContext object";
          case Macro _ -> "jinja2.runtime.Macro object";
          default -> Values.typeName(value) + " object";
        };
    return new Undefined(
        key instanceof String name
            ? "'" + of + "' has no attribute " + Text.quoted(name)
            : of + " has no element " + new Values(new Budget()).repr(key));
  }

  private static Object index(Interpreter in, Object self, Arguments a) {
    List<Object> items = in.values.list(self);
    for (int i = 0; i < items.size(); i++) {
      if (in.values.equal(items.get(i), a.get(0))) {
        return (long) i;
      }
    }
    throw Failed.because(
        in.values.repr(a.get(0)) + " is not in " + Values.typeName(self));
  }

  private static Object count(Interpreter in, Object self, Arguments a) {
    return in.values.list(self).stream().filter(item -> in.values.equal(item, a.get(0))).count();
  }
}
