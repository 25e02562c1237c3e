// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.TrainConfig.Algorithm;
import dev.tokamak.train.TrainConfig.Schedule;
import dev.tokamak.train.TrainConfig.Task;
import dev.tokamak.train.TrainConfig.TokenizerOrigin;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.json.JsonMapper;

/** Right configurations give what they say, wrong ones one clear line. */
class TrainConfigTest {
  private static final JsonMapper JSON = new JsonMapper();

  private static final String FRESH =
      """
      {"model": {"layers": 2, "dim": 64, "heads": 4, "context": 64},
       "tokenizer": {"train": "bpe", "vocab": 300}, "data": {"train": "a.txt"}, "steps": 10,
       "batch": {"sequences": 4, "tokens": 32}}""";

  private static final String BASED =
      """
      {"base": "base.gguf", "data": {"train": "a.jsonl"}, "steps": 10,
       "batch": {"sequences": 4, "tokens": 32}}""";

  private static final String REWARDED =
      """
      {"base": "base.gguf", "steps": 10, "batch": {"sequences": 4, "tokens": 32},
       "grpo": {"group": 2, "tokens": 8}}""";

  private static Map<?, ?> map(String json) {
    return JSON.readValue(json, LinkedHashMap.class);
  }

  private static String right(Stage stage) {
    return switch (stage) {
      case PRETRAIN -> FRESH;
      case SFT, DPO -> BASED;
      case GRPO -> REWARDED;
    };
  }

  @TestFactory
  Stream<DynamicTest> wrongConfigurations() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (String line : Files.readAllLines(cases())) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] columns = line.split(" +\\| +", 3);
      Stage stage = Stage.valueOf(columns[0].toUpperCase(Locale.ROOT));
      Map<?, ?> values = map(right(stage));
      for (String change : columns[1].split(" ")) {
        change(values, change);
      }
      tests.add(
          DynamicTest.dynamicTest(
              columns[0] + " " + columns[1],
              () ->
                  assertThatThrownBy(() -> TrainConfig.of(stage, values, "a.yaml"))
                      .isInstanceOf(ConfigException.class)
                      .hasMessage("a.yaml: " + columns[2])));
    }
    assertThat(tests).hasSizeGreaterThan(40);
    return tests.stream();
  }

  private static Path cases() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve("tests/cases/train/config.cases");
      if (Files.exists(file)) {
        return file;
      }
    }
    throw new AssertionError("tests/cases/train is not above the working directory");
  }

  @SuppressWarnings("unchecked")
  private static void change(Map<?, ?> values, String change) {
    String[] sides = change.split("=", 2);
    String[] names = sides[0].split("\\.");
    var section = (Map<String, Object>) values;
    for (int i = 0; i < names.length - 1; i++) {
      Object below = section.get(names[i]);
      if (!(below instanceof Map)) {
        below = new LinkedHashMap<String, Object>();
        section.put(names[i], below);
      }
      section = (Map<String, Object>) below;
    }
    if (sides[1].equals("-")) {
      section.remove(names[names.length - 1]);
    } else {
      section.put(names[names.length - 1], JSON.readValue(sides[1], Object.class));
    }
  }

  @Test
  void whatIsLeftOutHasItsStandardValue() {
    TrainConfig config = TrainConfig.of(Stage.PRETRAIN, map(FRESH), "a.yaml");
    assertThat(config.model())
        .hasValue(
            new TrainConfig.NewModel("llama", 2, 64, 4, 4, 16, 192, 64, 10_000, 1e-5, true));
    assertThat(config.base()).isEmpty();
    assertThat(config.tokenizer())
        .hasValue(new TokenizerOrigin.Trained(Algorithm.BPE, 300, List.of(), "gpt-2"));
    assertThat(config.data().train()).containsExactly(new Weighted(Path.of("a.txt"), 1));
    assertThat(config.data().valid()).isEmpty();
    assertThat(config.data().heldOut()).isEqualTo(0.01);
    assertThat(config.batch()).isEqualTo(new TrainConfig.Batch(4, 32, 1));
    assertThat(config.arithmetic()).isEqualTo(Arithmetic.F32);
    assertThat(config.optimizer())
        .isEqualTo(
            new TrainConfig.Optimization(
                Optimizer.ADAMW, 1e-3, 0, Schedule.COSINE, 0.2, 0.1, 0.1, 1, 0.9, 0.95, 1e-8));
    assertThat(config.lora()).isEmpty();
    assertThat(config.checkpoint())
        .isEqualTo(new TrainConfig.Checkpoints(Path.of("checkpoints"), 50, 3));
    assertThat(config.evaluate()).isEqualTo(new TrainConfig.Evaluation(50, 16));
    assertThat(config.samples()).isEqualTo(new TrainConfig.Samples(50, List.of(), 64));
    assertThat(config.output()).isEqualTo(Path.of("model.gguf"));
    assertThat(config.outputType()).isEqualTo(QuantType.F32);
    assertThat(config.seed()).isZero();
    assertThat(config.notes()).isEmpty();
  }

  @Test
  void everyKeyReachesItsField() {
    TrainConfig config =
        TrainConfig.of(
            Stage.GRPO,
            map(
                """
                {"base": "b.gguf",
                 "data": {"train": ["a.jsonl", {"file": "c.gz", "weight": 0.5}],
                  "valid": ["v.jsonl"], "template": "t.jinja"},
                 "steps": 100, "batch": {"sequences": 6, "tokens": 64, "accumulate": 3},
                 "type": "bf16", "recompute": true,
                 "optimizer": {"name": "muon", "lr": 1, "warmup": 5, "schedule": "wsd",
                  "decay": 0.3, "end": 0, "weight_decay": 0, "clip": 0, "beta1": 0.8,
                  "beta2": 0.9, "epsilon": 1e-6},
                 "lora": {"rank": 4, "alpha": 8, "targets": ["attn_q", "ffn_up"]},
                 "grpo": {"task": "pattern", "group": 3, "tokens": 9, "temperature": 0.7, "updates": 4,
                  "clip": 0.1, "kl": 0.01, "pattern": "\\\\d+", "largest": 50},
                 "checkpoint": {"dir": "d", "every": 7, "keep": 1},
                 "evaluate": {"every": 8, "batches": 2},
                 "samples": {"every": 9, "prompts": "Hi", "tokens": 5},
                 "output": "o.gguf", "output_type": "q8_0", "seed": -7}"""),
            "a.yaml");
    assertThat(config.base()).hasValue(Path.of("b.gguf"));
    assertThat(config.data())
        .isEqualTo(
            new TrainConfig.Data(
                List.of(
                    new Weighted(Path.of("a.jsonl"), 1), new Weighted(Path.of("c.gz"), 0.5)),
                List.of(Path.of("v.jsonl")),
                0,
                java.util.Optional.of(Path.of("t.jinja"))));
    assertThat(config.steps()).isEqualTo(100);
    assertThat(config.batch()).isEqualTo(new TrainConfig.Batch(6, 64, 3));
    assertThat(config.arithmetic()).isEqualTo(Arithmetic.BF16);
    assertThat(config.recompute()).isTrue();
    assertThat(config.optimizer())
        .isEqualTo(
            new TrainConfig.Optimization(
                Optimizer.MUON, 1, 5, Schedule.WSD, 0.3, 0, 0, 0, 0.8, 0.9, 1e-6));
    assertThat(config.lora())
        .hasValue(new TrainConfig.Lora(4, 8, List.of("attn_q", "ffn_up")));
    assertThat(config.grpo())
        .isEqualTo(
            new TrainConfig.Grpo(
                Task.PATTERN, 3, 9, 0.7, 4, 0.1, 0.01, java.util.Optional.of("\\d+"), 50));
    assertThat(config.checkpoint()).isEqualTo(new TrainConfig.Checkpoints(Path.of("d"), 7, 1));
    assertThat(config.evaluate()).isEqualTo(new TrainConfig.Evaluation(8, 2));
    assertThat(config.samples()).isEqualTo(new TrainConfig.Samples(9, List.of("Hi"), 5));
    assertThat(config.output()).isEqualTo(Path.of("o.gguf"));
    assertThat(config.outputType()).isEqualTo(QuantType.Q8_0);
    assertThat(config.seed()).isEqualTo(-7);
  }

  /** YAML has keys of nothing, too. */
  @Test
  void aKeyThatIsNothingIsRefused() {
    Map<String, Object> file = new LinkedHashMap<>();
    file.put(null, "a.jsonl");
    Map<String, Object> values = Map.of("base", "b", "data", Map.of("train", List.of(file)));
    assertThatThrownBy(() -> TrainConfig.of(Stage.SFT, values, "a.yaml"))
        .hasMessageStartingWith("a.yaml: data.train: found [{null=a.jsonl}], expected a file");
  }

  @Test
  void whatAStageDoesNotUseIsNoted() {
    Map<?, ?> values = map(BASED);
    change(values, "model.layers=2");
    change(values, "dpo.beta=0.2");
    assertThat(TrainConfig.of(Stage.SFT, values, "a.yaml").notes())
        .containsExactly(
            "model is not used by sft: base brings its own", "dpo is not used by sft: it is of dpo");
    assertThat(TrainConfig.of(Stage.DPO, values, "a.yaml").dpo().beta()).isEqualTo(0.2);
  }

  @Test
  void aSequenceMustFitIntoTheBasesContext() {
    TrainConfig config = TrainConfig.of(Stage.SFT, map(BASED), "a.yaml");
    config.requireContext(32);
    assertThatThrownBy(() -> config.requireContext(31))
        .hasMessage("a.yaml: batch.tokens: found 32, expected at most the model's context, 31");
    Map<?, ?> values = map(BASED);
    change(values, "batch.tokens=-");
    assertThatThrownBy(() -> TrainConfig.of(Stage.SFT, values, "a.yaml").requireContext(64))
        .hasMessage(
            "a.yaml: batch.tokens: found 256, as it is where it is left out, expected at most the"
                + " model's context, 64");
  }

  @Test
  void theLineOfASourceCanBeNamed() {
    assertThat(new ConfigException("a.yaml", "steps", "unknown key").atLine(3))
        .hasMessage("a.yaml: line 3: steps: unknown key");
  }
}
