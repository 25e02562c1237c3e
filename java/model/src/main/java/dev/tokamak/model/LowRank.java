// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The two matrices of an adapter, as the forward pass uses them: y += (x · aᵀ) · bᵀ.
 *
 * @param a [rank, in], F32
 * @param b [out, rank], F32, times alpha / rank
 */
record LowRank(Tensor a, Tensor b) {
  /**
   * Adds factor · b · a to a matrix [out, in] of float32, each sum in double precision.
   *
   * @param a [rank, in]
   * @param b [out, rank]
   */
  static void merge(
      MemorySegment a, MemorySegment b, int rank, double factor, int cols, MemorySegment matrix) {
    long rows = matrix.byteSize() / Float.BYTES / cols;
    double[] sums = new double[cols];
    for (long r = 0; r < rows; r++) {
      Arrays.fill(sums, 0);
      for (int j = 0; j < rank; j++) {
        double scaled = factor * b.getAtIndex(JAVA_FLOAT, r * rank + j);
        for (int c = 0; c < cols; c++) {
          sums[c] += scaled * a.getAtIndex(JAVA_FLOAT, (long) j * cols + c);
        }
      }
      for (int c = 0; c < cols; c++) {
        long i = r * cols + c;
        matrix.setAtIndex(JAVA_FLOAT, i, (float) (matrix.getAtIndex(JAVA_FLOAT, i) + sums[c]));
      }
    }
  }
}
