// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.Parameters;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.family.Sizes;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.testing.Golden;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A model in training computes what the same file computes when it is run. */
class TrainingModelTest {
  private static final TrainingShape SHAPE = new TrainingShape(24, 24, Arithmetic.F32);

  @TempDir private Path folder;

  /** A model with weights, ready to train on the reference backend. */
  private static final class Trained implements AutoCloseable {
    final TrainingModel model;
    final ReferenceBackend backend = new ReferenceBackend(Backends.Options.defaults());
    final TrainingReplay replay;

    Trained(TrainingModel model) {
      this.model = model;
      replay = backend.prepare(model.program(SHAPE.rows(), false), SHAPE);
    }

    static Trained of(Path path, Optional<Lora> lora) {
      try (ModelFile file = ModelFile.open(path)) {
        Trained trained = new Trained(TrainingModel.of(file, lora));
        trained.model.read(file, trained.weights());
        return trained;
      }
    }

    WeightArray weights() {
      return WeightArray.of(replay);
    }

    /** Log probability of each token after the ones before it, in one sequence. */
    double[] logProbabilities(int[] ids) {
      TrainingBatch batch = replay.batch();
      batch.clear();
      batch.beginSequence();
      for (int i = 0; i + 1 < ids.length; i++) {
        batch.add(ids[i]);
        batch.target(ids[i + 1]);
      }
      replay.forward();
      double[] all = new double[batch.outputs()];
      Arrays.setAll(all, batch::logProbability);
      return all;
    }

    @Override
    public void close() {
      replay.close();
      backend.close();
    }
  }

  private static double[] logProbabilities(Model model, int[] ids) {
    float[][] logits = Logits.of(model, ids, ids.length);
    double[] all = new double[ids.length - 1];
    for (int i = 0; i < all.length; i++) {
      double largest = Double.NEGATIVE_INFINITY;
      for (float logit : logits[i]) {
        largest = Math.max(largest, logit);
      }
      double total = 0;
      for (float logit : logits[i]) {
        total += Math.exp(logit - largest);
      }
      all[i] = logits[i][ids[i + 1]] - largest - Math.log(total);
    }
    return all;
  }

  private static double difference(double[] a, double[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      largest = Math.max(largest, Math.abs(a[i] - b[i]));
    }
    return largest;
  }

  private static int[] ids(int vocabulary) {
    return new Random(9).ints(20, 0, vocabulary).toArray();
  }

  private static Metadata tokenizerOf(Path path) {
    try (ModelFile file = ModelFile.open(path)) {
      return file.metadata().under("tokenizer.");
    }
  }

  private static Path golden(String name) {
    return Golden.path(Golden.json(name + ".json").get("file").stringValue());
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama-f32", "llama-f16", "qwen2-bf16", "qwen3-q8_0", "llama-q4_k"})
  void filesOfEveryKindGoIntoTrainingAndBack(String name) throws IOException {
    Path path = golden(name);
    try (Trained trained = Trained.of(path, Optional.empty());
        Model model = Logits.open(path, "reference")) {
      int[] ids = ids(model.architecture().vocabulary());
      double[] expected = logProbabilities(model, ids);
      assertThat(difference(trained.logProbabilities(ids), expected)).isLessThan(1e-5);
      Path written = folder.resolve("written.gguf");
      trained.model.write(written, trained.weights(), QuantType.F32, tokenizerOf(path));
      try (Model again = Logits.open(written, "reference")) {
        assertThat(again.architecture()).isEqualTo(model.architecture());
        assertThat(logProbabilities(again, ids)).isEqualTo(logProbabilities(model, ids));
      }
      Metadata tokenizer = tokenizerOf(path);
      ModelOptions reference =
          new ModelOptions(
              new Backends.Options(
                  "reference", OptionalInt.empty(), Optional.empty(), false),
              (done, total) -> {});
      try (Model memory =
          Model.of(trained.model, trained.weights(), tokenizer, reference)) {
        assertThat(logProbabilities(memory, ids)).isEqualTo(logProbabilities(model, ids));
        assertThatThrownBy(memory::file).isInstanceOf(IllegalStateException.class);
      }
    }
  }

  /** The other types lose what their rounding loses, and no more. */
  @ParameterizedTest
  @CsvSource({"F16, 0.01", "BF16, 0.06", "Q8_0, 0.06", "Q4_0, 4"})
  void otherTypesAreNear(QuantType type, double bound) throws IOException {
    Path path = golden("qwen3-q8_0");
    try (Trained trained = Trained.of(path, Optional.empty())) {
      int[] ids = ids(trained.model.architecture().vocabulary());
      Path written = folder.resolve("written.gguf");
      trained.model.write(written, trained.weights(), type, tokenizerOf(path));
      try (Model model = Logits.open(written, "reference")) {
        assertThat(model.file().gguf().requireTensor("output.weight", 67, 64).type())
            .isEqualTo(type);
        double off =
            difference(logProbabilities(model, ids), trained.logProbabilities(ids));
        // values that come from Q8_0 are Q8_0 exactly, but for the rounding of a scale
        assertThat(off).isLessThan(bound);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "qwen2", "qwen3"})
  void newModelsOfEveryFamilyAreWrittenAndOpened(String family) throws IOException {
    Path like = golden("qwen3-q8_0");
    Architecture architecture =
        Families.find(family)
            .orElseThrow()
            .architecture(
                new Sizes(
                    67, 64, 2, 32, 4, 2, OptionalInt.empty(), 48, OptionalDouble.empty(), true));
    try (Trained trained = new Trained(TrainingModel.create(architecture))) {
      trained.model.initialise(7, trained.weights());
      int[] ids = ids(67);
      double[] logs = trained.logProbabilities(ids);
      // near the uniform distribution, but not it
      assertThat(Arrays.stream(logs).average().orElseThrow()).isBetween(-4.3, -4.1);
      Path written = folder.resolve("new.gguf");
      trained.model.write(written, trained.weights(), QuantType.F32, tokenizerOf(like));
      try (Model model = Logits.open(written, "reference")) {
        assertThat(model.architecture()).isEqualTo(architecture);
        assertThat(difference(logProbabilities(model, ids), logs)).isLessThan(1e-5);
      }
      Path again = folder.resolve("again.gguf");
      trained.model.initialise(7, trained.weights());
      trained.model.write(again, trained.weights(), QuantType.F32, tokenizerOf(like));
      assertThat(Files.mismatch(written, again)).isEqualTo(-1);
    }
  }

  @Test
  void adaptersAddNothingAtFirstAndAreMergedWhenWritten() throws IOException {
    Path path = golden("llama-f32");
    try (Trained plain = Trained.of(path, Optional.empty());
        Trained trained = Trained.of(path, Optional.of(Lora.of(3, 6)))) {
      Parameters parameters = trained.model.parameters();
      assertThat(parameters.trainable()).hasSize(2 * 7 * 2);
      trained.model.initialise(1, trained.weights());
      int[] ids = ids(67);
      assertThat(trained.logProbabilities(ids)).isEqualTo(plain.logProbabilities(ids));
      try (Arena arena = Arena.ofConfined()) {
        Random random = new Random(2);
        for (Parameter p : parameters.trainable()) {
          MemorySegment values = arena.allocate(JAVA_FLOAT, p.size());
          for (long i = 0; i < p.size(); i++) {
            values.setAtIndex(JAVA_FLOAT, i, (float) (random.nextGaussian() / 8));
          }
          trained.replay.write(State.WEIGHTS, p.offset(), values);
        }
      }
      double[] adapted = trained.logProbabilities(ids);
      assertThat(difference(adapted, plain.logProbabilities(ids))).isGreaterThan(0.1);
      Path written = folder.resolve("merged.gguf");
      trained.model.write(written, trained.weights(), QuantType.F32, tokenizerOf(path));
      try (Model model = Logits.open(written, "reference")) {
        assertThat(difference(logProbabilities(model, ids), adapted)).isLessThan(1e-4);
      }
    }
  }

  @Test
  void weightsThatATypeCannotHoldAreRefused() throws IOException {
    Path path = golden("qwen3-q8_0");
    try (Trained trained = Trained.of(path, Optional.empty());
        Arena arena = Arena.ofConfined()) {
      Parameter gate = trained.model.parameters().get("blk.1.ffn_gate.weight");
      trained
          .weights()
          .write(gate.offset() + 5L * gate.cols(), arena.allocateFrom(JAVA_FLOAT, 1e5f));
      Path written = folder.resolve("written.gguf");
      assertThatThrownBy(
              () ->
                  trained.model.write(
                      written, trained.weights(), QuantType.F16, tokenizerOf(path)))
          .isInstanceOf(FormatException.class)
          .hasMessage(
              "written.gguf: tensor blk.1.ffn_gate.weight: a value in row 5 is beyond what F16"
                  + " holds; BF16 or F32 would do");
      assertThat(written).doesNotExist();
      trained.model.write(written, trained.weights(), QuantType.BF16, tokenizerOf(path));
    }
  }
}
