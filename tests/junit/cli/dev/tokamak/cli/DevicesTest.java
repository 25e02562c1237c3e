// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;

class DevicesTest {
  @Test
  void jsonHasTheFieldsOfTheContract() {
    JsonNode json = Cli.run("devices", "--json").json();
    assertThat(json.propertyNames()).contains("selected", "reason", "cpu", "gpus", "backends");
    assertThat(json.get("selected").asString()).isIn("cpu", "reference");
    assertThat(json.get("reason").asString()).isNotBlank();
    assertThat(json.get("gpus").isArray()).isTrue();
    assertThat(json.get("cpu").get("usable").asInt()).isPositive();
    if (json.get("selected").asString().equals("cpu")) {
      assertThat(json.get("cpu").get("bandwidth_bytes_s").asDouble()).isGreaterThan(1e8);
      assertThat(json.get("cpu").get("levels").size()).isPositive();
    }
  }

  @Test
  void theReasonFollowsTheOptions() {
    JsonNode json = Cli.run("devices", "--backend", "reference", "--json").json();
    assertThat(json.get("selected").asString()).isEqualTo("reference");
    assertThat(json.get("reason").asString()).isEqualTo("asked for");
    assertThat(Cli.run("devices", "--backend", "reference").done().out())
        .startsWith("backend     reference: asked for");
  }
}
