// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;
import java.util.Map;

/** What a function was given, in the order of its parameters. */
record Arguments(List<Object> ordered, Map<String, Object> named) {
  static final Object MISSING = new Object();

  /** Whether it was given, be it as None. */
  boolean given(int index) {
    return index < ordered.size() && ordered.get(index) != MISSING;
  }

  /** Whether it was given and is not None. */
  boolean has(int index) {
    return given(index) && ordered.get(index) != None.NONE;
  }

  Object get(int index) {
    return ordered.get(index);
  }

  Object or(int index, Object standard) {
    return has(index) ? ordered.get(index) : standard;
  }

  String text(int index) {
    return switch (ordered.get(index)) {
      case String text -> text;
      case Undefined undefined -> throw undefined.failure();
      case Object other ->
          throw Failed.because("expected str, found " + Values.typeName(other));
    };
  }

  String text(int index, String standard) {
    return has(index) ? text(index) : standard;
  }

  /** An integer, those beyond 32 bits cut to the nearest there is. */
  int number(int index, int standard) {
    if (!has(index)) {
      return standard;
    }
    Object value = ordered.get(index);
    if (!Numbers.isInteger(value)) {
      throw Failed.because(
          "'" + Values.typeName(value) + "' object cannot be interpreted as an integer");
    }
    return Numbers.index(value);
  }

  boolean truth(int index, boolean standard) {
    return has(index) ? Values.truth(ordered.get(index)) : standard;
  }
}
