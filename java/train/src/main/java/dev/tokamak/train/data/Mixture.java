// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import java.util.List;

/**
 * The order in which the items of several lists are taken. In an epoch of the mixture each list
 * gives weight times as many items as it has; over its own epochs it gives each item once, in an
 * order of that epoch's. All of it follows from seed and position, so any position can be entered.
 */
final class Mixture {
  private final long seed;
  private final long[] sizes;
  private final long[] shares;
  private final long size;

  /**
   * A list's items.
   *
   * @param items at least 1
   * @param weight above 0
   */
  record Part(long items, double weight) {}

  /**
   * An item.
   *
   * @param part the list that it is of
   * @param epoch of that list
   * @param item in it
   */
  record Draw(int part, long epoch, long item) {}

  Mixture(List<Part> parts, long seed) {
    this.seed = seed;
    sizes = parts.stream().mapToLong(Part::items).toArray();
    shares =
        parts.stream()
            .mapToLong(part -> Math.max(1, Math.round(part.weight * part.items)))
            .toArray();
    long sum = 0;
    for (long share : shares) {
      sum = Math.addExact(sum, share);
    }
    size = sum;
  }

  /** Items of an epoch; 0 if there are no lists. */
  long size() {
    return size;
  }

  /** The item at a position, from 0 through all epochs. */
  Draw at(long position) {
    long epoch = position / size;
    long within = new Permutation(size, key(-1, epoch)).at(position % size);
    int part = 0;
    while (within >= shares[part]) {
      within -= shares[part];
      part++;
    }
    long drawn = epoch * shares[part] + within;
    long own = drawn / sizes[part];
    long item = new Permutation(sizes[part], key(part, own)).at(drawn % sizes[part]);
    return new Draw(part, own, item);
  }

  /** What decides an order, or anything else about an epoch of a part. */
  long key(int part, long epoch) {
    return Permutation.mix(Permutation.mix(Permutation.mix(seed) + part) + epoch);
  }
}
