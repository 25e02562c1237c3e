// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;

/**
 * A low-rank addition to a product (LoRA, Hu et al. 2021): y += factor · (x · aᵀ) · bᵀ.
 *
 * @param a [rank, in]
 * @param b [out, rank]
 * @param factor α / rank
 */
public record Adapter(Parameter a, Parameter b, float factor) {
  public Adapter {
    if (a.rows() != b.cols()) {
      throw new BackendException("adapter: ranks of " + a + " and " + b + " differ");
    }
  }

  /** Width of the product between. */
  public int rank() {
    return a.rows();
  }
}
