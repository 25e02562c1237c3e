// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

/**
 * Which documents of a file are held out: one of each so many, drawn by the seed, and never the
 * first. So of a file with as many documents at least one is, wherever it ends.
 *
 * @param every so many documents have one held out; 0: none
 */
public record Split(long every, long seed) {
  /** Nothing is held out. */
  static final Split NOTHING = new Split(0, 0);

  /**
   * A part of all documents.
   *
   * @param part 0 to 0.5
   */
  public static Split of(double part, long seed) {
    return part == 0 ? NOTHING : new Split(Math.max(2, Math.round(1 / part)), seed);
  }

  /** Whether a document is held out. */
  public boolean holds(long index) {
    if (every == 0) {
      return false;
    }
    long block = index / every;
    long drawn = 1 + Long.remainderUnsigned(Permutation.mix(seed ^ Permutation.mix(block)), every - 1);
    return index % every == drawn;
  }
}
