// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class BenchTrainTest {
  private static Cli.Result bench(String... more) {
    String[] sizes = {
      "bench", "train", "--layers", "1", "--dim", "16", "--heads", "4", "--kv-heads", "2", "--hidden",
      "24", "--vocab", "32", "--sequences", "2", "--tokens", "5", "--steps", "2"
    };
    String[] all = new String[sizes.length + more.length];
    System.arraycopy(sizes, 0, all, 0, sizes.length);
    System.arraycopy(more, 0, all, sizes.length, more.length);
    return Cli.run(all);
  }

  @ParameterizedTest
  @CsvSource({"f32, adamw, cpu", "bf16, muon, cpu", "f32, adamw, reference"})
  void timesStepsAndCountsParameters(String type, String optimizer, String backend) {
    String[] how = {"--type", type, "--optimizer", optimizer, "--backend", backend};
    Cli.Result text = bench(how);
    assertThat(text.done().out()).contains("tokens/s", "FLOP/s", backend);

    String[] json = {how[0], how[1], how[2], how[3], how[4], how[5], "--recompute", "--json"};
    JsonNode result = bench(json).json();
    // table, q and o, k and v, three products, three norms
    assertThat(result.get("parameters").asLong())
        .isEqualTo(32 * 16 + 2 * 16 * 16 + 2 * 8 * 16 + 3 * 24 * 16 + 3 * 16);
    assertThat(result.get("tokens_per_step").asLong()).isEqualTo(10);
    assertThat(result.get("tokens_per_s").asDouble()).isPositive();
    assertThat(result.get("steps_s").size()).isEqualTo(2);
    assertThat(result.get("last_loss").asDouble()).isBetween(3.0, 4.0);
    assertThat(result.get("fraction_of_peak").isNumber()).isEqualTo(backend.equals("cpu"));
  }
}
