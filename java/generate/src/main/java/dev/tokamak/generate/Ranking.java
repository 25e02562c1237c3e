// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/**
 * The entries of an array from the largest on, ties to the lower index: a heap, so that the first
 * few of many come cheaply. Keys are not NaN and stay as they are while they are ranked. Used again
 * and again, it allocates nothing.
 */
final class Ranking {
  private final int[] heap;
  private double[] keys = {};
  private int size;

  /**
   * @param capacity entries, at most
   */
  Ranking(int capacity) {
    heap = new int[capacity];
  }

  /** Begins anew with the first {@code count} keys. */
  void start(double[] of, int count) {
    keys = of;
    size = count;
    for (int i = 0; i < count; i++) {
      heap[i] = i;
    }
    for (int i = count / 2 - 1; i >= 0; i--) {
      sink(i);
    }
  }

  /** The index of the next largest key. */
  int next() {
    int top = heap[0];
    heap[0] = heap[--size];
    sink(0);
    return top;
  }

  private void sink(int from) {
    int at = from;
    int entry = heap[at];
    for (int child = 2 * at + 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && before(keys, heap[child + 1], heap[child])) {
        child++;
      }
      if (!before(keys, heap[child], entry)) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = entry;
  }

  /** Whether entry {@code a} comes before another entry {@code b}. */
  static boolean before(double[] keys, int a, int b) {
    return keys[a] > keys[b] || keys[a] == keys[b] && a < b;
  }
}
