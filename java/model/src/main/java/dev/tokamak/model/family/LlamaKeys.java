// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The hyperparameter keys that llama-like families share, {@code <family>.attention.head_count} and
 * the like (GGUF specification, "Standardized key-value pairs"), with every number checked.
 */
final class LlamaKeys {
  /** Bounds that no real model comes near; they keep products of sizes far from overflow. */
  private static final int MOST = 1 << 20;

  private static final int MOST_LAYERS = 1 << 12;
  private static final int MOST_CONTEXT = 1 << 28;

  private final ModelFile file;
  private final Metadata metadata;
  private final String family;

  LlamaKeys(ModelFile file, String family) {
    this.file = file;
    this.metadata = file.metadata();
    this.family = family;
    if (metadata.integer(key("expert_count")).orElse(0) > 0) {
      throw bad("expert_count", "mixtures of experts are not supported");
    }
  }

  /** The architecture of a file that uses these keys; families differ in the flags. */
  Architecture architecture(Pairing pairing, boolean qkvBias, boolean qkNorm) {
    return new Architecture(
        family,
        file.rows("token_embd.weight"),
        context(),
        layers(),
        dim(),
        heads(),
        kvHeads(),
        headDim(),
        hidden(),
        epsilon(),
        rotary(pairing),
        qkvBias,
        file.has("blk.0.attn_output.bias"),
        file.has("blk.0.ffn_down.bias"),
        qkNorm,
        !file.has("output.weight"));
  }

  /** The inverse: the keys of a file that has this architecture. */
  static Metadata metadata(Architecture a) {
    Map<String, Object> keys = new LinkedHashMap<>();
    String prefix = a.family() + ".";
    keys.put("general.architecture", a.family());
    keys.put(prefix + "vocab_size", a.vocabulary());
    keys.put(prefix + "context_length", a.context());
    keys.put(prefix + "embedding_length", a.dim());
    keys.put(prefix + "block_count", a.layers());
    keys.put(prefix + "feed_forward_length", a.hidden());
    keys.put(prefix + "attention.head_count", a.heads());
    keys.put(prefix + "attention.head_count_kv", a.kvHeads());
    keys.put(prefix + "attention.key_length", a.headDim());
    keys.put(prefix + "attention.value_length", a.headDim());
    keys.put(prefix + "attention.layer_norm_rms_epsilon", a.epsilon());
    keys.put(prefix + "rope.dimension_count", a.rotary().dim());
    keys.put(prefix + "rope.freq_base", (float) a.rotary().base());
    if (a.rotary().scale() != 1) {
      keys.put(prefix + "rope.scaling.type", "linear");
      keys.put(prefix + "rope.scaling.factor", (float) a.rotary().scale());
    }
    return Metadata.of("model", keys);
  }

  private int context() {
    return require("context_length", MOST_CONTEXT);
  }

  private int layers() {
    return require("block_count", MOST_LAYERS);
  }

  private int dim() {
    return require("embedding_length", MOST);
  }

  private int hidden() {
    return require("feed_forward_length", MOST);
  }

  private int heads() {
    return require("attention.head_count", MOST);
  }

  private int kvHeads() {
    int kvHeads = optional("attention.head_count_kv", heads(), MOST);
    if (heads() % kvHeads != 0) {
      throw bad(
          "attention.head_count_kv", "expected a divisor of " + heads() + " heads, found " + kvHeads);
    }
    return kvHeads;
  }

  private int headDim() {
    boolean given = metadata.has(key("attention.key_length"));
    if (!given && dim() % heads() != 0) {
      throw bad("attention.head_count", "expected a divisor of " + dim() + ", found " + heads());
    }
    int headDim = optional("attention.key_length", dim() / heads(), MOST);
    int valueDim = optional("attention.value_length", headDim, MOST);
    if (valueDim != headDim) {
      throw bad("attention.value_length", "expected " + headDim + " as the keys, found " + valueDim);
    }
    return headDim;
  }

  private float epsilon() {
    double epsilon = metadata.requireNumber(key("attention.layer_norm_rms_epsilon"));
    if (!(epsilon >= 0 && epsilon < 1)) {
      throw bad("attention.layer_norm_rms_epsilon", "expected a small number, found " + epsilon);
    }
    return (float) epsilon;
  }

  private Architecture.Rotary rotary(Pairing pairing) {
    int rotaryDim = optional("rope.dimension_count", headDim(), MOST);
    if (rotaryDim % 2 != 0 || rotaryDim > headDim()) {
      throw bad(
          "rope.dimension_count",
          "expected an even number up to the head's " + headDim() + ", found " + rotaryDim);
    }
    double base = positive("rope.freq_base", 10000);
    String scaling = metadata.string(key("rope.scaling.type")).orElse("none");
    double scale =
        switch (scaling) {
          case "none" -> 1;
          case "linear" -> positive("rope.scaling.factor", 1);
          default ->
              throw bad(
                  "rope.scaling.type", "'" + scaling + "' is not supported; expected none or linear");
        };
    // Files from before rope.scaling.type say the same with scale_linear.
    if (scaling.equals("none") && metadata.has(key("rope.scale_linear"))) {
      scale = positive("rope.scale_linear", 1);
    }
    return new Architecture.Rotary(
        pairing, rotaryDim, base, scale, file.has("rope_freqs.weight"));
  }

  private int require(String name, int most) {
    return range(name, metadata.requireInt(key(name)), most);
  }

  private int optional(String name, int otherwise, int most) {
    return range(name, metadata.integer32(key(name)).orElse(otherwise), most);
  }

  private int range(String name, int value, int most) {
    if (value < 1 || value > most) {
      throw bad(name, "expected 1 to " + most + ", found " + value);
    }
    return value;
  }

  private double positive(String name, double otherwise) {
    double value = metadata.number(key(name)).orElse(otherwise);
    if (!(value > 0 && value < 1e12)) {
      throw bad(name, "expected a positive number, found " + value);
    }
    return value;
  }

  private String key(String name) {
    return family + "." + name;
  }

  private FormatException bad(String name, String what) {
    return FormatException.at(file.source(), "metadata key " + key(name), what);
  }
}
