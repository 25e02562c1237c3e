// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import java.lang.foreign.Arena;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Values that live at the same time share no memory. */
class PlacementTest {
  private static final long SEED = Long.getLong("seed", 11);

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void valuesThatLiveTogetherLieApart(boolean recompute) {
    Random random = new Random(SEED);
    for (int round = 0; round < 20; round++) {
      try (Arena arena = Arena.ofConfined()) {
        int kvHeads = 1 + random.nextInt(3);
        TrainingProgram program =
            TinyTraining.transformer(
                    arena,
                    Pairing.HALF_SPLIT,
                    kvHeads * (1 + random.nextInt(3)),
                    kvHeads,
                    random.nextBoolean())
                .training(recompute);
        int rows = 1 + random.nextInt(100);
        check(program, new TrainingShape(rows, 1 + random.nextInt(rows), Arithmetic.F32));
      }
    }
  }

  private static void check(TrainingProgram program, TrainingShape shape) {
    Placement placement = Placement.of(program, shape);
    Placement.Life[] lives = Placement.lives(program);
    for (Value a : program.values()) {
      if (lives[a.id()] == null) {
        continue;
      }
      long start = placement.offset(a);
      long end = start + Placement.floats(a, shape);
      assertThat(start % Parameter.ALIGNMENT).as("start of %s, seed %d", a, SEED).isZero();
      assertThat(end).isLessThanOrEqualTo(placement.size());
      for (Value b : program.values()) {
        if (b.id() > a.id() && lives[b.id()] != null
            && lives[a.id()].overlaps(lives[b.id()])) {
          long other = placement.offset(b);
          assertThat(end <= other || other + Placement.floats(b, shape) <= start)
              .as("%s and %s of %s lie apart, seed %d", a, b, shape, SEED)
              .isTrue();
        }
      }
    }
  }
}
