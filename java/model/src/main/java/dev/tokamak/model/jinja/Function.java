// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A filter, test, method or function that every template has.
 *
 * @param parameters names, those that may be left out with a question mark behind; {@code *} alone
 *     if it takes whatever it is given
 */
record Function(String name, List<String> parameters, Body body) {
  /** What it does. */
  @FunctionalInterface
  interface Body {
    /**
     * Does it.
     *
     * @param subject the filter's input, what is tested, or what the method belongs to
     */
    Object call(Interpreter in, Object subject, Arguments passed);
  }

  /** Functions by name. */
  static final class Table {
    private final Map<String, Function> functions = new LinkedHashMap<>();

    /**
     * Adds one.
     *
     * @param names the first is its own, others mean the same
     * @param parameters parted by blanks
     */
    Table add(String names, String parameters, Body body) {
      String[] all = names.split(" ");
      List<String> list = parameters.isEmpty() ? List.of() : List.of(parameters.split(" "));
      for (String name : all) {
        functions.put(name, new Function(all[0], list, body));
      }
      return this;
    }

    Map<String, Function> done() {
      return Map.copyOf(functions);
    }
  }

  /** A method of a value, or a function if there is none: what a template can call. */
  record Bound(Function function, Object subject) {}

  Object call(Interpreter in, Object subject, List<Object> ordered, Map<String, Object> named) {
    return body.call(in, subject, bind(ordered, named));
  }

  private Arguments bind(List<Object> ordered, Map<String, Object> named) {
    if (parameters.equals(List.of("*"))) {
      return new Arguments(ordered, named);
    }
    if (ordered.size() > parameters.size()) {
      throw Failed.because(
          name + "() takes " + parameters.size() + " arguments, found " + ordered.size());
    }
    var rest = new LinkedHashMap<>(named);
    var bound = new ArrayList<Object>(ordered);
    for (int i = 0; i < parameters.size(); i++) {
      String parameter = parameters.get(i);
      boolean optional = parameter.endsWith("?");
      String key = optional ? parameter.substring(0, parameter.length() - 1) : parameter;
      if (i < ordered.size()) {
        if (rest.containsKey(key)) {
          throw Failed.because(name + "() got multiple values for argument '" + key + "'");
        }
      } else if (rest.containsKey(key)) {
        bound.add(rest.remove(key));
      } else if (optional) {
        bound.add(Arguments.MISSING);
      } else {
        throw Failed.because(name + "() missing required argument '" + key + "'");
      }
    }
    if (!rest.isEmpty()) {
      throw Failed.because(
          name + "() got an unexpected keyword argument '" + rest.keySet().iterator().next() + "'");
    }
    return new Arguments(bound, Map.of());
  }
}
