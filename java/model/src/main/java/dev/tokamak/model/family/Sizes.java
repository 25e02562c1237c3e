// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.model.Architecture;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * What is chosen for a new model; its family says the rest. As in {@link Architecture}.
 *
 * @param headDim empty: dim / heads
 * @param ropeBase empty: the family's own
 * @param tiedEmbeddings whether the output head is the embedding table, as small models do
 */
public record Sizes(
    int vocabulary,
    int context,
    int layers,
    int dim,
    int heads,
    int kvHeads,
    OptionalInt headDim,
    int hidden,
    OptionalDouble ropeBase,
    boolean tiedEmbeddings) {

  Architecture architecture(
      String family, Pairing pairing, double base, float epsilon, boolean qkvBias, boolean qkNorm) {
    int head = headDim.orElse(dim / heads);
    return new Architecture(
        family,
        vocabulary,
        context,
        layers,
        dim,
        heads,
        kvHeads,
        head,
        hidden,
        epsilon,
        new Architecture.Rotary(pairing, head, (float) ropeBase.orElse(base), 1, false),
        qkvBias,
        false,
        false,
        qkNorm,
        tiedEmbeddings);
  }
}
