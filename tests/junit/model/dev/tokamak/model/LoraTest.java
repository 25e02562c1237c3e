// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.model.format.gguf.GgufType;
import dev.tokamak.model.format.gguf.GgufWriter;
import dev.tokamak.model.format.gguf.TensorInfo;
import dev.tokamak.testing.Golden;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Adapters in files: what they add to a model that runs, and merged. */
class LoraTest {
  @TempDir private Path folder;

  private static Path golden(String name) {
    return Golden.path(Golden.json(name + ".json").get("file").stringValue());
  }

  /** Random adapters for a model, as a LoRA file. */
  private Path adapters(Path base, Lora lora) throws IOException {
    try (ModelFile file = ModelFile.open(base);
        Arena arena = Arena.ofConfined()) {
      TrainingModel model = TrainingModel.of(file, Optional.of(lora));
      Parameters parameters = model.parameters();
      MemorySegment weights = arena.allocate(JAVA_FLOAT, parameters.size());
      Random random = new Random(4);
      for (Parameter p : parameters.trainable()) {
        for (long i = 0; i < p.size(); i++) {
          weights.setAtIndex(
              JAVA_FLOAT, p.offset() + i, (float) (random.nextGaussian() / 8));
        }
      }
      Path path = folder.resolve("lora.gguf");
      model.writeAdapters(path, WeightArray.of(weights));
      return path;
    }
  }

  private static Model open(Path base, String backend, Path lora) {
    return Model.open(
        base,
        new ModelOptions(
            new Backends.Options(backend, OptionalInt.of(2), Optional.empty(), false),
            Backend.Progress.none(),
            Optional.of(lora)));
  }

  private static int[] ids(Model model) {
    return new Random(9).ints(20, 0, model.architecture().vocabulary()).toArray();
  }

  /** Relative to the largest logit of its position. */
  private static double difference(float[][] a, float[][] b) {
    double off = 0;
    for (int i = 0; i < a.length; i++) {
      double largest = 0;
      double row = 0;
      for (int j = 0; j < a[i].length; j++) {
        largest = Math.max(largest, Math.abs(b[i][j]));
        row = Math.max(row, Math.abs(a[i][j] - b[i][j]));
      }
      off = Math.max(off, row / largest);
    }
    return off;
  }

  @TestFactory
  List<DynamicTest> runningWithAdaptersEqualsTheMergedModel() {
    return Logits.backends().stream()
        .map(name -> DynamicTest.dynamicTest(name, () -> checkMerged(name)))
        .toList();
  }

  private void checkMerged(String backend) throws IOException {
    Path base = golden("llama-f32");
    Path lora = adapters(base, new Lora(5, 10, EnumSet.of(Lora.Target.Q, Lora.Target.DOWN)));
    Path merged = folder.resolve("merged.gguf");
    LoraMerge.Result result = LoraMerge.merge(base, lora, merged, Backend.Progress.none());
    assertThat(result.merged()).isEqualTo(4);
    try (Model plain = Logits.open(base, backend);
        Model added = open(base, backend, lora);
        Model one = Logits.open(merged, backend)) {
      int[] ids = ids(plain);
      float[][] expected = Logits.of(one, ids, 20);
      // cuda multiplies pairs of bfloat16 parts
      assertThat(difference(Logits.of(added, ids, 20), expected)).isLessThan(5e-4);
      assertThat(difference(Logits.of(added, ids, 7), expected)).isLessThan(5e-4);
      assertThat(difference(Logits.of(plain, ids, 20), expected)).isGreaterThan(0.02);
      assertThat(added.loraSha256()).hasValueSatisfying(hash -> assertThat(hash).hasSize(64));
    }
  }

  /** What has no adapter is copied, and a quantised matrix that has one becomes F16. */
  @Test
  void mergingTouchesOnlyWhatIsAdapted() throws IOException {
    Path base = golden("qwen3-q8_0");
    Path lora = adapters(base, new Lora(2, 2, EnumSet.of(Lora.Target.V)));
    Path merged = folder.resolve("merged.gguf");
    LoraMerge.merge(base, lora, merged, Backend.Progress.none());
    try (GgufFile before = GgufFile.open(base);
        GgufFile after = GgufFile.open(merged)) {
      assertThat(after.tensors()).hasSameSizeAs(before.tensors());
      for (TensorInfo tensor : before.tensors()) {
        TensorInfo other = after.info(tensor.name()).orElseThrow();
        if (tensor.name().endsWith("attn_v.weight")) {
          assertThat(other.type()).isEqualTo(GgufType.F16);
        } else {
          assertThat(other.type()).isEqualTo(tensor.type());
          assertThat(other.data().mismatch(tensor.data())).isEqualTo(-1);
        }
      }
      assertThat(after.metadata().requireInt("general.file_type")).isEqualTo(7);
    }
    try (Model added = open(base, "reference", lora);
        Model one = Logits.open(merged, "reference")) {
      int[] ids = ids(one);
      assertThat(difference(Logits.of(one, ids, 20), Logits.of(added, ids, 20)))
          .isLessThan(2e-3);
    }
  }

  /** A file of adapters written by hand, of tensors [cols, rows] by name. */
  private Path file(Map<String, ?> changes, Map<String, long[]> tensors) throws IOException {
    Map<String, Object> keys = new LinkedHashMap<>();
    keys.put("general.architecture", "llama");
    keys.put("general.type", "adapter");
    keys.put("adapter.type", "lora");
    keys.put("adapter.lora.alpha", 8f);
    keys.putAll(changes);
    GgufWriter writer = new GgufWriter(Metadata.of("lora.gguf", keys));
    tensors.forEach(
        (name, shape) ->
            writer.add(
                name,
                GgufType.F32,
                shape,
                () -> MemorySegment.ofArray(new float[(int) (shape[0] * shape[1])])));
    Path path = folder.resolve("lora.gguf");
    writer.write(path);
    return path;
  }

  private void assertRefused(Path lora, String message) {
    assertThatThrownBy(() -> open(golden("llama-f32"), "reference", lora).close())
        .isInstanceOf(FormatException.class)
        .hasMessage("lora.gguf: " + message);
  }

  @Test
  void whatDoesNotFitIsNamed() throws IOException {
    String q = "blk.0.attn_q.weight";
    long[] a = {36, 4};
    long[] b = {4, 36};
    assertRefused(
        file(Map.of("general.type", "model"), Map.of(q, a)),
        "metadata key general.type: expected 'adapter' of a LoRA file, found 'model'");
    assertRefused(
        file(Map.of("adapter.type", "control_vector"), Map.of(q, a)),
        "metadata key adapter.type: expected 'lora' of a LoRA file, found 'control_vector'");
    assertRefused(
        file(Map.of("general.architecture", "qwen2"), Map.of(q + ".lora_a", a, q + ".lora_b", b)),
        "metadata key general.architecture: the adapters are for a model of family 'qwen2', this"
            + " one is 'llama'");
    assertRefused(
        file(Map.of(), Map.of("blk.9.attn_q.weight.lora_a", a, "blk.9.attn_q.weight.lora_b", b)),
        "tensor blk.9.attn_q.weight.lora_a: the model has no product with a matrix"
            + " blk.9.attn_q.weight");
    assertRefused(
        file(Map.of(), Map.of(q + ".lora_a", new long[] {35, 4}, q + ".lora_b", b)),
        "tensor blk.0.attn_q.weight.lora_a: shape [35, 4] does not fit blk.0.attn_q.weight F32"
            + " [36, 36]");
    assertRefused(
        file(Map.of(), Map.of(q + ".lora_a", a, q + ".lora_b", new long[] {3, 36})),
        "tensor blk.0.attn_q.weight.lora_b: shape [3, 36] does not fit blk.0.attn_q.weight F32"
            + " [36, 36] and blk.0.attn_q.weight.lora_a [36, 4]");
    assertRefused(
        file(Map.of(), Map.of(q + ".lora_a", a)),
        "tensor blk.0.attn_q.weight.lora_a: there is no blk.0.attn_q.weight.lora_b");
    assertRefused(
        file(Map.of(), Map.of(q + ".lora_b", b)),
        "tensor blk.0.attn_q.weight.lora_b: expected pairs of NAME.lora_a and NAME.lora_b");
  }

  @Test
  void adaptersAreNoModel() throws IOException {
    Path lora = adapters(golden("llama-f32"), Lora.of(1, 1));
    assertThatThrownBy(() -> Logits.open(lora, "reference"))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "lora.gguf: metadata key general.type: these are adapters, to be added to their model"
                + " (--lora), and no model themselves");
  }

  @ParameterizedTest
  @ValueSource(strings = {"F32", "F16", "BF16", "Q8_0", "Q4_0"})
  void quantizingGivesTheTypeAskedFor(QuantType type) throws IOException {
    Path written = folder.resolve("written.gguf");
    Quantizer.Result result =
        Quantizer.quantize(
            golden("llama-f16"), written, type, Metadata.of("", Map.of()), Backend.Progress.none());
    assertThat(result.uneven())
        .as("a hidden width of 88 is not whole blocks of 32")
        .isEqualTo(
            type.blockElements() == 1
                ? List.of()
                : List.of("blk.0.ffn_down.weight", "blk.1.ffn_down.weight"));
    try (Model before = Logits.open(golden("llama-f16"), "reference");
        Model after = Logits.open(written, "reference")) {
      assertThat(after.file().gguf().paths()).hasSize(1);
      assertThat(after.metadata().keys()).noneMatch(key -> key.startsWith("split."));
      assertThat(after.file().gguf().info("blk.0.attn_q.weight").orElseThrow().type())
          .isEqualTo(GgufType.of(type));
      assertThat(after.file().gguf().info("blk.0.attn_norm.weight").orElseThrow().type())
          .isEqualTo(GgufType.F32);
      double bound =
          switch (type) {
            case F32, F16 -> 1e-6;
            case BF16, Q8_0 -> 0.15;
            default -> 1.2;
          };
      int[] ids = ids(before);
      assertThat(difference(Logits.of(after, ids, 20), Logits.of(before, ids, 20)))
          .isLessThan(bound);
    }
  }
}
