// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.LinkedHashMap;
import java.util.Map;

/** What {@code namespace()} gives: the one value whose attributes a template may set. */
record Namespace(Map<String, Object> attributes) {
  Namespace() {
    this(new LinkedHashMap<>());
  }

  @Override
  public boolean equals(Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }
}
