// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.model.format.Metadata;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** Small files that the tests of this package share. */
final class Samples {
  private Samples() {}

  /** Metadata of every type but the ones that Java has no class for. */
  static Metadata metadata() {
    var values = new LinkedHashMap<String, Object>();
    values.put("general.architecture", "llama");
    values.put("general.alignment", 64);
    values.put("llama.block_count", 2);
    values.put("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    values.put("some.long", -5L);
    values.put("some.double", 0.25);
    values.put("some.bool", true);
    values.put("tokenizer.ggml.tokens", List.of("<s>", "", "ä"));
    values.put("tokenizer.ggml.scores", new float[] {0, -1, -2});
    values.put("tokenizer.ggml.token_type", new int[] {3, 1, 1});
    values.put("some.flags", new boolean[] {true, false});
    return Metadata.of("test", values);
  }

  /** A writer with three tensors: F32 [5], F16 [4, 3], Q8_0 [32, 2, 2]. */
  static GgufWriter writer(Metadata metadata) {
    return new GgufWriter(metadata)
        .add("norm", GgufType.F32, new long[] {5}, () -> MemorySegment.ofArray(floats()))
        .add("half", GgufType.F16, new long[] {4, 3}, () -> bytes(24, 1))
        .add("quant", GgufType.Q8_0, new long[] {32, 2, 2}, () -> bytes(136, 2));
  }

  static float[] floats() {
    return new float[] {1, -2, 0.5f, Float.MAX_VALUE, Float.MIN_VALUE};
  }

  static MemorySegment bytes(int length, long seed) {
    byte[] bytes = new byte[length];
    new SplittableRandom(seed).nextBytes(bytes);
    return MemorySegment.ofArray(bytes);
  }

  /** Writes {@link #metadata} and the three tensors. */
  static Path write(Path folder) throws IOException {
    Path path = folder.resolve("small.gguf");
    writer(metadata()).write(path);
    return path;
  }

  /** Writes the pieces of a split model, each with one tensor named {@code t0}, {@code t1}, …. */
  static void writePieces(Path folder, int count) throws IOException {
    for (int i = 0; i < count; i++) {
      writePiece(folder, i, count, Map.of(), "t" + i);
    }
  }

  static Path writePiece(Path folder, int i, int count, Map<String, ?> more, String tensor)
      throws IOException {
    var values = new LinkedHashMap<String, Object>();
    if (i == 0) {
      values.put("general.architecture", "llama");
    }
    values.put("split.no", i);
    values.put("split.count", count);
    values.put("split.tensors.count", count);
    values.putAll(more);
    Path path = folder.resolve("m-%05d-of-%05d.gguf".formatted(i + 1, count));
    new GgufWriter(Metadata.of("test", values))
        .add(tensor, GgufType.F32, new long[] {8}, () -> bytes(32, i))
        .write(path);
    return path;
  }
}
