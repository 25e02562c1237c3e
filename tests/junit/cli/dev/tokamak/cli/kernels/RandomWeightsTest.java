// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.reference.Decode;
import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A wrong product shows only where weights are of the size that bounds are made for. */
class RandomWeightsTest {
  @ParameterizedTest
  @EnumSource(QuantType.class)
  void valuesAreAroundZeroAndOfTheSizeAskedFor(QuantType type) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            int count = 1 << 18;
            MemorySegment data = arena.allocate(type.bytes(count), 64);
            RandomWeights.fill(data, type, 0.02, random);
            float[] values = new float[count];
            Decode.decode(type, data, count, values);
            double sum = 0;
            double squares = 0;
            for (float value : values) {
              sum += value;
              squares += (double) value * value;
            }
            assertThat(Math.abs(sum / count)).as("mean").isLessThan(0.003);
            assertThat(Math.sqrt(squares / count)).as("deviation").isBetween(0.015, 0.026);
          }
        });
  }
}
