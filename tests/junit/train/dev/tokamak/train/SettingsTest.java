// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class SettingsTest {
  /** Keys that say where, when and how results are told and written, or how memory is used. */
  private static final Set<String> FREE =
      Set.of(
          "recompute",
          "checkpoint.dir",
          "checkpoint.every",
          "checkpoint.keep",
          "evaluate.every",
          "evaluate.batches",
          "samples.every",
          "samples.prompts",
          "samples.tokens",
          "output",
          "output_type");

  /** A new key is either in the settings or known not to matter. */
  @Test
  void everyKeyIsThought() {
    Set<String> keys = new TreeSet<>(FREE);
    Map<String, Object> fresh = common();
    fresh.put("model", Map.of("layers", 1, "dim", 16, "heads", 2, "context", 64));
    fresh.put("tokenizer", Map.of("train", "bpe"));
    keys.addAll(settings(Stage.PRETRAIN, fresh));
    fresh.put("tokenizer", "tokenizer.json");
    keys.addAll(settings(Stage.PRETRAIN, fresh));
    for (Stage stage : List.of(Stage.SFT, Stage.DPO, Stage.GRPO)) {
      Map<String, Object> later = common();
      later.put("base", "base.gguf");
      later.put("lora", Map.of("rank", 2));
      later.put("data", Map.of("train", "a.jsonl", "template", "chat.jinja"));
      keys.addAll(settings(stage, later));
    }
    keys.remove("stage");
    assertThat(keys)
        .containsExactlyInAnyOrderElementsOf(
            ConfigKeys.all().stream().map(ConfigKey::path).toList());
  }

  /** Another text of the same name and length is another. */
  @Test
  void aFileIsKnownByItsEndsToo(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("a.txt");
    Map<String, Object> values = common();
    values.put("base", "base.gguf");
    values.put("data", Map.of("train", file.toString()));
    TrainConfig config = TrainConfig.of(Stage.SFT, values, "test.yaml");
    String text = "x".repeat(3 << 20);
    Set<String> seen = new TreeSet<>();
    for (String changed : List.of(text, "y" + text.substring(1), text.substring(1) + "y")) {
      Files.writeString(file, changed);
      seen.add(Settings.of(config).get("data.train"));
      assertThat(Settings.of(config).get("data.train"))
          .matches("a\\.txt \\(3145728 bytes, [0-9a-f]{12}\\) \\* 1\\.0");
    }
    assertThat(seen).hasSize(3);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  @Timeout(value = 10, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aPipeIsNotOpened(@TempDir Path folder) throws Exception {
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    Map<String, Object> values = common();
    values.put("base", pipe.toString());
    assertThat(Settings.of(TrainConfig.of(Stage.SFT, values, "test.yaml")))
        .containsEntry("base", pipe.toString());
  }

  private static Set<String> settings(Stage stage, Map<String, Object> values) {
    return Settings.of(TrainConfig.of(stage, values, "test.yaml")).keySet();
  }

  private static Map<String, Object> common() {
    Map<String, Object> values = new HashMap<>();
    values.put("data", Map.of("train", "a.txt"));
    values.put("steps", 1);
    values.put("batch", Map.of("sequences", 8, "tokens", 64));
    return values;
  }
}
