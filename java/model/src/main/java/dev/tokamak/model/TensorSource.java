// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Tensor;

/** Where a {@link Transformer} finds its tensors, by their names in a GGUF file. */
interface TensorSource {
  /** A matrix [rows, cols] of any type. */
  Tensor matrix(String name, long rows, long cols);

  /** A vector as float32. */
  Tensor vector(String name, int length);

  /** The values of a vector that the program is recorded with. */
  float[] floats(String name, int length);
}
