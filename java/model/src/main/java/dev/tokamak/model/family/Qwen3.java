// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;

/** Qwen 3 (Yang et al. 2025): no biases, each head of q and k normalised. */
final class Qwen3 implements Family {
  @Override
  public String name() {
    return "qwen3";
  }

  @Override
  public Architecture architecture(ModelFile file) {
    return new LlamaKeys(file, name()).architecture(Pairing.HALF_SPLIT, false, true);
  }

  @Override
  public Architecture architecture(Sizes sizes) {
    return sizes.architecture(name(), Pairing.HALF_SPLIT, 1e6, 1e-6f, false, true);
  }
}
