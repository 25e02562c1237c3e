// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class BenchTest {
  @Test
  void jsonHasTheFieldsOfTheContract() {
    JsonNode json =
        Cli.run(
                "bench", "-m", Cli.stories(), "-p", "20", "-n", "5", "-b", "2", "-r", "3", "--json")
            .json();
    assertThat(json.propertyNames())
        .contains("cpu", "model", "load_s", "prefill", "decode", "peak_rss_bytes");
    assertThat(json.get("model").get("bytes").asLong()).isPositive();
    assertThat(json.get("model").get("parameters").asLong()).isEqualTo(260_032);
    assertThat(json.get("model").get("type").asString()).isEqualTo("F32");
    for (String part : new String[] {"prefill", "decode"}) {
      assertThat(json.get(part).get("tok_s").asDouble()).isPositive();
      assertThat(json.get(part).get("spread").asDouble()).isNotNegative();
      assertThat(json.get(part).has("roofline_fraction")).isTrue();
      if (json.get("cpu").get("backend").asString().equals("cpu")) {
        assertThat(json.get(part).get("roofline_fraction").asDouble()).isPositive();
        assertThat(json.get("cpu").get("bandwidth_bytes_s").asDouble()).isGreaterThan(1e8);
      }
    }
    assertThat(json.get("peak_rss_bytes").asLong()).isGreaterThan(10_000_000);
  }

  @Test
  void theDepthIsSaidAndTakesContext() {
    String[] bench = {
      "bench", "-m", Cli.stories(), "-p", "8", "-n", "4", "-r", "1", "-d", "100", "--ctx", "108"
    };
    assertThat(Cli.run(bench).done().out()).contains("(-p 8, -d 100)", "(-n 4, -b 1, -d 100)");
    String[] json = Arrays.copyOf(bench, bench.length + 1);
    json[bench.length] = "--json";
    assertThat(Cli.run(json).json().get("d").asInt()).isEqualTo(100);
    bench[bench.length - 1] = "107";
    assertThat(Cli.run(bench).lastError())
        .isEqualTo(
            "tokamak: context 107 is too small for 108 tokens: -d 100 and the larger of -p 8 and"
                + " -n 4; give smaller ones, or --ctx");
  }

  @Test
  void theReferenceBackendHasNoRoofline() {
    Cli.Result result =
        Cli.run(
            "bench", "-m", Cli.stories(), "-p", "2", "-n", "2", "-r", "1", "--backend", "reference");
    assertThat(result.done().out()).contains("prefill", "tok/s").doesNotContain("roofline");
  }
}
