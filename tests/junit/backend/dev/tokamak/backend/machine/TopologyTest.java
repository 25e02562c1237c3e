// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.BackendException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TopologyTest {
  /** Four cores of two threads each, numbered as most machines do. */
  @Test
  void threadsOfOneCoreCountOnce(@TempDir Path cpus) throws IOException {
    for (int cpu = 0; cpu < 8; cpu++) {
      Path topology = Files.createDirectories(cpus.resolve("cpu" + cpu + "/topology"));
      String siblings = cpu % 4 + "," + (cpu % 4 + 4) + "\n";
      Files.writeString(topology.resolve("thread_siblings_list"), siblings);
    }
    assertThat(Topology.cores(cpus, new int[] {0, 1, 2, 3, 4, 5, 6, 7})).isEqualTo(4);
    assertThat(Topology.cores(cpus, new int[] {0, 4})).isEqualTo(1);
    assertThat(Topology.cores(cpus, new int[] {0, 1, 5})).isEqualTo(2);
    assertThat(Topology.cores(cpus, new int[] {0, 4, 8, 9})).as("two are unknown").isEqualTo(3);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          0         | 0
          0,1       | 0,1
          0-1       | 0,1
          3,2,1     | 3,2,1
          0,2-5     | 0,2-5
          0-2,3,7-8 | 0-3,7,8
          """)
  void aListIsReadAndWritten(String text, String written) {
    assertThat(CpuList.parse(text)).hasToString(written);
    assertThat(CpuList.parse(written)).isEqualTo(CpuList.parse(text));
  }

  @Test
  void aListKeepsItsOrder() {
    assertThat(CpuList.parse("5,0-2").cpus()).containsExactly(5, 0, 1, 2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", ",", "0,", "a", "-1", "1-", "2-1", "0,0", "0-3,2", "9999", "12345"})
  void whatIsNoListIsRefused(String text) {
    assertThatThrownBy(() -> CpuList.parse(text))
        .isInstanceOf(BackendException.class)
        .hasMessageStartingWith("expected ");
  }
}
