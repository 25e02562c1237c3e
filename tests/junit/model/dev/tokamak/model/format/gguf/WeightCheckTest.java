// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.QuantType;
import dev.tokamak.model.format.Metadata;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class WeightCheckTest {
  private static final int BLOCKS = 7;

  @TempDir Path folder;

  /** Every byte of a quant but its scales may be anything. */
  @ParameterizedTest
  @EnumSource
  void finiteWeightsPass(QuantType type) throws IOException {
    byte[] data = new byte[BLOCKS * type.blockBytes()];
    assertThat(scan(type, data).findings()).isEmpty();
    if (type.blockElements() > 1) {
      Arrays.fill(data, (byte) 0xff);
      for (int block = 0; block < BLOCKS; block++) {
        int scale = type == QuantType.Q6_K ? 208 : 0;
        put(data, block * type.blockBytes() + scale, 0x7bff); // the largest half
        if (type == QuantType.Q4_K || type == QuantType.Q5_K) {
          put(data, block * type.blockBytes() + 2, 0x8001);
        }
      }
      assertThat(scan(type, data).findings()).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "F16, 0, 7e00, NaN",
    "F16, 0, 7c00, Infinity",
    "F16, 0, fc00, -Infinity",
    "BF16, 0, 7fc0, NaN",
    "BF16, 0, 7f80, Infinity",
    "BF16, 0, ff80, -Infinity",
    "Q8_0, 0, 7c01, block scale d = NaN",
    "Q4_0, 0, 7c00, block scale d = Infinity",
    "Q4_K, 0, fc00, block scale d = -Infinity",
    "Q4_K, 2, ffff, block minimum dmin = NaN",
    "Q5_K, 0, 7c00, block scale d = Infinity",
    "Q5_K, 2, 7c00, block minimum dmin = Infinity",
    "Q6_K, 208, 7e00, block scale d = NaN",
  })
  void namesTheFirstOfThem(QuantType type, int field, String bits, String value)
      throws IOException {
    byte[] data = new byte[BLOCKS * type.blockBytes()];
    put(data, 3 * type.blockBytes() + field, Integer.parseInt(bits, 16));
    put(data, 6 * type.blockBytes() + field, Integer.parseInt(bits, 16));
    assertThat(scan(type, data).findings())
        .containsExactly(new WeightCheck.Finding("w", 3L * type.blockElements(), value, 2));
  }

  @Test
  void floatsAreNamedByElement() throws IOException {
    float[] values = new float[BLOCKS];
    values[4] = Float.NaN;
    byte[] data = MemorySegment.ofArray(values).toArray(ValueLayout.JAVA_BYTE);
    assertThat(scan(QuantType.F32, data).findings()).hasToString("[w[4]: NaN]");
    values[2] = Float.NEGATIVE_INFINITY;
    data = MemorySegment.ofArray(values).toArray(ValueLayout.JAVA_BYTE);
    assertThat(scan(QuantType.F32, data).findings()).hasToString("[w[2]: -Infinity (2 in all)]");
  }

  @Test
  void typesWithoutKernelsAreReportedAsUnchecked() throws IOException {
    Path path = folder.resolve("q5.gguf");
    new GgufWriter(Metadata.of("test", Map.of()))
        .add("w", GgufType.Q5_0, new long[] {32}, () -> Samples.bytes(22, 1))
        .write(path);
    try (var file = GgufFile.open(path)) {
      WeightCheck.Report report = WeightCheck.scan(file);
      assertThat(report.findings()).isEmpty();
      assertThat(report.unchecked()).map(TensorInfo::name).containsExactly("w");
    }
  }

  private WeightCheck.Report scan(QuantType type, byte[] data) throws IOException {
    Path path = folder.resolve("w.gguf");
    long[] shape = {type.blockElements(), BLOCKS};
    new GgufWriter(Metadata.of("test", Map.of()))
        .add("w", GgufType.of(type), shape, () -> MemorySegment.ofArray(data))
        .write(path);
    try (var file = GgufFile.open(path)) {
      return WeightCheck.scan(file);
    }
  }

  private static void put(byte[] data, int at, int bits) {
    data[at] = (byte) bits;
    data[at + 1] = (byte) (bits >> 8);
  }
}
