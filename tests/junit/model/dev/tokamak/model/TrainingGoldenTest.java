// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.train.Parameter;
import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update;
import dev.tokamak.backend.train.Update.Optimizer;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.testing.Golden;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/**
 * Gradients of whole models, and the losses of two hundred steps, on every backend of this machine
 * that trains, against what PyTorch found in float64 ({@code tests/golden/make_gradients.py}).
 */
class TrainingGoldenTest {
  private static final List<String> MODELS =
      List.of("llama-linear", "llama-factors", "qwen2", "qwen3");

  private static final Lora LORA =
      new Lora(3, 6, EnumSet.of(Lora.Target.Q, Lora.Target.V, Lora.Target.DOWN));

  /** Of a gradient, relative to the largest of its tensor. */
  private static final double GRADIENT = 1e-4;

  /** Of a loss in F32. */
  private static final double LOSS = 1e-3;

  private static final int WINDOW = 20;

  /**
   * Steps on a device that software plays, a multiple of {@value #WINDOW}. All of them are right too:
   * {@code -Dtokamak.test.emulatedSteps=200}, minutes.
   */
  private static final int EMULATED_STEPS = Integer.getInteger("tokamak.test.emulatedSteps", 20);

  /**
   * Of the mean loss of {@value #WINDOW} steps in BF16. One rounding that falls to the other side
   * changes all steps after it, so that single losses part, and the sums' order decides where.
   */
  private static final double BF16_LOSS = 0.05;

  /** A model of a golden file on a backend. */
  private static final class Run implements AutoCloseable {
    final ModelFile file;
    final Backend backend;
    final TrainingModel model;
    final TrainingReplay replay;

    Run(
        String name,
        String backendName,
        Arithmetic arithmetic,
        boolean recompute,
        Optional<Lora> lora) {
      file = ModelFile.open(Golden.path(name + ".gguf"));
      backend = open(backendName);
      model = TrainingModel.of(file, lora);
      TrainingShape shape = new TrainingShape(24, 24, arithmetic);
      replay = backend.prepare(model.program(24, recompute), shape);
      model.read(file, WeightArray.of(replay));
      model.parameters().trainable().stream()
          .filter(TrainingModel::isAdapter)
          .forEach(
              p ->
                  replay.write(
                      State.WEIGHTS,
                      p.offset(),
                      file.matrix(p.name(), p.rows(), p.cols()).data()));
    }

    @Override
    public void close() {
      replay.close();
      backend.close();
      file.close();
    }
  }

  private static Backend open(String name) {
    return Backends.open(
            new Backends.Options(name, OptionalInt.of(2), Optional.empty(), false))
        .backend();
  }

  /** Those that train, by trying it. */
  private static List<String> backends() {
    List<String> names = new ArrayList<>();
    for (String name : Logits.backends()) {
      try (Run run =
          new Run("gradients-qwen2", name, Arithmetic.F32, false, Optional.empty())) {
        names.add(run.backend.name());
      } catch (BackendException e) {
        if (!e.getMessage().endsWith("cannot train")) {
          throw e;
        }
      }
    }
    return names;
  }

  /** The sequences of a golden file, read one after the other. */
  private static final class Sequences {
    private final int[] tokens;
    private final int[] targets;
    private final int[] lengths;
    private int at;
    private int next;

    Sequences(Metadata metadata) {
      tokens = metadata.ints("golden.tokens").orElseThrow();
      targets = metadata.ints("golden.targets").orElseThrow();
      lengths = metadata.ints("golden.lengths").orElseThrow();
    }

    /** Puts the next two into a batch. */
    void fill(TrainingBatch batch) {
      batch.clear();
      for (int i = 0; i < 2; i++) {
        batch.beginSequence();
        for (int end = at + lengths[next]; at < end; at++) {
          batch.add(tokens[at]);
          if (targets[at] >= 0) {
            batch.target(targets[at]);
          }
        }
        next++;
      }
    }
  }

  /** Sets the coefficients of the mean over the targets, and returns that. */
  private static double meanLoss(TrainingBatch batch) {
    double loss = 0;
    for (int o = 0; o < batch.outputs(); o++) {
      loss -= batch.logProbability(o) / batch.outputs();
      batch.coefficient(o, -1.0 / batch.outputs());
    }
    return loss;
  }

  @Test
  void theReferenceTrains() {
    assertThat(backends()).contains("reference");
  }

  @TestFactory
  List<DynamicTest> gradients() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String backend : backends()) {
      for (String model : MODELS) {
        for (boolean recompute : new boolean[] {false, true}) {
          tests.add(
              DynamicTest.dynamicTest(
                  backend + " " + model + (recompute ? ", activations made again" : ""),
                  () ->
                      checkGradients("gradients-" + model, backend, recompute, Optional.empty())));
        }
      }
      tests.add(
          DynamicTest.dynamicTest(
              backend + " adapters",
              () -> checkGradients("gradients-lora", backend, true, Optional.of(LORA))));
    }
    return tests;
  }

  private static void checkGradients(
      String name, String backend, boolean recompute, Optional<Lora> lora) {
    try (Run run = new Run(name, backend, Arithmetic.F32, recompute, lora);
        Arena arena = Arena.ofConfined()) {
      TrainingBatch batch = run.replay.batch();
      new Sequences(run.file.metadata()).fill(batch);
      run.replay.forward();
      float[] expected =
          run.file.metadata().floats("golden.log_probabilities").orElseThrow();
      assertThat(batch.outputs()).isEqualTo(expected.length);
      for (int o = 0; o < expected.length; o++) {
        assertThat(batch.logProbability(o)).isCloseTo(expected[o], within(1e-4f));
      }
      meanLoss(batch);
      run.replay.backward();
      for (Parameter p : run.model.parameters().trainable()) {
        MemorySegment gradient = arena.allocate(JAVA_FLOAT, p.size());
        run.replay.read(State.GRADIENTS, p.offset(), gradient);
        compare(p, run.file.matrix("gradient." + p.name(), p.rows(), p.cols()), gradient);
      }
    }
  }

  private static void compare(Parameter p, Tensor expected, MemorySegment gradient) {
    double largest = 0;
    double off = 0;
    for (long i = 0; i < p.size(); i++) {
      double truth = expected.data().getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      largest = Math.max(largest, Math.abs(truth));
      off = Math.max(off, Math.abs(truth - gradient.getAtIndex(JAVA_FLOAT, i)));
    }
    // A bias of keys moves all scores of a row alike but for the rotation: it has the least.
    assertThat(largest).as("largest gradient of %s", p).isGreaterThan(1e-5);
    assertThat(off / largest).as("gradients of %s", p).isLessThan(GRADIENT);
  }

  @TestFactory
  List<DynamicTest> lossesOfAdamw() {
    return onEachBackend(
        backend -> {
          float[] expected = golden("losses.adamw");
          double[] losses = losses(backend, Optimizer.ADAMW, "adamw", Arithmetic.F32);
          for (int step = 0; step < losses.length; step++) {
            assertThat(losses[step])
                .as("step %d", step)
                .isCloseTo(expected[step], within(LOSS));
          }
        });
  }

  @TestFactory
  List<DynamicTest> lossesOfMuon() {
    return onEachBackend(
        backend -> {
          float[] expected = golden("losses.muon");
          double[] losses = losses(backend, Optimizer.MUON, "muon", Arithmetic.F32);
          for (int step = 0; step < losses.length; step++) {
            assertThat(losses[step])
                .as("step %d", step)
                .isCloseTo(expected[step], within(LOSS));
          }
        });
  }

  @TestFactory
  List<DynamicTest> lossesInBf16() {
    return onEachBackend(
        backend -> {
          float[] expected = golden("losses.bf16");
          double[] losses = losses(backend, Optimizer.ADAMW, "adamw", Arithmetic.BF16);
          assertThat(losses[0]).isCloseTo(expected[0], within(2 * LOSS));
          for (int from = 0; from < losses.length; from += WINDOW) {
            double off = 0;
            for (int step = from; step < from + WINDOW; step++) {
              off += (losses[step] - expected[step]) / WINDOW;
            }
            assertThat(off).as("steps from %d", from).isCloseTo(0, within(BF16_LOSS));
          }
        });
  }

  private static float[] golden(String key) {
    try (ModelFile file = ModelFile.open(Golden.path("losses-qwen3.gguf"))) {
      return file.metadata().floats("golden." + key).orElseThrow();
    }
  }

  private static double[] losses(
      String backend, Optimizer optimizer, String rates, Arithmetic arithmetic) {
    try (Run run = new Run("losses-qwen3", backend, arithmetic, false, Optional.empty())) {
      Sequences sequences = new Sequences(run.file.metadata());
      float[] rate = golden("rates." + rates);
      int steps = run.backend.emulated() ? Math.min(EMULATED_STEPS, rate.length) : rate.length;
      double[] losses = new double[steps];
      for (int step = 0; step < losses.length; step++) {
        sequences.fill(run.replay.batch());
        run.replay.forward();
        losses[step] = meanLoss(run.replay.batch());
        run.replay.backward();
        run.replay.update(
            new Update(optimizer, step + 1, rate[step], 0.1, 1, 0.9, 0.95, 1e-8));
      }
      return losses;
    }
  }

  private interface Check {
    void on(String backend);
  }

  private static List<DynamicTest> onEachBackend(Check check) {
    return backends().stream()
        .map(name -> DynamicTest.dynamicTest(name, () -> check.on(name)))
        .toList();
  }
}
