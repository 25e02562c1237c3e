// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

/**
 * The entries of an array in the order of their keys: the largest first, ties to the lower index. A
 * heap, so that the first few of many come cheaply. Keys are not NaN and stay as they are while
 * they are ranked. Used again and again, it allocates nothing.
 */
final class Ranking {
  private final int[] heap;
  private double[] keys = {};
  private int size;
  private boolean lastFirst; // at the heap's top is the last entry in the order, not the first

  /**
   * @param capacity entries, at most
   */
  Ranking(int capacity) {
    heap = new int[capacity];
  }

  /** All of the first {@code count} entries; {@link #next} gives them in order. */
  void all(double[] of, int count) {
    begin(of, count, false);
  }

  /**
   * The first {@code k} in order of the first {@code count} entries; {@link #next} gives them in
   * reverse, the k-th first.
   *
   * @param k from 1 to count
   */
  void first(double[] of, int count, int k) {
    begin(of, k, true);
    for (int i = k; i < count; i++) {
      if (of[i] > of[heap[0]]) { // on a tie the lower index stays
        heap[0] = i;
        sink(0);
      }
    }
  }

  private void begin(double[] of, int count, boolean reverse) {
    keys = of;
    size = count;
    lastFirst = reverse;
    for (int i = 0; i < count; i++) {
      heap[i] = i;
    }
    for (int i = count / 2 - 1; i >= 0; i--) {
      sink(i);
    }
  }

  /** The index of the next entry. */
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
      if (child + 1 < size && above(heap[child + 1], heap[child])) {
        child++;
      }
      if (!above(heap[child], entry)) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = entry;
  }

  private boolean above(int a, int b) {
    return lastFirst ? before(b, a) : before(a, b);
  }

  private boolean before(int a, int b) {
    return keys[a] > keys[b] || keys[a] == keys[b] && a < b;
  }
}
