// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;
import java.util.Map;

/** What can stand behind {@code is}. */
final class Tests {
  static final Map<String, Function> TABLE =
      new Function.Table()
          .add("boolean", "", (in, v, a) -> v instanceof Boolean)
          .add("callable", "", (in, v, a) -> callable(v))
          .add("defined", "", (in, v, a) -> !(v instanceof Undefined))
          .add("undefined", "", (in, v, a) -> v instanceof Undefined)
          .add(
              "divisibleby",
              "num",
              (in, v, a) -> in.values.equal(in.values.binary("%", v, a.get(0)), 0L))
          .add("escaped", "", (in, v, a) -> false)
          .add("true", "", (in, v, a) -> v instanceof Boolean b && b)
          .add("false", "", (in, v, a) -> v instanceof Boolean b && !b)
          .add("none", "", (in, v, a) -> v == None.NONE)
          .add("integer", "", (in, v, a) -> Numbers.isInteger(v) && !(v instanceof Boolean))
          .add("float", "", (in, v, a) -> v instanceof Double)
          .add("number", "", (in, v, a) -> Numbers.isNumber(v))
          .add("odd", "", (in, v, a) -> in.values.equal(in.values.binary("%", v, 2L), 1L))
          .add("even", "", (in, v, a) -> in.values.equal(in.values.binary("%", v, 2L), 0L))
          .add("string", "", (in, v, a) -> v instanceof String)
          .add("mapping", "", (in, v, a) -> v instanceof Dict)
          .add("sequence", "", (in, v, a) -> sequence(v))
          .add("iterable", "", (in, v, a) -> Values.iterable(v))
          .add("lower", "", (in, v, a) -> TextMethods.isLower(in.values.str(v)))
          .add("upper", "", (in, v, a) -> TextMethods.isUpper(in.values.str(v)))
          .add("sameas", "other", (in, v, a) -> same(v, a.get(0)))
          .add("in", "seq", (in, v, a) -> in.values.contains(a.get(0), v))
          .add("filter", "", (in, v, a) -> v instanceof String s && Filters.TABLE.containsKey(s))
          .add("test", "", (in, v, a) -> v instanceof String s && known(s))
          .add("== eq equalto", "other", (in, v, a) -> in.values.compare("==", v, a.get(0)))
          .add("!= ne", "other", (in, v, a) -> in.values.compare("!=", v, a.get(0)))
          .add("> gt greaterthan", "other", (in, v, a) -> in.values.compare(">", v, a.get(0)))
          .add(">= ge", "other", (in, v, a) -> in.values.compare(">=", v, a.get(0)))
          .add("< lt lessthan", "other", (in, v, a) -> in.values.compare("<", v, a.get(0)))
          .add("<= le", "other", (in, v, a) -> in.values.compare("<=", v, a.get(0)))
          .done();

  private Tests() {}

  private static boolean known(String name) {
    return TABLE.containsKey(name);
  }

  /** Something with a length and a first item, Jinja says; that is true of dicts too. */
  private static boolean sequence(Object value) {
    return value instanceof Undefined
        || value instanceof Dict
        || value instanceof String
        || value instanceof List<?>
        || value instanceof Tuple;
  }

  private static boolean callable(Object value) {
    return value instanceof Function.Bound
        || value instanceof Undefined
        || value instanceof Macro
        || value instanceof Loop;
  }

  /** Whether it is the same thing, which small values are if they are equal. */
  private static boolean same(Object a, Object b) {
    boolean small = a instanceof Boolean || a instanceof Long || a instanceof String;
    return a == b || small && a.equals(b);
  }
}
