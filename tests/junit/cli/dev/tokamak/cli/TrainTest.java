// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Trainings from the command line. */
class TrainTest {
  private static final String MODEL =
      "model: {layers: 1, dim: 16, heads: 2, context: 64}\ntokenizer: {train: bpe, vocab: 262}\n";

  @TempDir private Path folder;

  private String config(String name, String more) throws IOException {
    String text =
        """
        model: {layers: 1, dim: 16, heads: 2, context: 64}
        tokenizer: {train: bpe, vocab: 262}
        data: {train: %s, valid: 0.1}
        steps: 6
        batch: {sequences: 2, tokens: 32}
        checkpoint: {dir: %s, every: 3}
        samples: {prompts: [Once], tokens: 4}
        output: %s
        %s
        """
            .formatted(
                text(), folder.resolve(name), folder.resolve(name + ".gguf"), more);
    return Files.writeString(folder.resolve(name + ".yaml"), text).toString();
  }

  private Path text() throws IOException {
    return Files.writeString(
        folder.resolve("text.txt"), "Once upon a time.<|endoftext|>The end.<|endoftext|>".repeat(20));
  }

  @Test
  void aModelIsMadeAndCanBeRun() throws IOException {
    Cli.Result result = Cli.run("train", "pretrain", "--config", config("a", "")).done();
    assertThat(result.out()).isEmpty();
    assertThat(result.err())
        .contains("pretrain on ", "step 0: held out ", "step 3: ", " bits per byte", "step 6: saved ")
        .contains("wrote " + folder.resolve("a.gguf"))
        .doesNotContain("warning");
    String model = folder.resolve("a.gguf").toString();
    assertThat(Cli.run("run", "-m", model, "-p", "Once", "-n", "2", "--json").json().get("tokens"))
        .isNotEmpty();

    List<String> metrics = Files.readAllLines(folder.resolve("a/metrics.jsonl"));
    assertThat(metrics).allMatch(line -> Cli.json(line).has("step"));
    assertThat(metrics.stream().filter(line -> Cli.json(line).has("loss"))).hasSize(6);
    assertThat(metrics.stream().filter(line -> Cli.json(line).has("valid_loss"))).hasSize(3);
    assertThat(metrics.stream().filter(line -> Cli.json(line).has("sample"))).hasSize(3);

    String page = Files.readString(folder.resolve("a/report.html"));
    assertThat(page)
        .contains("<h1>pretrain: step 6 of 6</h1>", "Bits per byte, held out", "<h3>Once</h3>")
        .contains("data-label=\"step 3\"", "checkpoint: {dir: ", "uPlot")
        .doesNotContain("@BODY@", "@DATA@", "<link", "src=", "@import");
  }

  @Test
  void jsonIsALineAStep() throws IOException {
    Cli.Result result =
        Cli.run("train", "pretrain", "--config", config("a", ""), "--json", "--quiet").done();
    assertThat(result.err()).isEmpty();
    List<JsonNode> lines = result.out().lines().map(Cli::json).toList();
    assertThat(lines).hasSize(6);
    for (int i = 0; i < 6; i++) {
      assertThat(lines.get(i).get("step").asInt()).isEqualTo(i + 1);
      for (String name :
          List.of("loss", "lr", "gradient_norm", "tokens", "seconds", "tokens_per_second")) {
        assertThat(lines.get(i).get(name).asDouble()).as(name).isPositive();
      }
    }
  }

  @Test
  void aResumedTrainingGivesTheSameBytesAndMetrics() throws IOException {
    Cli.run("train", "pretrain", "--config", config("a", "")).done();
    byte[] whole = Files.readAllBytes(folder.resolve("a.gguf"));
    String config = config("b", "");
    Cli.run("train", "pretrain", "--config", config).done();
    try (var files = Files.list(folder.resolve("b/step-000006"))) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder.resolve("b/step-000006"));
    Files.delete(folder.resolve("b.gguf"));
    Cli.Result resumed = Cli.run("train", "pretrain", "--config", config, "--resume").done();
    assertThat(resumed.err()).contains("resumed behind step 3 of 6");
    assertThat(Files.readAllBytes(folder.resolve("b.gguf"))).isEqualTo(whole);
    assertThat(losses("b")).hasSize(6).isEqualTo(losses("a"));
  }

  private List<String> losses(String name) throws IOException {
    return Files.readAllLines(folder.resolve(name + "/metrics.jsonl")).stream()
        .map(Cli::json)
        .filter(line -> line.has("loss"))
        .map(line -> line.get("step") + " " + line.get("loss"))
        .toList();
  }

  @Test
  void whatIsNotUsedIsSaidEvenWhenQuiet() throws IOException {
    String config = config("a", "dpo: {beta: 0.2}");
    assertThat(Cli.run("train", "pretrain", "--config", config, "--quiet").done().err())
        .isEqualTo("warning: dpo is not used by pretrain: it is of dpo\n");
  }

  @Test
  void helpTellsAllKeys() {
    String help = Cli.run("train", "--help").done().out();
    assertThat(help).contains("optimizer.lr", "the highest learning rate [0.001]", "grpo.group");
    assertThat(help.lines()).allMatch(line -> line.length() <= 80);
  }

  /** Every row of {@code tests/cases/cli/train.cases} ends with one clear line. */
  @TestFactory
  List<DynamicTest> wrongTrainings() throws IOException {
    Path base = folder.resolve("base.gguf");
    Cli.run("train", "pretrain", "--config", config("base", "")).done();
    Path bad = folder.resolve("bad.txt");
    Files.write(bad, new byte[] {'a', 'b', 'c', '\n', 'd', 'e', 'f', 'g', 'h', (byte) 0xff});
    Path line = folder.resolve("line.jsonl");
    Files.writeString(line, "{\"text\": \"" + "x".repeat(1 << 24) + "\"}");
    Path roles = folder.resolve("roles.jsonl");
    Files.writeString(roles, "{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}");
    Map<String, String> names =
        Map.of(
            "$base", base.toString(),
            "$config", folder.resolve("wrong.yaml").toString(),
            "$empty", Files.createFile(folder.resolve("empty.txt")).toString(),
            "$bad", bad.toString(),
            "$line", line.toString(),
            "$roles", roles.toString(),
            "$right", text().toString());
    List<DynamicTest> tests = new ArrayList<>();
    for (String row : Files.readAllLines(CaseFiles.path("cli/train.cases"))) {
      if (!row.isBlank() && !row.startsWith("#")) {
        String[] columns = row.split(" +\\| +", 3);
        tests.add(DynamicTest.dynamicTest(row, () -> refused(columns, names)));
      }
    }
    assertThat(tests).hasSizeGreaterThan(15);
    return tests;
  }

  private void refused(String[] columns, Map<String, String> names) throws IOException {
    String head = columns[0].equals("pretrain") ? MODEL : "base: $base\n";
    String text = replaced(head + columns[1].replace("\\n", "\n"), names);
    String keys = "\noutput: " + folder.resolve("out.gguf") + "\ncheckpoint: {dir: "
        + folder.resolve("out") + "}\n";
    Path config =
        Files.writeString(folder.resolve("wrong.yaml"), text.replace("\\t", "\t") + keys);
    Cli.Result result = Cli.run("train", columns[0], "--config", config.toString());
    assertThat(result.err()).isEqualTo("tokamak: " + replaced(columns[2], names) + "\n");
    assertThat(result.status()).isEqualTo(Main.FAILED);
    assertThat(result.out()).isEmpty();
  }

  private static String replaced(String text, Map<String, String> names) {
    String replaced = text;
    for (var name : names.entrySet()) {
      replaced = replaced.replace(name.getKey(), name.getValue());
    }
    return replaced;
  }
}
