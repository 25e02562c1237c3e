// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.BackendException;

/**
 * A weight of a model in training: float32, row-major, a part of one long array that all of a
 * model's parameters share. Those that are trained lie in front, so that gradients and moments are
 * arrays of the same layout that end earlier.
 *
 * @param name as in a GGUF file, such as {@code blk.0.attn_q.weight}
 * @param rows 1 for a vector
 * @param cols values in a row
 * @param role what an optimiser makes of it
 * @param trainable whether it has a gradient; frozen weights have none
 * @param offset of its first value in the array, in floats, a multiple of {@value #ALIGNMENT}
 */
public record Parameter(
    String name, int rows, int cols, Role role, boolean trainable, long offset) {
  /** Floats that every parameter's start is aligned to: a cache line. */
  public static final int ALIGNMENT = 16;

  /** What an optimiser makes of a parameter. */
  public enum Role {
    /** A product's weight: decays; Muon makes its updates orthogonal. */
    MATRIX,
    /** An embedding table or an output head: decays; always AdamW's. */
    TABLE,
    /** A norm's weight or a bias: never decays; always AdamW's. */
    VECTOR
  }

  public Parameter {
    if (rows <= 0 || cols <= 0 || offset < 0 || offset % ALIGNMENT != 0) {
      throw new BackendException(
          "parameter " + name + ": rows=" + rows + ", cols=" + cols + ", offset=" + offset
              + " must be positive, the offset a multiple of " + ALIGNMENT);
    }
  }

  /** Values in it. */
  public long size() {
    return (long) rows * cols;
  }

  /** For example {@code blk.0.attn_q.weight [64, 64]}. */
  @Override
  public String toString() {
    return name + " [" + rows + ", " + cols + "]";
  }
}
