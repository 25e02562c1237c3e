// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.function.Function;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** A whole training of a few steps on the native backend, against the reference and itself. */
class TrainingBackendsTest {
  private static final long SEED = Long.getLong("seed", 11);
  private static final int STEPS = 3;

  /** All that a training leaves behind. */
  private record Trained(
      float[] logProbabilities, float[] gradients, float[] weights, double norm) {}

  private record Case(
      String name,
      Function<Arena, TinyTraining> program,
      boolean recompute,
      Arithmetic arithmetic,
      Optimizer optimizer) {}

  private static List<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (Arithmetic arithmetic : Arithmetic.values()) {
      for (Optimizer optimizer : Optimizer.values()) {
        String how = ", " + arithmetic + ", " + optimizer;
        cases.add(
            new Case(
                "interleaved" + how,
                a -> TinyTraining.transformer(a, Pairing.INTERLEAVED, 4, 2, false),
                false,
                arithmetic,
                optimizer));
        cases.add(
            new Case(
                "split in halves, made again" + how,
                a -> TinyTraining.transformer(a, Pairing.HALF_SPLIT, 3, 1, false),
                true,
                arithmetic,
                optimizer));
        cases.add(
            new Case(
                "adapters" + how,
                a -> TinyTraining.transformer(a, Pairing.HALF_SPLIT, 2, 2, true),
                false,
                arithmetic,
                optimizer));
      }
    }
    return cases;
  }

  private static Backend cpu(String level, int threads) {
    return new CpuBackend(
        new Backends.Options(
            "cpu", OptionalInt.of(threads), Optional.of(level), false));
  }

  @TestFactory
  List<DynamicTest> equalsTheReferenceAndItself() {
    List<DynamicTest> tests = new ArrayList<>();
    for (Case one : cases()) {
      for (String level : CpuBackend.levels()) {
        if (CpuBackend.obstacle(options(level)).isEmpty()) {
          tests.add(DynamicTest.dynamicTest(level + ": " + one.name, () -> compare(one, level)));
        }
      }
    }
    return tests;
  }

  private static Backends.Options options(String level) {
    return new Backends.Options(
        "cpu", OptionalInt.of(1), Optional.of(level), false);
  }

  private static void compare(Case one, String level) {
    Trained expected = train(one, new ReferenceBackend(Backends.Options.defaults()));
    Trained first = train(one, cpu(level, 2));
    double bound = one.arithmetic == Arithmetic.F32 ? 2e-5 : 2e-2;
    close("log probabilities", first.logProbabilities, expected.logProbabilities, bound);
    close("gradients", first.gradients, expected.gradients, bound);
    close("weights", first.weights, expected.weights, bound / 4);
    assertThat(first.norm).isCloseTo(expected.norm, within(bound * expected.norm));
    for (int threads : new int[] {1, 3}) {
      Trained other = train(one, cpu(level, threads));
      assertThat(other.logProbabilities).as("log probabilities").isEqualTo(first.logProbabilities);
      assertThat(other.gradients).as("gradients").isEqualTo(first.gradients);
      assertThat(other.weights).as("weights").isEqualTo(first.weights);
    }
  }

  private static void close(String what, float[] got, float[] expected, double share) {
    double largest = 0;
    for (float value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertThat(largest).as(what).isPositive();
    for (int i = 0; i < expected.length; i++) {
      assertThat(Math.abs(got[i] - expected[i]))
          .as("%s %d: %s, expected %s, seed %d", what, i, got[i], expected[i], SEED)
          .isLessThanOrEqualTo((float) (share * largest));
    }
  }

  private static Trained train(Case one, Backend backend) {
    Random random = new Random(SEED);
    try (Arena arena = Arena.ofConfined();
        backend) {
      TrainingProgram program = one.program.apply(arena).training(one.recompute);
      Parameters parameters = program.parameters();
      int trainable = (int) parameters.trainableSize();
      try (TrainingReplay replay =
          backend.prepare(program, TinyTraining.shape(one.arithmetic))) {
        TinyTraining.write(replay, State.WEIGHTS, TinyTraining.weights(parameters, random));
        float[] logProbabilities = null;
        float[] gradients = null;
        double norm = 0;
        for (int step = 1; step <= STEPS; step++) {
          for (int part = 0; part < 2; part++) {
            TinyTraining.fill(replay.batch(), random);
            replay.forward();
            TinyTraining.coefficients(replay.batch(), random);
            replay.backward();
          }
          if (step == 1) {
            logProbabilities = new float[replay.batch().outputs()];
            for (int o = 0; o < logProbabilities.length; o++) {
              logProbabilities[o] = replay.batch().logProbability(o);
            }
            gradients = TinyTraining.read(replay, State.GRADIENTS, trainable);
          }
          double now =
              replay.update(
                  new Update(one.optimizer, step, 0.002, 0.1, 1.0, 0.9, 0.95, 1e-4));
          norm = step == 1 ? now : norm;
        }
        assertThat(TinyTraining.read(replay, State.GRADIENTS, trainable)).containsOnly(0);
        return new Trained(
            logProbabilities,
            gradients,
            TinyTraining.read(replay, State.WEIGHTS, parameters.size()),
            norm);
      }
    }
  }

  @Test
  void whatIsNotFiniteIsNamed() {
    try (Arena arena = Arena.ofConfined();
        Backend backend = cpu(CpuBackend.levels().getFirst(), 2)) {
      TrainingProgram program =
          TinyTraining.transformer(arena, Pairing.INTERLEAVED, 4, 2, false).training(false);
      try (TrainingReplay replay =
          backend.prepare(program, TinyTraining.shape(Arithmetic.F32))) {
        float[] weights = TinyTraining.weights(program.parameters(), new Random(SEED));
        int up = (int) program.parameters().get("blk.1.up").offset();
        weights[up] = Float.POSITIVE_INFINITY;
        TinyTraining.write(replay, State.WEIGHTS, weights);
        TinyTraining.fill(replay.batch(), new Random(SEED));
        assertThatThrownBy(replay::forward)
            .isInstanceOf(NotFiniteException.class)
            .hasMessageContaining("matmul blk.1.up");
        assertThatThrownBy(replay::backward)
            .isInstanceOf(BackendException.class)
            .hasMessageContaining("forward");

        weights[up] = 0;
        TinyTraining.write(replay, State.WEIGHTS, weights);
        replay.forward();
        TinyTraining.coefficients(replay.batch(), new Random(SEED));
        replay.batch().coefficient(1, Double.NaN);
        assertThatThrownBy(replay::backward)
            .isInstanceOf(BackendException.class)
            .hasMessageContaining("coefficients[1]=nan");

        float[] gradients = new float[(int) program.parameters().trainableSize()];
        gradients[up] = Float.NaN;
        TinyTraining.write(replay, State.GRADIENTS, gradients);
        assertThatThrownBy(
                () -> replay.update(new Update(Optimizer.ADAMW, 1, 1, 0, 1, 0.9, 0.9, 1e-8)))
            .isInstanceOf(BackendException.class)
            .hasMessageContaining("blk.1.up");
        assertThat(TinyTraining.read(replay, State.WEIGHTS, program.parameters().size()))
            .isEqualTo(weights);
      }
    }
  }
}
