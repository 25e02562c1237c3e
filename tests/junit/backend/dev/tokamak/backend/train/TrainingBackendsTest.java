// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

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
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** A whole training of a few steps on the native backend, against the reference and itself. */
class TrainingBackendsTest {
  private static final long SEED = TrainingRun.SEED;

  private static Backend cpu(String level, int threads) {
    return new CpuBackend(
        new Backends.Options(
            "cpu", OptionalInt.of(threads), Optional.of(level), false));
  }

  @TestFactory
  List<DynamicTest> equalsTheReferenceAndItself() {
    List<DynamicTest> tests = new ArrayList<>();
    for (TrainingRun one : TrainingRun.all()) {
      for (String level : CpuBackend.levels()) {
        if (CpuBackend.obstacle(options(level)).isEmpty()) {
          tests.add(DynamicTest.dynamicTest(level + ": " + one.name(), () -> compare(one, level)));
        }
      }
    }
    return tests;
  }

  private static Backends.Options options(String level) {
    return new Backends.Options(
        "cpu", OptionalInt.of(1), Optional.of(level), false);
  }

  private static void compare(TrainingRun one, String level) {
    TrainingRun.Trained first = one.train(cpu(level, 2));
    first.assertCloseTo(
        one.train(new ReferenceBackend(Backends.Options.defaults())),
        one.arithmetic() == Arithmetic.F32 ? 2e-5 : 2e-2);
    for (int threads : new int[] {1, 3}) {
      one.train(cpu(level, threads)).assertSameBitsAs(first);
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
