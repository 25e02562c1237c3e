// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class InspectTest {
  @Test
  void jsonHasTheFieldsOfTheContract() throws Exception {
    JsonNode json = Cli.run("inspect", Cli.stories(), "--json").json();
    assertThat(json.get("format").asString()).isEqualTo("gguf");
    assertThat(json.get("architecture").asString()).isEqualTo("llama");
    assertThat(json.get("runs").asBoolean()).isTrue();
    assertThat(json.get("bytes").asLong()).isEqualTo(Files.size(Path.of(Cli.stories())));
    assertThat(json.get("parameters").asLong()).isEqualTo(260_032);
    JsonNode metadata = json.get("metadata");
    assertThat(metadata.get("llama.block_count").asInt()).isEqualTo(5);
    assertThat(metadata.get("tokenizer.ggml.add_bos_token").asBoolean()).isTrue();
    assertThat(metadata.get("tokenizer.ggml.tokens").size()).isEqualTo(512);
    assertThat(metadata.get("tokenizer.ggml.scores").get(300).isNumber()).isTrue();
    JsonNode tensor = json.get("tensors").get(0);
    assertThat(tensor.propertyNames()).containsExactly("name", "type", "shape", "bytes");
    assertThat(tensor.get("name").asString()).isEqualTo("token_embd.weight");
    assertThat(tensor.get("shape").toString()).isEqualTo("[64,512]");
    assertThat(tensor.get("bytes").asLong()).isEqualTo(4 * 64 * 512);
    // 5 layers, keys and values, 4 heads of 8, 512 tokens, 4 bytes
    assertThat(json.get("memory").get("cache_f32_bytes").asLong())
        .isEqualTo(5 * 2 * 4 * 8 * 512 * 4);
  }

  @Test
  void textSaysTheSame() {
    String text = Cli.run("inspect", Cli.stories()).done().out();
    assertThat(text)
        .contains("architecture  llama", "260 k", "context 512", "runs here     yes")
        .contains("llama.block_count = 5", "token_embd.weight");
  }

  @Test
  void filesThatTheEngineDoesNotRun() {
    String bert = TestData.path("models/all-minilm-l6-v2-Q8_0.gguf").toString();
    String text = Cli.run("inspect", bert).done().out();
    assertThat(text).contains("runs here     no", "family 'bert' is not supported");
    String vocabulary = TestData.path("tokenizers/ggml-vocab-gpt-2.gguf").toString();
    JsonNode json = Cli.run("inspect", vocabulary, "--json").json();
    assertThat(json.get("tensors").size()).isZero();
    assertThat(json.get("metadata").get("tokenizer.ggml.tokens").size()).isEqualTo(50_257);
  }

  @Test
  void checkFindsWhatIsNotFinite(@TempDir Path folder) throws Exception {
    Cli.Result sound = Cli.run("inspect", Cli.stories(), "--check");
    assertThat(sound.done().out()).contains("weights       all finite");
    Path damaged = Damage.withNaN(folder, "blk.1.attn_k.weight");
    Cli.Result result = Cli.run("inspect", damaged.toString(), "--check", "--json");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.err()).startsWith("tokamak: ").contains("blk.1.attn_k.weight[1]: NaN");
    JsonNode finding = Cli.json(result.out()).get("check").get("findings").get(0);
    assertThat(finding.get("tensor").asString()).isEqualTo("blk.1.attn_k.weight");
    assertThat(finding.get("index").asInt()).isEqualTo(1);
    assertThat(Cli.run("inspect", damaged.toString()).status()).isZero();
  }
}
