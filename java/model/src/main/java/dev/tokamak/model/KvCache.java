// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Limits;

/**
 * Which pages of the cache belong to which sequence. Pages are handed out as sequences grow and
 * come back when they end; what is in a page, the backend knows. Nothing is allocated after it is
 * made.
 */
final class KvCache {
  private final Batch batch;
  private final int pagesPerSequence;
  private final int[] lengths;
  private final boolean[] taken;
  private final int[] pages;
  private final int[] free;
  private int freeCount;

  KvCache(Limits limits, Batch batch) {
    this.batch = batch;
    pagesPerSequence = limits.pagesPerSequence();
    lengths = new int[limits.sequences()];
    taken = new boolean[limits.sequences()];
    pages = new int[limits.sequences() * pagesPerSequence];
    free = new int[limits.pages()];
    // Lowest pages first, so that short runs touch little memory.
    for (int page = limits.pages() - 1; page >= 0; page--) {
      free[freeCount++] = page;
    }
  }

  /** An empty sequence. */
  int begin() {
    for (int sequence = 0; sequence < taken.length; sequence++) {
      if (!taken[sequence]) {
        taken[sequence] = true;
        lengths[sequence] = 0;
        return sequence;
      }
    }
    throw new IllegalStateException("all " + taken.length + " sequences are in use");
  }

  /** Gives a sequence and its pages back. */
  void end(int sequence) {
    truncate(sequence, 0);
    taken[sequence] = false;
  }

  /** Tokens of the sequence, those of the step being filled included. */
  int length(int sequence) {
    check(sequence);
    return lengths[sequence];
  }

  /** Room for one more token; returns its position. */
  int append(int sequence) {
    check(sequence);
    int position = lengths[sequence];
    int index = position / CacheShape.PAGE_TOKENS;
    if (index == pagesPerSequence) {
      throw new IllegalStateException("context full: length=" + position);
    }
    if (position % CacheShape.PAGE_TOKENS == 0) {
      int page = free[--freeCount];
      pages[sequence * pagesPerSequence + index] = page;
      batch.page(sequence, index, page);
    }
    lengths[sequence]++;
    return position;
  }

  /** Forgets the tokens from {@code length} on. */
  void truncate(int sequence, int length) {
    check(sequence);
    if (length < 0 || length > lengths[sequence]) {
      throw new IllegalArgumentException(
          "length=" + length + " is not within 0 to " + lengths[sequence]);
    }
    int kept = pagesFor(length);
    for (int index = pagesFor(lengths[sequence]) - 1; index >= kept; index--) {
      free[freeCount++] = pages[sequence * pagesPerSequence + index];
    }
    lengths[sequence] = length;
  }

  static int pagesFor(int tokens) {
    return (tokens + CacheShape.PAGE_TOKENS - 1) / CacheShape.PAGE_TOKENS;
  }

  private void check(int sequence) {
    if (sequence < 0 || sequence >= taken.length || !taken[sequence]) {
      throw new IllegalArgumentException("sequence " + sequence + " is not in use");
    }
  }
}
