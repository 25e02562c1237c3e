// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.BackendException;
import java.util.EnumSet;
import java.util.Set;

/**
 * Which products of a model have a trained low-rank addition (Hu et al. 2021), and of what size: y
 * += alpha / rank · (x · aᵀ) · bᵀ, with a [rank, in] and b [out, rank].
 *
 * @param rank width between the two matrices
 * @param alpha strength
 * @param targets which of each layer's products
 */
public record Lora(int rank, double alpha, Set<Target> targets) {
  /** The products of a layer, by their names in configurations and in GGUF files. */
  public enum Target {
    Q("q", "attn_q"),
    K("k", "attn_k"),
    V("v", "attn_v"),
    O("o", "attn_output"),
    GATE("gate", "ffn_gate"),
    UP("up", "ffn_up"),
    DOWN("down", "ffn_down");

    private final String label;
    private final String tensor;

    Target(String label, String tensor) {
      this.label = label;
      this.tensor = tensor;
    }

    /** As a configuration names it, such as {@code q}. */
    public String label() {
      return label;
    }

    /** As a GGUF file names it, such as {@code attn_q}. */
    public String tensor() {
      return tensor;
    }

    /** Whether a tensor, such as {@code blk.0.attn_q.weight}, is of this product. */
    boolean isOf(String name) {
      return name.endsWith("." + tensor + ".weight");
    }
  }

  public Lora {
    targets = Set.copyOf(targets);
    if (rank < 1 || !(alpha > 0) || targets.isEmpty()) {
      throw new BackendException(
          "lora: rank=" + rank + ", alpha=" + alpha + ", targets=" + targets
              + ": expected a positive rank and alpha, and a target at least");
    }
  }

  /** All products of each layer. */
  public static Lora of(int rank, double alpha) {
    return new Lora(rank, alpha, EnumSet.allOf(Target.class));
  }

  /** What the addition is multiplied with. */
  public float factor() {
    return (float) (alpha / rank);
  }

  boolean adapts(String tensor) {
    return targets.stream().anyMatch(t -> t.isOf(tensor));
  }
}
