// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.NotFiniteException;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.nativelib.CudaLibrary;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.TinyTraining;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingRun;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update;
import dev.tokamak.backend.train.Update.Optimizer;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** Training over the emulated device: the kernels are real, the driver counts and may fail. */
class CudaTrainingTest {
  @BeforeAll
  static void theEmulatedDeviceIsThere() {
    assumeTrue(System.getProperty("os.name").equals("Linux"), "kernels are made for Linux only");
    assumeTrue(
        CudaLibrary.emulated().isPresent(), "property " + CudaLibrary.EMULATION + " is not set");
    assertThat(CudaLibrary.obstacle()).isEmpty();
  }

  private final FakeMachine machine = new FakeMachine();
  private final FakeDriver driver =
      new FakeDriver(CudaLibrary.emulated().map(path -> new EmulatedDriver()));

  private CudaBackend backend() {
    machine.driver = driver;
    return new CudaBackend(new CudaProbe(machine));
  }

  private static TrainingProgram program(Arena arena) {
    return TinyTraining.transformer(arena, Pairing.INTERLEAVED, 4, 2, false).training(false);
  }

  @TestFactory
  List<DynamicTest> equalsTheReferenceAndItself() {
    return TrainingRun.all().stream()
        .map(one -> DynamicTest.dynamicTest(one.name(), () -> compare(one)))
        .toList();
  }

  /** In F32 as close as the processor is. */
  private void compare(TrainingRun one) {
    TrainingRun.Trained first = one.train(backend());
    first.assertCloseTo(
        one.train(new ReferenceBackend(Backends.Options.defaults())),
        one.arithmetic() == Arithmetic.F32 ? 2e-5 : 2e-2);
    one.train(backend()).assertSameBitsAs(first);
    assertThat(driver.open()).isEmpty();
  }

  @Test
  void whatDoesNotFitIsRefusedWithItsNumbers() {
    try (Arena arena = Arena.ofConfined();
        CudaBackend backend = backend()) {
      TrainingProgram program = program(arena);
      driver.memory = Optional.of(new CudaDriver.Memory(MemoryPlan.RESERVE + 4096, 1L << 30));
      assertThatThrownBy(() -> backend.prepare(program, TinyTraining.shape(Arithmetic.BF16)))
          .isInstanceOf(BackendException.class)
          .hasMessageStartingWith("cuda: not enough device memory: weights ")
          .hasMessageContaining("+ gradients ")
          .hasMessageContaining("+ moments ")
          .hasMessageContaining("+ activations ")
          .hasMessageContaining("free of 1.07 GB")
          .hasMessageContaining("a smaller batch");
      assertThat(driver.open()).isEmpty();
    }
  }

  /** At whichever call the device fails, all that was taken is given back. */
  @Test
  void aFailureAtAnyCallLeavesNothingBehind() {
    try (Arena arena = Arena.ofConfined();
        CudaBackend backend = backend()) {
      TrainingProgram program = program(arena);
      driver.failAt(Integer.MAX_VALUE, 0, false);
      step(backend, program);
      int calls = driver.calls();
      assertThat(calls).isGreaterThan(20);
      for (int call = 1; call <= calls; call++) {
        driver.failAt(call, 2, false); // out of memory: not fatal
        assertThatThrownBy(() -> step(backend, program))
            .as("call %d", call)
            .isInstanceOf(CudaException.class);
        assertThat(driver.open()).as("call %d", call).isEmpty();
      }
      driver.recover();
    }
  }

  private static void step(CudaBackend backend, TrainingProgram program) {
    try (TrainingReplay replay = backend.prepare(program, TinyTraining.shape(Arithmetic.BF16))) {
      TinyTraining.fill(replay.batch(), new Random(1));
      replay.forward();
      replay.backward();
      replay.update(new Update(Optimizer.ADAMW, 1, 0.1, 0, 0, 0.9, 0.9, 1e-8));
      TinyTraining.read(replay, State.SECOND_MOMENT, program.parameters().trainableSize());
    }
  }

  @Test
  void whatIsNotFiniteIsNamed() {
    try (Arena arena = Arena.ofConfined();
        CudaBackend backend = backend()) {
      TrainingProgram program = program(arena);
      try (TrainingReplay replay = backend.prepare(program, TinyTraining.shape(Arithmetic.F32))) {
        float[] weights = TinyTraining.weights(program.parameters(), new Random(TrainingRun.SEED));
        int up = (int) program.parameters().get("blk.1.up").offset();
        weights[up] = Float.POSITIVE_INFINITY;
        TinyTraining.write(replay, State.WEIGHTS, weights);
        TinyTraining.fill(replay.batch(), new Random(TrainingRun.SEED));
        assertThatThrownBy(replay::forward)
            .isInstanceOf(NotFiniteException.class)
            .hasMessageContaining("matmul blk.1.up");
        assertThatThrownBy(replay::backward)
            .isInstanceOf(BackendException.class)
            .hasMessageContaining("forward");

        weights[up] = 0;
        TinyTraining.write(replay, State.WEIGHTS, weights);
        replay.forward();
        replay.batch().coefficient(1, Double.NaN);
        assertThatThrownBy(replay::backward)
            .isInstanceOf(BackendException.class)
            .hasMessage("backward: coefficients[1]=NaN, must be finite");

        float[] gradients = new float[(int) program.parameters().trainableSize()];
        gradients[up] = Float.NaN;
        TinyTraining.write(replay, State.GRADIENTS, gradients);
        assertThatThrownBy(
                () -> replay.update(new Update(Optimizer.ADAMW, 1, 1, 0, 1, 0.9, 0.9, 1e-8)))
            .isInstanceOf(BackendException.class)
            .hasMessage("update: the norm of the gradients is NaN; no weight has changed");
        assertThat(TinyTraining.read(replay, State.WEIGHTS, program.parameters().size()))
            .isEqualTo(weights);
        assertThatThrownBy(() -> TinyTraining.read(replay, State.GRADIENTS, 1L << 20))
            .hasMessageContaining("GRADIENTS: floats 0 to 1048576 are not within");
      }
    }
  }
}
