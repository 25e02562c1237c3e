// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;

/** Llama 1 to 3 and what is stored as llama (Touvron et al. 2023): biases only where the file has them. */
final class Llama implements Family {
  @Override
  public String name() {
    return "llama";
  }

  @Override
  public Architecture architecture(ModelFile file) {
    return new LlamaKeys(file, name()).architecture(Pairing.INTERLEAVED, file.has("blk.0.attn_q.bias"), false);
  }

  @Override
  public Architecture architecture(Sizes sizes) {
    return sizes.architecture(name(), Pairing.INTERLEAVED, 10_000, 1e-5f, false, false);
  }
}
