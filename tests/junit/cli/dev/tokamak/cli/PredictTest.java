// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.StringJoiner;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class PredictTest {
  private static final String TOKENS = "1,403,407,261,378";

  private static JsonNode json(String... more) {
    String[] arguments = {"predict", "-m", Cli.stories(), "--tokens", TOKENS, "--json"};
    String[] all = java.util.Arrays.copyOf(arguments, arguments.length + more.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    return Cli.run(all).json();
  }

  @Test
  void jsonHasTheFieldsOfTheContract() {
    JsonNode json = json("--top", "512", "--all");
    assertThat(json.get("prompt_tokens").toString()).isEqualTo("[" + TOKENS + "]");
    assertThat(json.get("logits").size()).isEqualTo(512);
    JsonNode top = json.get("top");
    assertThat(top.size()).isEqualTo(512);
    assertThat(top.get(0).propertyNames()).containsExactly("id", "text", "logit", "probability");
    double sum = 0;
    double entropy = 0;
    double before = 1;
    for (JsonNode choice : top) {
      double p = choice.get("probability").asDouble();
      assertThat(p).isLessThanOrEqualTo(before);
      before = p;
      sum += p;
      entropy -= p == 0 ? 0 : p * Math.log(p) / Math.log(2);
      assertThat(choice.get("logit"))
          .isEqualTo(json.get("logits").get(choice.get("id").asInt()));
    }
    assertThat(sum).isCloseTo(1, within(1e-9));
    assertThat(json.get("entropy_bits").asDouble()).isCloseTo(entropy, within(1e-9));
    assertThat(top.get(0).get("text").asString()).isEqualTo(",");
    assertThat(json("--top", "2").has("logits")).isFalse();
  }

  @Test
  void everyPosition() {
    JsonNode json = json("--every-position", "--all", "--top", "1");
    assertThat(json.get("logits").size()).isEqualTo(5);
    json.get("logits").forEach(row -> assertThat(row.size()).isEqualTo(512));
    assertThat(json.get("positions").size()).isEqualTo(5);
    assertThat(json.get("positions").get(1).get("top").get(0).get("text").asString())
        .isEqualTo(" upon");
    assertThat(json.get("positions").get(4).get("top")).isEqualTo(json.get("top"));
    assertThat(json.get("logits").get(4)).isEqualTo(json("--all").get("logits"));
  }

  @Test
  void logitsAreTheGoldenOnes() {
    int checked = 0;
    for (JsonNode golden : Cli.golden().get("cases")) {
      var ids = new StringJoiner(",");
      golden.get("prompt_ids").forEach(id -> ids.add(id.asString()));
      golden.get("greedy_ids").forEach(id -> ids.add(id.asString()));
      JsonNode answer =
          Cli.run(
                  "predict", "-m", Cli.stories(), "--tokens", ids.toString(), "--all",
                  "--every-position", "--json")
              .json();
      for (JsonNode row : golden.get("logits")) {
        JsonNode logits = answer.get("logits").get(row.get("position").asInt());
        double largest = 0;
        for (JsonNode logit : row.get("values")) {
          largest = Math.max(largest, Math.abs(logit.asDouble()));
        }
        for (int i = 0; i < 512; i++) {
          assertThat(logits.get(i).asDouble())
              .isCloseTo(row.get("values").get(i).asDouble(), within(1e-4 * largest));
        }
        checked++;
      }
    }
    assertThat(checked).isGreaterThan(20);
  }

  @Test
  void drawsBars() {
    Cli.Result result =
        Cli.run("predict", "-m", Cli.stories(), "--tokens", TOKENS + ",13", "--top", "3").done();
    String[] lines = result.out().split("\n");
    assertThat(lines).hasSize(4);
    assertThat(lines[0]).startsWith("after token 5, \"\\n\": entropy ");
    assertThat(lines[1]).contains(" %  " + "█".repeat(40) + "  \"");
    assertThat(lines[2].chars().filter(c -> c == '█').count()).isLessThan(40);
  }
}
