// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Tensor;

/**
 * The two matrices of an adapter, as the forward pass uses them: y += (x · aᵀ) · bᵀ.
 *
 * @param a [rank, in], F32
 * @param b [out, rank], F32, times alpha / rank
 */
record LowRank(Tensor a, Tensor b) {
  /** Adds a row of b · a [out, in], each sum in double precision. */
  void addTo(long row, float[] values) {
    double[] sums = new double[values.length];
    int rank = Math.toIntExact(a.rows());
    for (int j = 0; j < rank; j++) {
      double scale = b.floatAt(row * rank + j);
      for (int i = 0; i < sums.length; i++) {
        sums[i] += scale * a.floatAt((long) j * sums.length + i);
      }
    }
    for (int i = 0; i < sums.length; i++) {
      values[i] = (float) (values[i] + sums[i]);
    }
  }
}
