// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class EncodeTest {
  /** Two blocks: one with an outlier, one of small values with zeros among them. */
  private static float[] values() {
    float[] values = new float[64];
    for (int i = 0; i < 64; i++) {
      values[i] = (i * 37 % 101 - 50) / 64f * (i < 32 ? 1 : -0.001f);
    }
    values[5] = 2.5f;
    for (int i = 40; i < 48; i++) {
      values[i] = 0;
    }
    return values;
  }

  /** What the gguf package of llama.cpp makes of the same values. */
  @ParameterizedTest
  @CsvSource({
    "F16, 40ba80b2003600b900aa004180b7002f803900b54034e0b900b1c036a0b80000a038c0b60031e03940b40035"
        + "80b900af803740b8002a003900b68032403a00b3e38d3f1119043990f00f25868191600d0000000000000000"
        + "00000000000000009c88e3919c0cdd8cc31119086d8f7b100c82fe90660e258a4692ae0ba28d6011",
    "BF16, 48bf50bec03e20bf40bd2040f0bee03d303fa0be883e3cbf20bed83e14bf0000143fd8be203e3c3f88bea03e"
        + "30bfe0bdf03e08bf403d203fc0be503e483f60bebcb9283a833807bafe39c5b830baac390000000000000000"
        + "000000000000000013b93cba93399cb9383a0339eeb90f3a03b820bacd3945b949ba7639b4b92c3a",
    "Q8_0, 0a25d8f613e0fe7fe80623f00ddbf815e3001deb0825f310ddfa18e50220ed0a28f5"
        + "6500c46a0aaa50f091360000000000000000e9892fcf7515b55bfb9b41e18127c76d",
    "Q4_0, 00b56b99876a9870aa8876a9876a99776a98"
        + "4606740fb953fd9731eb8828c86808a848f8"
  })
  void blocksAreTheOnesOfGgml(QuantType type, String expected) {
    byte[] bytes = new byte[(int) type.bytes(64)];
    assertThat(Encode.encode(type, values(), 64, MemorySegment.ofArray(bytes), 0)).isTrue();
    assertThat(HexFormat.of().formatHex(bytes)).isEqualTo(expected);
  }

  @ParameterizedTest
  @EnumSource(names = {"F16", "Q8_0", "Q4_0"})
  void whatHalfPrecisionCannotHoldIsSaid(QuantType type) {
    float[] values = values();
    values[33] = 1e9f;
    assertThat(Encode.encode(type, values, 64, MemorySegment.ofArray(new byte[128]), 0)).isFalse();
  }
}
