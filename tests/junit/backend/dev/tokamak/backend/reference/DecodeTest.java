// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.QuantType;
import dev.tokamak.testing.TestData;
import java.lang.foreign.MemorySegment;
import java.util.Base64;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class DecodeTest {
  /** Random blocks of each type with the values that another implementation reads from them. */
  @Test
  void blocksDecodeToTheGoldenValues() {
    int seen = 0;
    for (JsonNode row : TestData.json("golden/quant-blocks.json").get("types")) {
      QuantType type = QuantType.ofGguf(row.get("ggml_id").asInt()).orElse(null);
      if (type == null) {
        continue;
      }
      byte[] data = Base64.getDecoder().decode(row.get("data_base64").asString());
      JsonNode expected = row.get("values");
      float[] values = new float[expected.size()];
      Decode.decode(type, MemorySegment.ofArray(data), values.length, values);
      for (int i = 0; i < values.length; i++) {
        assertThat(values[i]).as("%s value %d", type, i).isEqualTo(expected.get(i).floatValue());
      }
      seen++;
    }
    assertThat(seen).isGreaterThanOrEqualTo(QuantType.values().length - 1);
  }
}
