// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** The README's examples do what the README says. */
class ReadmeTest {
  private static final Pattern CONSOLE =
      Pattern.compile("```console\\n\\$ \\./tokamak (.*)\\n((?s:.*?))```");
  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|(\\S+)");

  @TempDir private Path folder;

  private static Path readme() {
    return CaseFiles.path("../../README.md").normalize();
  }

  /** Blocks with a prompt and what follows it: the output must be that, to the letter. */
  @TestFactory
  List<DynamicTest> transcripts() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    Matcher block = CONSOLE.matcher(Files.readString(readme()));
    while (block.find()) {
      String command = block.group(1);
      String output = block.group(2);
      tests.add(
          DynamicTest.dynamicTest(
              command,
              () ->
                  assertThat(Cli.run(arguments(command)).done().out().stripTrailing())
                      .isEqualTo(output.stripTrailing())));
    }
    assertThat(tests).hasSizeGreaterThanOrEqualTo(3);
    return tests;
  }

  /** The first command a stranger types. */
  @Test
  void theFirstCommandTellsAStory() throws IOException {
    assertThat(Files.readString(readme()))
        .contains("    ./tokamak run -p \"Once upon a time\"\n");
    String command = "run -p \"Once upon a time\"";
    assertThat(Cli.run(arguments(command)).done().out()).hasSizeGreaterThan(200);
  }

  @Test
  void batchCompletesEachLine() throws IOException {
    Path in = Files.writeString(folder.resolve("prompts.jsonl"), "{\"prompt\":\"Lily\",\"n\":3}\n");
    Path out = folder.resolve("answers.jsonl");
    String command =
        "batch " + in + " " + out + " -m stories260K-F32.gguf --parallel 8";
    Cli.run(arguments(command)).done();
    assertThat(Files.readAllLines(out)).hasSize(1);
  }

  @Test
  void benchKernelsMeasuresWhatTheFilterPicks() throws IOException {
    String command = "bench kernels --filter norm/f32/1x";
    assertThat(Files.readString(readme())).contains("    ./tokamak " + command + "\n");
    assertThat(Cli.run(arguments(command)).done().out())
        .startsWith("kernel ")
        .contains("norm/f32/1x2048 ", "norm/f32/1x16x128 ");
  }

  @Test
  void benchTrainTimesSteps() throws IOException {
    String command = "bench train --layers 2 --dim 64 --tokens 64 --steps 3";
    assertThat(Files.readString(readme())).contains("    ./tokamak " + command + "\n");
    assertThat(Cli.run(arguments(command)).done().out()).contains("tokens/s");
  }

  @Test
  void aModelLearnsToCount() throws IOException {
    assertThat(Files.readString(readme()))
        .contains(
            "    ./tokamak train pretrain --config tests/golden/counting/pretrain.yaml\n"
                + "    ./tokamak run -m counting.gguf -p \"Anna counts up: three,\"\n");
    Path checkout = readme().getParent();
    String config =
        Files.readString(checkout.resolve("tests/golden/counting/pretrain.yaml"))
            .replace("tests/golden", checkout.resolve("tests/golden").toString())
            .replace("dir: counting", "dir: " + folder.resolve("counting"))
            .replace("output: ", "output: " + folder + "/");
    Path file = Files.writeString(folder.resolve("pretrain.yaml"), config);
    Cli.run("train", "pretrain", "--config", file.toString()).done();
    String model = folder.resolve("counting.gguf").toString();
    assertThat(
            Cli.run("run", "-m", model, "-p", "Anna counts up: three,", "--temp", "0").done().out())
        .startsWith(" four, five, six");
  }

  private static String[] arguments(String command) {
    List<String> arguments = new ArrayList<>();
    Matcher word = WORD.matcher(command);
    while (word.find()) {
      String text = word.group(1) != null ? word.group(1) : word.group(2);
      arguments.add(
          text.startsWith("stories260K") ? TestData.path("models/" + text).toString() : text);
    }
    return arguments.toArray(String[]::new);
  }
}
