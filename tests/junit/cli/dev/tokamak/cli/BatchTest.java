// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

class BatchTest {
  @TempDir private Path folder;

  private Path in(String... lines) throws IOException {
    return Files.writeString(folder.resolve("in.jsonl"), String.join("\n", lines) + "\n");
  }

  private Path out() {
    return folder.resolve("out.jsonl");
  }

  private Cli.Result batch(Path in, String... more) {
    var arguments =
        new ArrayList<>(List.of("batch", in.toString(), out().toString(), "-m", Cli.stories()));
    arguments.addAll(List.of(more));
    return Cli.run(arguments.toArray(String[]::new));
  }

  private List<JsonNode> answers() throws IOException {
    return Files.readAllLines(out()).stream().map(Cli::json).toList();
  }

  @Test
  void aloneOrInABatchTheSameBits() throws Exception {
    var lines = new ArrayList<String>();
    for (int i = 0; i < 8; i++) {
      lines.add(
          "{\"prompt\":\"" + "Lily saw a dog. ".repeat(i + 1) + "\",\"n\":" + (3 + 5 * (i % 3))
              + ",\"temp\":" + (i % 2) + ",\"seed\":" + i + ",\"receipt\":true}");
    }
    Path in = in(lines.toArray(String[]::new));
    assertThat(batch(in, "--parallel", "8").done().out()).isEmpty();
    List<JsonNode> together = answers();
    assertThat(together).hasSize(8);
    for (int i = 0; i < 8; i++) {
      JsonNode row = together.get(i);
      assertThat(row.get("line").asInt()).isEqualTo(i + 1); // the order of the input
      assertThat(row.propertyNames())
          .contains("model", "backend", "prompt_tokens", "tokens", "text", "finish_reason",
              "timings", "receipt");
      JsonNode alone =
          Cli.run(
                  "run", "-m", Cli.stories(), "--json", "--receipt",
                  "-p", "Lily saw a dog. ".repeat(i + 1),
                  "-n", Integer.toString(3 + 5 * (i % 3)),
                  "--temp", Integer.toString(i % 2),
                  "--seed", Integer.toString(i))
              .json();
      assertThat(row.get("tokens")).isEqualTo(alone.get("tokens"));
      assertThat(row.get("receipt")).isEqualTo(alone.get("receipt"));
    }
  }

  @Test
  void badLinesAreNamedAndTheOthersDone() throws Exception {
    Path in =
        in(
            "{\"prompt\":\"a\",\"n\":2}",
            "{\"prompt\":\"a\",\"temperature\":2}",
            "no json",
            "",
            "{\"prompt\":\"a\",\"tokens\":[1]}",
            "{\"n\":3}",
            "{\"prompt\":\"a\",\"top_p\":2}",
            "{\"prompt\":\"a\",\"n\":\"x\"}",
            "{\"tokens\":[1,512]}",
            "{\"tokens\":[]}",
            "[]",
            "{\"tokens\":[1,403],\"n\":3,\"stop\":[\"x\",\"y\"],\"ignore_eos\":true}");
    Cli.Result result = batch(in, "--parallel", "3", "--temp", "0");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.out()).isEmpty();
    assertThat(result.lastError()).contains("9 lines are errors", "line 2");
    List<JsonNode> answers = answers();
    assertThat(answers.stream().map(row -> row.get("line").asInt()))
        .containsExactly(1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12);
    assertThat(answers.getFirst().get("tokens").size()).isEqualTo(2);
    assertThat(answers.getLast().get("tokens").size()).isEqualTo(3);
    String[] problems = {
      "line 2: temperature: unknown key",
      "line 3: ",
      "line 5: expected one of prompt and tokens",
      "line 6: expected one of prompt and tokens",
      "line 7: top_p: expected a number from 0 to 1",
      "line 8: n: expected a whole number",
      "line 9: prompt: expected tokens from 0 to 511, found 512",
      "line 10: prompt: empty",
      "line 11: expected a JSON object"
    };
    for (int i = 0; i < problems.length; i++) {
      JsonNode row = answers.get(i + 1);
      assertThat(row.propertyNames()).containsExactly("line", "error");
      assertThat(row.get("error").asString()).startsWith("in.jsonl: " + problems[i]);
    }
  }

  @Test
  void resumesAfterTornLines() throws Exception {
    String[] lines = new String[5];
    for (int i = 0; i < lines.length; i++) {
      lines[i] = "{\"prompt\":\"" + "a ".repeat(i + 1) + "\",\"n\":4,\"temp\":0}";
    }
    Path in = in(lines);
    batch(in).done();
    List<JsonNode> whole = answers();
    String text = Files.readString(out());
    int second = text.indexOf('\n', text.indexOf('\n') + 1) + 1;
    for (int cut : new int[] {0, 10, second - 1, second, second + 17, text.length()}) {
      Files.writeString(out(), text.substring(0, cut));
      Cli.Result result = batch(in).done();
      long kept = text.substring(0, cut).chars().filter(c -> c == '\n').count();
      assertThat(result.err()).contains("lines done: " + (5 - kept) + ", found done before: " + kept);
      List<JsonNode> again = answers();
      assertThat(again).hasSize(5);
      for (int i = 0; i < 5; i++) {
        assertThat(again.get(i).get("line")).isEqualTo(whole.get(i).get("line"));
        assertThat(again.get(i).get("tokens")).isEqualTo(whole.get(i).get("tokens"));
      }
    }
  }

  @Test
  void anAnswerOfAnotherBatchIsRefused() throws Exception {
    Path in = in("{\"prompt\":\"a\",\"n\":1}");
    Files.writeString(out(), "{\"line\":3,\"text\":\"x\"}\n");
    Cli.Result result = batch(in);
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.lastError()).contains("another batch");
    Files.writeString(out(), "{\"text\":\"x\"}\n");
    assertThat(batch(in).lastError()).contains("expected an answer of a batch");
    assertThat(Files.readString(out())).isEqualTo("{\"text\":\"x\"}\n");
  }

  /** Reading earlier answers from a pipe or a device would never end. */
  @Test
  void answersGoIntoAFile() throws Exception {
    Cli.Result result =
        Cli.run("batch", in("{\"prompt\":\"a\"}").toString(), "/dev/zero", "-m", Cli.stories());
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.lastError()).contains("/dev/zero: not a regular file");
  }
}
