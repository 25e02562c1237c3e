// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class QuantTypeTest {
  /** The native kernels and Java must know the same types: one table each, compared here. */
  @Test
  void rowsEqualThoseOfTheNativeTable() throws IOException {
    Pattern row = Pattern.compile("TK_TYPE\\((\\w+), (\\d+), (\\d+), (\\d+)\\)");
    List<String> nativeRows =
        Files.readAllLines(nativeTable()).stream()
            .map(row::matcher)
            .filter(matcher -> matcher.matches())
            .map(m -> String.join(" ", m.group(1), m.group(2), m.group(3), m.group(4)))
            .toList();
    List<String> javaRows =
        Arrays.stream(QuantType.values())
            .map(t -> t + " " + t.ggufId() + " " + t.blockElements() + " " + t.blockBytes())
            .toList();
    assertThat(javaRows).isNotEmpty().containsExactlyInAnyOrderElementsOf(nativeRows);
  }

  private static Path nativeTable() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path table = at.resolve("native/include/tokamak/quant.def");
      if (Files.exists(table)) {
        return table;
      }
    }
    throw new AssertionError("native/include/tokamak/quant.def: not found above the module");
  }

  @Test
  void bytesAreWholeBlocks() {
    assertThat(QuantType.Q4_K.bytes(512)).isEqualTo(288);
    assertThatThrownBy(() -> QuantType.Q4_K.bytes(100))
        .hasMessage("Q4_K: elements=100 is not a multiple of 256");
    assertThatThrownBy(() -> QuantType.F32.bytes(Long.MAX_VALUE))
        .isInstanceOf(ArithmeticException.class);
  }
}
