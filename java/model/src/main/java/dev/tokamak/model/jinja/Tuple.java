// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.List;

/**
 * Python's tuple.
 *
 * @param names of the items, if they have some
 */
record Tuple(List<Object> items, List<String> names) {
  Tuple(List<Object> items) {
    this(items, List.of());
  }
}
