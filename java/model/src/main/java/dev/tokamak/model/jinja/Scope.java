// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Variables of a template, a turn of a loop, a macro or block; what is not here is further out. */
final class Scope {
  private final Optional<Scope> around;
  private final Map<String, Object> variables = new HashMap<>();

  Scope() {
    around = Optional.empty();
  }

  Scope(Scope around) {
    this.around = Optional.of(around);
  }

  void set(String name, Object value) {
    variables.put(name, value);
  }

  Optional<Object> find(String name) {
    for (Scope at = this; ; at = at.around.get()) {
      Object value = at.variables.get(name);
      if (value != null) {
        return Optional.of(value);
      }
      if (at.around.isEmpty()) {
        return Optional.empty();
      }
    }
  }
}
