// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.testing.TestData;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class PerplexityTest {
  @Test
  void jsonHasTheFieldsOfTheContract(@TempDir Path folder) throws Exception {
    String text =
        Files.readString(TestData.path("corpora/tinystories-sample-valid.txt")).substring(0, 4000);
    Path file = Files.writeString(folder.resolve("text.txt"), text);
    JsonNode json =
        Cli.run(
                "perplexity", "-m", Cli.stories(), "-f", file.toString(), "--ctx", "64", "--json")
            .json();
    assertThat(json.propertyNames())
        .contains("perplexity", "bits_per_byte", "tokens", "seconds", "scores", "chunks", "ctx");
    int tokens = json.get("tokens").asInt();
    assertThat(json.get("chunks").asInt()).isEqualTo(tokens / 64);
    assertThat(json.get("scores").asInt()).isEqualTo(tokens / 64 * 31);
    double perplexity = json.get("perplexity").asDouble();
    assertThat(perplexity).isBetween(4.0, 14.0); // 7.06 over the whole file at --ctx 128
    double bits = Math.log(perplexity) / Math.log(2) * (tokens - 1) / text.strip().length();
    assertThat(json.get("bits_per_byte").asDouble()).isCloseTo(bits, within(0.02));
  }
}
