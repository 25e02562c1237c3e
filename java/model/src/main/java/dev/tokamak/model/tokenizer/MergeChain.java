// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/**
 * The loop that byte-pair tokenizers share: of all neighbours that make a token together, those of
 * the lowest rank are joined, the leftmost first among equals, until none are left.
 *
 * <p>The symbols are a linked list over arrays, the candidates a binary heap of {@code rank << 32 |
 * left symbol}, so that n symbols cost O(n log n). A candidate whose symbols have changed since is
 * recognised by its rank and passed over. One chain serves any number of words, one after the
 * other.
 */
abstract class MergeChain {
  /** No token. */
  static final long NONE = -1;

  /** The token of each symbol, or -1 where it has none. */
  int[] ids;

  private int[] previous;
  private int[] next;
  private int[] pairRank; // of the symbol and the one after it
  private int[] pairId; // what they make together, or -1
  private int count;
  private long[] heap;
  private int heaped;

  MergeChain(int capacity) {
    ids = new int[capacity];
    previous = new int[capacity];
    next = new int[capacity];
    pairRank = new int[capacity];
    pairId = new int[capacity];
    heap = new long[capacity];
  }

  /**
   * What two neighbours make together.
   *
   * @return {@code rank << 32 | id}, the rank a signed 32-bit number, or {@link #NONE}
   */
  abstract long merge(int left, int right);

  void clear() {
    count = 0;
  }

  /** Number of symbols that were added. */
  int count() {
    return count;
  }

  /** Adds a symbol at the end. */
  void add(int id) {
    if (count == ids.length) {
      grow(2 * count + 8);
    }
    ids[count++] = id;
  }

  /** Makes room for a number of symbols. */
  void grow(int capacity) {
    ids = Arrays.copyOf(ids, capacity);
    previous = Arrays.copyOf(previous, capacity);
    next = Arrays.copyOf(next, capacity);
    pairRank = Arrays.copyOf(pairRank, capacity);
    pairId = Arrays.copyOf(pairId, capacity);
  }

  /** The first symbol, or -1 where there is none. */
  int first() {
    return count > 0 ? 0 : -1;
  }

  /** The symbol after one, or -1 at the end. */
  int after(int symbol) {
    return next[symbol];
  }

  void run() {
    heaped = 0;
    for (int i = 0; i < count; i++) {
      previous[i] = i - 1;
      next[i] = i + 1 < count ? i + 1 : -1;
    }
    for (int i = 0; i < count; i++) {
      offer(i);
    }
    while (heaped > 0) {
      long top = pop();
      int left = (int) top;
      if (pairId[left] < 0 || pairRank[left] != (int) (top >> 32)) {
        continue;
      }
      int right = next[left];
      ids[left] = pairId[left];
      next[left] = next[right];
      pairId[right] = -1;
      if (next[right] >= 0) {
        previous[next[right]] = left;
      }
      offer(left);
      if (previous[left] >= 0) {
        offer(previous[left]);
      }
    }
  }

  private void offer(int left) {
    int right = next[left];
    long pair = right < 0 ? NONE : merge(left, right);
    pairId[left] = (int) pair;
    pairRank[left] = (int) (pair >> 32);
    if (pairId[left] >= 0) {
      push(pair >> 32 << 32 | left);
    }
  }

  private void push(long candidate) {
    if (heaped == heap.length) {
      heap = Arrays.copyOf(heap, 2 * heaped + 8);
    }
    int at = heaped++;
    while (at > 0) {
      int parent = at - 1 >>> 1;
      if (heap[parent] <= candidate) {
        break;
      }
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = candidate;
  }

  private long pop() {
    long top = heap[0];
    long last = heap[--heaped];
    int at = 0;
    while (true) {
      int child = 2 * at + 1;
      if (child >= heaped) {
        break;
      }
      if (child + 1 < heaped && heap[child + 1] < heap[child]) {
        child++;
      }
      if (heap[child] >= last) {
        break;
      }
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
