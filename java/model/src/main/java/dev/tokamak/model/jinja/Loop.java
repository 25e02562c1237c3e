// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** The variable {@code loop}. It looks at an item before its turn only where a template asks. */
final class Loop {
  private final Function<Object, Object> recurse;
  private final int depth;
  private Iterator<Object> items;
  private Optional<Integer> length;
  private Optional<Object> before = Optional.empty();
  private Optional<Object> at = Optional.empty();
  private Optional<Object> after = Optional.empty();
  private List<Object> changed = List.of();
  private boolean asked;
  private int index; // from 1; 0 in front of the first

  /**
   * A loop.
   *
   * @param length if it is known without going through
   * @param depth loops of the same kind around
   * @param recurse runs the loop's body over other items
   */
  Loop(
      Iterator<Object> items,
      Optional<Integer> length,
      int depth,
      Function<Object, Object> recurse) {
    this.items = items;
    this.length = length;
    this.depth = depth;
    this.recurse = recurse;
  }

  boolean hasNext() {
    return after.isPresent() || items.hasNext();
  }

  Object next() {
    before = at;
    at = Optional.of(after.isPresent() ? after.get() : items.next());
    after = Optional.empty();
    index++;
    return at.get();
  }

  int index() {
    return index;
  }

  int length() {
    if (length.isEmpty()) {
      var rest = new ArrayList<Object>();
      items.forEachRemaining(rest::add);
      items = rest.iterator();
      length = Optional.of(index + rest.size() + (after.isPresent() ? 1 : 0));
    }
    return length.get();
  }

  private Optional<Object> peek() {
    if (after.isEmpty() && items.hasNext()) {
      after = Optional.of(items.next());
    }
    return after;
  }

  Object call(Object over) {
    return recurse.apply(over);
  }

  Optional<Object> attribute(String name) {
    return Optional.ofNullable(
        switch (name) {
          case "index" -> (long) index;
          case "index0" -> index - 1L;
          case "revindex" -> length() - index + 1L;
          case "revindex0" -> (long) length() - index;
          case "first" -> index == 1;
          case "last" -> peek().isEmpty();
          case "length" -> (long) length();
          case "depth" -> depth + 1L;
          case "depth0" -> (long) depth;
          case "previtem" -> before.orElse(new Undefined("there is no previous item"));
          case "nextitem" -> peek().orElse(new Undefined("there is no next item"));
          default -> null;
        });
  }

  Object cycle(List<Object> values) {
    if (values.isEmpty()) {
      throw Failed.because("no items for cycling given");
    }
    return values.get((index - 1) % values.size());
  }

  boolean changed(List<Object> values, Values python) {
    boolean same = asked && python.equal(changed, values);
    asked = true;
    changed = values;
    return !same;
  }
}
