// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.TrainingOperation.Forward;
import dev.tokamak.backend.train.TrainingOperation.InputGradient;
import dev.tokamak.backend.train.TrainingOperation.LogProbabilityGradient;
import dev.tokamak.backend.train.TrainingOperation.WeightGradient;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import java.lang.foreign.Arena;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** How a training program follows from an inference program. */
class TrainingProgramTest {
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everyValueIsWrittenOnceAndBeforeItIsRead(boolean recompute) {
    try (Arena arena = Arena.ofConfined()) {
      TrainingProgram program =
          TinyTraining.transformer(arena, Pairing.INTERLEAVED, 4, 2, false).training(recompute);
      Set<Value> written = new HashSet<>();
      for (TrainingOperation operation :
          Stream.concat(program.forward().stream(), program.backward().stream()).toList()) {
        assertThat(written).as("read by %s", operation).containsAll(operation.reads());
        boolean again =
            operation instanceof LogProbabilityGradient
                || operation instanceof InputGradient i && i.accumulate();
        for (Value value : operation.writes()) {
          boolean first = written.add(value);
          assertThat(first || again).as("second writing by %s", operation).isTrue();
        }
      }
    }
  }

  /** What is in place may be changed only as long as nothing else needs it as it was. */
  @Test
  void nothingThatIsAddedToIsTheGradientOfAnotherValueToo() {
    try (Arena arena = Arena.ofConfined()) {
      TinyTraining t = new TinyTraining(arena, 8, 1, 8);
      Value x = t.embed();
      Value y = t.product("w", x, 8, false);
      t.add(x, y);
      TrainingProgram program = t.end(x).training(false);
      // the sum's gradient is that of x and of y: the product must not add to it in place
      assertThat(program.backward())
          .filteredOn(o -> o instanceof InputGradient i && i.weight().name().equals("w"))
          .singleElement()
          .satisfies(o -> assertThat(((InputGradient) o).accumulate()).isFalse());
    }
  }

  @Test
  void frozenParametersHaveNoGradientsAndNothingIsComputedBelowTheLowestAdapter() {
    try (Arena arena = Arena.ofConfined()) {
      TrainingProgram program =
          TinyTraining.transformer(arena, Pairing.INTERLEAVED, 4, 2, true).training(false);
      assertThat(program.parameters().trainable())
          .allMatch(p -> p.name().endsWith(".a") || p.name().endsWith(".b"));
      assertThat(program.backward())
          .filteredOn(WeightGradient.class::isInstance)
          .hasSize(8)
          .allMatch(w -> ((WeightGradient) w).weight().trainable());
      assertThat(program.backward())
          .as("the adapter of blk.0.q stands on what nothing trainable is behind")
          .noneMatch(
              o -> o instanceof InputGradient i && i.weight().name().equals("blk.0.q"));
      long size = program.parameters().trainableSize();
      assertThat(program.parameters().list())
          .allMatch(p -> p.trainable() == (p.offset() < size));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void activationsMadeAgainGiveTheSameBitsInLessMemory(boolean ranked) {
    for (Arithmetic arithmetic : Arithmetic.values()) {
      try (Arena arena = Arena.ofConfined();
          var backend = new ReferenceBackend(Backends.Options.defaults())) {
        TrainingProgram kept = transformer(arena, ranked).training(false);
        TrainingProgram again = transformer(arena, ranked).training(true);
        assertThat(again.backward()).hasSizeGreaterThan(kept.backward().size());
        assertThat(again.backward())
            .as("a block's last product is not made again: only the next block reads it")
            .noneMatch(
                o -> o instanceof Forward f && f.writes().getFirst().name().equals("blk.1.down")
                    && !ranked);
        assertThat(gradients(backend, again, arithmetic))
            .isEqualTo(gradients(backend, kept, arithmetic));
        TrainingShape shape = new TrainingShape(512, 1, arithmetic);
        assertThat(Placement.of(again, shape).size())
            .isLessThan(Placement.of(kept, shape).size());
      }
    }
  }

  private static TinyTraining transformer(Arena arena, boolean ranked) {
    return TinyTraining.transformer(arena, Pairing.HALF_SPLIT, 4, 2, ranked);
  }

  private static float[] gradients(
      Backend backend, TrainingProgram program, Arithmetic arithmetic) {
    Random random = new Random(3);
    try (TrainingReplay replay = backend.prepare(program, TinyTraining.shape(arithmetic))) {
      TinyTraining.fill(replay.batch(), random);
      TinyTraining.coefficients(replay.batch(), random);
      TinyTraining.write(
          replay, State.WEIGHTS, TinyTraining.weights(program.parameters(), random));
      for (int pass = 0; pass < 2; pass++) {
        replay.forward();
        replay.backward();
      }
      return TinyTraining.read(
          replay, State.GRADIENTS, program.parameters().trainableSize());
    }
  }

  @Test
  void aTensorWithoutAParameterIsNamed() {
    try (Arena arena = Arena.ofConfined()) {
      var program = transformer(arena, false).program();
      Parameters none = Parameters.builder().build();
      assertThatThrownBy(() -> TrainingProgram.of(program, none, Map.of(), false))
          .isInstanceOf(BackendException.class)
          .hasMessage("parameters: none is named table");
    }
  }
}
