// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class RunTest {
  private static final String PROMPT = "Once upon a time";

  private static JsonNode json(String... more) {
    String[] arguments = {"run", "-m", Cli.stories(), "--json", "--temp", "0"};
    String[] all = new String[arguments.length + more.length];
    System.arraycopy(arguments, 0, all, 0, arguments.length);
    System.arraycopy(more, 0, all, arguments.length, more.length);
    return Cli.run(all).json();
  }

  private static JsonNode golden(String prompt) {
    for (JsonNode row : Cli.golden().get("cases")) {
      if (row.get("prompt").asString().equals(prompt)) {
        return row;
      }
    }
    throw new AssertionError("no golden case of " + prompt);
  }

  @ParameterizedTest
  @ValueSource(strings = {"reference", "auto"})
  void tellsTheGoldenStory(String backend) {
    JsonNode expected = golden("");
    JsonNode answer = json("-p", "", "-n", "30", "--backend", backend);
    assertThat(answer.get("prompt_tokens")).isEqualTo(expected.get("prompt_ids"));
    assertThat(answer.get("tokens").size()).isEqualTo(30);
    for (int i = 0; i < 30; i++) {
      assertThat(answer.get("tokens").get(i)).isEqualTo(expected.get("greedy_ids").get(i));
    }
    assertThat(expected.get("text").asString()).startsWith(answer.get("text").asString());
    assertThat(answer.get("text").asString()).startsWith(" Once upon a time, there was a");
  }

  @Test
  void jsonHasTheFieldsOfTheContract() {
    JsonNode answer = json("-p", PROMPT, "-n", "4", "--logprobs", "3", "--receipt");
    assertThat(answer.propertyNames())
        .containsExactlyInAnyOrder(
            "model", "backend", "prompt_tokens", "tokens", "text", "finish_reason", "logprobs",
            "timings", "receipt");
    assertThat(answer.get("model").asString()).isEqualTo(Cli.stories());
    assertThat(answer.get("finish_reason").asString()).isEqualTo("length");
    assertThat(answer.get("timings").propertyNames())
        .containsExactlyInAnyOrder("load_s", "prefill_tok_s", "decode_tok_s", "ttft_ms");
    answer.get("timings").forEach(time -> assertThat(time.asDouble()).isPositive());
    assertThat(answer.get("logprobs").size()).isEqualTo(4);
    for (int i = 0; i < 4; i++) {
      JsonNode row = answer.get("logprobs").get(i);
      assertThat(row.get("token")).isEqualTo(answer.get("tokens").get(i));
      assertThat(row.get("top").size()).isEqualTo(3);
      // Greedy: the chosen token is the likeliest.
      assertThat(row.get("top").get(0).get("token")).isEqualTo(row.get("token"));
      assertThat(row.get("top").get(0).get("logprob")).isEqualTo(row.get("logprob"));
      assertThat(row.get("logprob").asDouble()).isNegative();
    }
    JsonNode receipt = answer.get("receipt");
    assertThat(receipt.get("model_sha256").asString()).hasSize(64);
    assertThat(receipt.get("logits_sha256").asString()).hasSize(64);
    assertThat(receipt.get("settings").asString()).contains("temp=0");
    assertThat(json("-p", PROMPT, "-n", "4").propertyNames())
        .doesNotContain("logprobs", "receipt");
  }

  @Test
  void sameBitsWhateverThreadsAndChunk() {
    String expected = hash("--threads", "1");
    assertThat(hash("--threads", "2")).isEqualTo(expected);
    for (String chunk : new String[] {"1", "7", "64"}) {
      assertThat(hash("--chunk", chunk)).as("chunk %s", chunk).isEqualTo(expected);
    }
    assertThat(hash("--kv-type", "f16")).isNotEqualTo(expected);
  }

  private static String hash(String option, String value) {
    return json("-p", "Lily and Tom went to the park and", "-n", "6", "--receipt", option, value)
        .get("receipt")
        .get("logits_sha256")
        .asString();
  }

  @Test
  void textOfPromptFileAndTokensAreOnePrompt(@TempDir Path folder) throws Exception {
    JsonNode text = json("-p", PROMPT, "-n", "5");
    Path file = Files.writeString(folder.resolve("prompt.txt"), PROMPT);
    assertThat(json("-f", file.toString(), "-n", "5").get("tokens")).isEqualTo(text.get("tokens"));
    JsonNode tokens = json("--tokens", "1,403,407,261,378", "-n", "5");
    assertThat(tokens.get("tokens")).isEqualTo(text.get("tokens"));
    assertThat(json("--tokens", "403,407", "-n", "1").get("prompt_tokens").toString())
        .isEqualTo("[403,407]"); // nothing is added in front
    Cli.Result piped =
        Cli.runWith(
            PROMPT.getBytes(StandardCharsets.UTF_8),
            "run", "-m", Cli.stories(), "-f", "-", "-n", "5", "--temp", "0", "--json");
    assertThat(piped.json().get("tokens")).isEqualTo(text.get("tokens"));
  }

  @Test
  void stopStringsAndEndsOfContext() {
    JsonNode stopped = json("-p", PROMPT, "--stop", "zzz", "--stop", " little");
    assertThat(stopped.get("text").asString()).isEqualTo(", there was a");
    assertThat(stopped.get("finish_reason").asString()).isEqualTo("stop");
    JsonNode full = json("-p", PROMPT, "--ctx", "16");
    assertThat(full.get("finish_reason").asString()).isEqualTo("length");
    assertThat(full.get("tokens").size()).isEqualTo(11);
    assertThat(json("-p", PROMPT, "-n", "0").get("tokens").size()).isZero();
  }

  @Test
  void seedsRepeat() {
    String first = sampled("1");
    assertThat(sampled("1")).isEqualTo(first);
    assertThat(sampled("2")).isNotEqualTo(first);
  }

  private static String sampled(String seed) {
    return Cli.run(
            "run", "-m", Cli.stories(), "-p", PROMPT, "-n", "40", "--seed", seed, "--temp", "1.5")
        .done()
        .out();
  }

  @Test
  void textGoesOutAndAllElseToStandardError() {
    Cli.Result result =
        Cli.run("run", "-m", Cli.stories(), "-p", PROMPT, "-n", "5", "--temp", "0").done();
    assertThat(result.out()).isEqualTo(", there was a little\n");
    assertThat(result.err().lines().findFirst().orElseThrow())
        .startsWith("backend ")
        .contains("stories260K-F32.gguf", "context 512");
    assertThat(result.lastError()).contains("tok/s", "first token after", "ended by length");
    Cli.Result quiet =
        Cli.run("run", "-m", Cli.stories(), "-p", PROMPT, "-n", "5", "--temp", "0", "--quiet");
    assertThat(quiet.out()).isEqualTo(result.out());
    assertThat(quiet.err()).isEmpty();
  }

  @Test
  void saysWhyABackendWasChosen() {
    Cli.Result result =
        Cli.run("run", "-m", Cli.stories(), "-p", "x", "-n", "1", "--backend", "reference");
    assertThat(result.done().err()).startsWith("backend reference (asked for): plain Java");
  }

  @Test
  void probabilitiesAsColoursOrPercent() {
    String[] arguments = {
      "run", "-m", Cli.stories(), "-p", PROMPT, "-n", "3", "--temp", "0", "--show-probabilities"
    };
    Cli.Result plain = Cli.run(arguments).done();
    assertThat(plain.out()).matches(",\\[\\d+] there\\[\\d+] was\\[\\d+]\n");
    Cli.Result coloured = Cli.runWith(new byte[0], true, arguments).done();
    assertThat(coloured.out()).contains("\u001b[38;5;");
    assertThat(coloured.out().replaceAll("\u001b\\[[0-9;]*m", "")).isEqualTo(", there was\n");
    assertThat(coloured.err()).contains("probability:");
  }

  @Test
  void weightsThatAreNotFiniteEndTheRunWithOperationAndTensor(@TempDir Path folder)
      throws Exception {
    Path damaged = Damage.withNaN(folder, "blk.2.ffn_up.weight");
    for (String backend : new String[] {"reference", "auto"}) {
      Cli.Result result =
          Cli.run("run", "-m", damaged.toString(), "-p", "x", "-n", "3", "--backend", backend);
      assertThat(result.status()).isEqualTo(1);
      assertThat(result.out().strip()).isEmpty();
      assertThat(result.lastError())
          .startsWith("tokamak: not finite: ")
          .contains("blk.2.ffn_up.weight");
    }
  }

  @Test
  void anUnsupportedModelIsNamed() {
    Path bert = TestData.path("models/all-minilm-l6-v2-Q8_0.gguf");
    Cli.Result result = Cli.run("run", "-m", bert.toString(), "-p", "x");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).contains("family 'bert' is not supported").hasLineCount(1);
  }
}
