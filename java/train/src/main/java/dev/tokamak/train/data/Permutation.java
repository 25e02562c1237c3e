// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

/**
 * An order of the numbers 0 to n − 1 that a key decides, each of them computed by itself: a Feistel
 * network over the next even number of bits, walked again while it leads beyond n (Black and
 * Rogaway 2002). No array of n is needed, so an epoch of any length can be entered anywhere.
 */
final class Permutation {
  private static final int ROUNDS = 4;

  private final long size;
  private final long key;
  private final int halfBits;
  private final long mask;

  /**
   * @param size n, at least 1
   */
  Permutation(long size, long key) {
    if (size < 1) {
      throw new IllegalArgumentException("permutation of " + size + " numbers");
    }
    this.size = size;
    this.key = key;
    int bits = 64 - Long.numberOfLeadingZeros(size - 1);
    halfBits = Math.max(1, (bits + 1) / 2);
    mask = (1L << halfBits) - 1;
  }

  /** The number at an index, 0 to n − 1. */
  long at(long index) {
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException("index " + index + " of " + size);
    }
    long value = index;
    do {
      value = once(value);
    } while (value >= size);
    return value;
  }

  private long once(long value) {
    long left = value >>> halfBits;
    long right = value & mask;
    for (int round = 0; round < ROUNDS; round++) {
      long next = left ^ mix(key + mix(right + ((long) round << 56))) & mask;
      left = right;
      right = next;
    }
    return left << halfBits | right;
  }

  /** The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
  static long mix(long value) {
    long z = value + 0x9e3779b97f4a7c15L;
    z = (z ^ z >>> 30) * 0xbf58476d1ce4e5b9L;
    z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
    return z ^ z >>> 31;
  }
}
