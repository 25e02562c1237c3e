// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

/**
 * The sizes that graphs are captured for: 1, 2, 4, … and last the limit itself. A step runs the
 * graph of the smallest size that it fits in.
 */
final class Buckets {
  private Buckets() {}

  /** The bucket of a step of {@code n} rows, from 0; n is at least 1. */
  static int of(int n) {
    return Integer.SIZE - Integer.numberOfLeadingZeros(n - 1);
  }

  /** How many buckets there are up to a limit. */
  static int count(int limit) {
    return of(limit) + 1;
  }

  /** The most rows of a bucket. */
  static int size(int bucket, int limit) {
    return (int) Math.min(1L << bucket, limit);
  }
}
