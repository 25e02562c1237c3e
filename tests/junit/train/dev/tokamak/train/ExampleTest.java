// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingShape;
import java.lang.foreign.Arena;
import java.util.BitSet;
import org.junit.jupiter.api.Test;

class ExampleTest {
  @Test
  void lastTokenIsTargetOnly() {
    try (Arena arena = Arena.ofConfined()) {
      var batch =
          new TrainingBatch(new TrainingShape(8, 8, TrainingShape.Arithmetic.F32), arena);
      Example.of(0, new int[] {5, 6, 7}).addTo(batch);
      Example.answer(1, new int[] {1, 2, 3, 4}, 3, 1).addTo(batch);
      assertThat(batch.rows()).isEqualTo(5);
      assertThat(batch.outputs()).isEqualTo(3);
      assertThat(batch.outputRow(1)).isEqualTo(1);
      assertThat(batch.targetOf(1)).isEqualTo(7);
      assertThat(batch.outputRow(2)).isEqualTo(4);
      assertThat(batch.targetOf(2)).isEqualTo(4);
      assertThat(batch.start(4)).isEqualTo(2);
    }
  }

  @Test
  void firstTokenIsNoTarget() {
    BitSet first = new BitSet();
    first.set(0);
    assertThatThrownBy(() -> new Example(3, new int[] {1, 2}, first, 1))
        .hasMessageContaining("example 3");
  }
}
