// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.Backends;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Commands on cuda: on a GPU where there is one, else on the emulated device. */
class CudaTest {
  private static final String PROMPT = "Lily and Tom went to the park and";

  @BeforeAll
  static void cudaRuns() {
    Optional<String> obstacle =
        Backends.probe(Backends.Options.defaults()).stream()
            .filter(probe -> probe.name().equals("cuda"))
            .flatMap(probe -> probe.obstacle().stream())
            .findFirst();
    assumeTrue(obstacle.isEmpty(), () -> "cuda cannot run: " + obstacle.orElseThrow());
  }

  private static JsonNode run(String backend, String... more) {
    var arguments =
        new ArrayList<>(
            List.of(
                "run", "-m", Cli.stories(), "--backend", backend, "--json", "--receipt",
                "-p", PROMPT, "--temp", "0"));
    arguments.addAll(List.of(more));
    return Cli.run(arguments.toArray(String[]::new)).json();
  }

  @Test
  void sixtyTokensOfAStory() {
    JsonNode cuda = run("cuda", "-n", "60");
    assertThat(cuda.get("tokens").size()).isEqualTo(60);
    assertThat(cuda.get("text")).isEqualTo(run("reference", "-n", "60").get("text"));
    assertThat(cuda.get("backend").asString()).startsWith("cuda");
  }

  @Test
  void theSameBitsWhateverTheChunkAndTheNeighbours(@TempDir Path folder) throws Exception {
    JsonNode receipt = run("cuda", "-n", "8").get("receipt");
    for (String chunk : new String[] {"1", "7"}) {
      assertThat(run("cuda", "-n", "8", "--chunk", chunk).get("receipt").get("logits_sha256"))
          .as("chunk %s", chunk)
          .isEqualTo(receipt.get("logits_sha256"));
    }
    String line =
        "{\"prompt\":\"%s\",\"n\":%d,\"temp\":0,\"receipt\":true}\n";
    Path in =
        Files.writeString(
            folder.resolve("in"),
            line.formatted("Once", 12) + line.formatted(PROMPT, 8) + line.formatted(PROMPT, 5));
    Path out = folder.resolve("out");
    Cli.run(
            "batch", in.toString(), out.toString(), "-m", Cli.stories(), "--backend", "cuda",
            "--parallel", "3")
        .done();
    JsonNode among = Cli.json(Files.readAllLines(out).get(1));
    assertThat(among.get("receipt").get("logits_sha256")).isEqualTo(receipt.get("logits_sha256"));
  }

  @Test
  void benchNamesTheGpu() {
    JsonNode json =
        Cli.run(
                "bench", "-m", Cli.stories(), "--backend", "cuda", "-p", "5", "-n", "2", "-r", "1",
                "--json")
            .json();
    assertThat(json.get("gpu").get("variant").asString()).startsWith("cuda/");
    assertThat(json.get("prefill").get("tok_s").asDouble()).isPositive();
    assertThat(json.get("decode").get("tok_s").asDouble()).isPositive();
  }

  @Test
  void devicesNamesIt() {
    JsonNode json = Cli.run("devices", "--backend", "cuda", "--json").json();
    assertThat(json.get("selected").asString()).isEqualTo("cuda");
    assertThat(json.get("cuda").get(0).get("capability").asInt()).isGreaterThanOrEqualTo(80);
    assertThat(json.get("cuda").get(0).has("obstacle")).isFalse();
    assertThat(Cli.run("devices", "--backend", "cuda").done().out())
        .startsWith("backend     cuda: asked for\n")
        .contains("CUDA        0: ");
  }

  /** The emulated device serves tests only. */
  @Test
  void anEmulatedDeviceIsNotChosenByAuto() {
    boolean emulated =
        Cli.run("devices", "--backend", "cuda").done().out().contains("CUDA        0: emulated");
    JsonNode json = Cli.run("devices", "--json").json();
    assertThat(json.get("selected").asString().equals("cuda")).isEqualTo(!emulated);
    if (emulated) {
      assertThat(json.get("reason").asString())
          .startsWith("cuda cannot run: the device is an emulated one");
    }
  }
}
