// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;

/** Qwen 2 and 2.5 (Yang et al. 2024): biases on q, k and v. */
final class Qwen2 implements Family {
  @Override
  public String name() {
    return "qwen2";
  }

  @Override
  public Architecture architecture(ModelFile file) {
    return new LlamaKeys(file, name()).architecture(Pairing.HALF_SPLIT, true, false);
  }

  @Override
  public Architecture architecture(Sizes sizes) {
    return sizes.architecture(name(), Pairing.HALF_SPLIT, 1e6, 1e-6f, true, false);
  }
}
