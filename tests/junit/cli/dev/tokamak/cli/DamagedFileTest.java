// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files that are not sound end in one line; the format's own tests look at every field. */
class DamagedFileTest {
  @TempDir private Path folder;

  private static void refused(Path file, String message) {
    for (String[] command :
        new String[][] {
          {"run", "-m", file.toString(), "-p", "x"},
          {"predict", "-m", file.toString(), "-p", "x"},
          {"bench", "-m", file.toString()}
        }) {
      Cli.Result result = Cli.run(command);
      assertThat(result.status()).as(result.err()).isEqualTo(1);
      assertThat(result.out()).isEmpty();
      assertThat(result.err()).startsWith("tokamak: ").contains(message).hasLineCount(1);
    }
  }

  @Test
  void cutAnywhere() throws Exception {
    int length = Damage.bytes().length;
    for (int cut : new int[] {0, 1, 4, 8, 16, 23, 24, 100, 5000, 20_000, length / 2, length - 1}) {
      Path file = Damage.cut(folder, cut);
      refused(file, "cut.gguf");
      assertThat(Cli.run("inspect", file.toString()).status()).isEqualTo(1);
      assertThat(Cli.run("tokenize", "-m", file.toString(), "-p", "x").status()).isEqualTo(1);
    }
  }

  @Test
  void missingTensor() throws Exception {
    refused(
        Damage.withSwapped(folder, "blk.0.attn_q.weight", "blk.0.attn_x.weight"),
        "tensor blk.0.attn_q.weight: missing");
  }

  @Test
  void wrongShape() throws Exception {
    refused(
        Damage.withSwapped(folder, "blk.0.attn_q.weight", "blk.0.attn_k.weight"),
        "tensor blk.0.attn_q.weight: expected shape [64, 64], found [64, 32]");
  }

  @Test
  void missingKey() throws Exception {
    refused(
        Damage.withSwapped(folder, "llama.embedding_length", "llama.embedding_lengtk"),
        "llama.embedding_length");
  }

  @Test
  void unknownTokenizer() throws Exception {
    refused(
        Damage.withSwapped(folder, "tokenizer.ggml.tokens", "tokenizer.ggml.tokenz"),
        "metadata key tokenizer.ggml.tokens: missing");
  }

  @Test
  void inspectListsWhatDoesNotRun() throws Exception {
    Path file = Damage.withSwapped(folder, "general.architecture", "general.architexture");
    var json = Cli.run("inspect", file.toString(), "--json").json();
    assertThat(json.get("runs").asBoolean()).isFalse();
    assertThat(json.get("obstacles").toString()).contains("general.architecture");
    assertThat(json.get("architecture").asString()).isEqualTo("unknown");
    assertThat(json.get("tensors").size()).isEqualTo(47);
  }
}
