// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Python's dict: in the order of insertion, with keys that are the same if they are equal. */
final class Dict {
  record Entry(Object key, Object value) {}

  private final Map<Object, Entry> entries = new LinkedHashMap<>();

  /** A key's first form stays, its last value counts. */
  void put(Object key, Object value) {
    entries.merge(
        hashed(key), new Entry(key, value), (old, entry) -> new Entry(old.key(), entry.value()));
  }

  Optional<Object> get(Object key) {
    return Optional.ofNullable(entries.get(hashed(key))).map(Entry::value);
  }

  Collection<Entry> entries() {
    return entries.values();
  }

  int size() {
    return entries.size();
  }

  /** What stands for a value in hash tables: numbers that are equal are the same. */
  static Object hashed(Object value) {
    return switch (value) {
      case Boolean b -> b ? 1L : 0L;
      case Double d when d == Math.rint(d) && !Double.isInfinite(d) -> Numbers.truncated(d);
      case Tuple tuple -> new Tuple(tuple.items().stream().map(Dict::hashed).toList());
      case List<?> _ -> throw Failed.because("unhashable type: 'list'");
      case Dict _ -> throw Failed.because("unhashable type: 'dict'");
      default -> value;
    };
  }

  /** What {@code items()}, {@code keys()} and {@code values()} give. */
  record View(String kind, Dict dict) {
    List<Object> list() {
      var list = new ArrayList<Object>(dict.size());
      for (Entry entry : dict.entries()) {
        list.add(
            switch (kind) {
              case "keys" -> entry.key();
              case "values" -> entry.value();
              default -> new Tuple(List.of(entry.key(), entry.value()));
            });
      }
      return list;
    }
  }
}
