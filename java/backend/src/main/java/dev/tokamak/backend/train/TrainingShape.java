// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;

/**
 * What a prepared training program must have room for, and how it computes.
 *
 * @param rows tokens in a step, at most
 * @param outputs rows with a target in a step, at most
 * @param arithmetic of products
 */
public record TrainingShape(int rows, int outputs, Arithmetic arithmetic) {
  /** How products are computed; sums, weights and everything else are float32 always. */
  public enum Arithmetic {
    F32,
    /** Operands of products are rounded to bfloat16, to nearest even. */
    BF16
  }

  public TrainingShape {
    if (rows <= 0 || outputs <= 0 || outputs > rows) {
      throw new BackendException(
          "training shape: rows=" + rows + " must be positive, outputs=" + outputs
              + " must be 1 to that");
    }
  }
}
