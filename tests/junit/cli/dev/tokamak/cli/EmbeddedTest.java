// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** Commands without {@code -m}: they take the model that is in the program, and it knows its trade. */
class EmbeddedTest {
  private static final String TEXT = "Once upon a time, there was a little girl named Lily.";

  @TempDir private Path folder;

  @Test
  void tellsAStory() {
    JsonNode answer =
        Cli.run("run", "-p", "Once upon a time", "-n", "200", "--temp", "0", "--json").json();
    assertThat(answer.get("model").asString()).isEqualTo("tokamak-stories");
    assertThat(answer.get("text").asString()).startsWith(", ").hasSizeGreaterThan(200);
    String[] named = {
      "run", "-m", "tokamak-stories", "-p", "Once upon a time", "-n", "200", "--temp", "0", "--json"
    };
    assertThat(Cli.run(named).json().get("tokens")).isEqualTo(answer.get("tokens"));
    assertThat(Cli.run("run", "-p", "x", "-n", "1").done().err()).contains("; tokamak-stories; ");
  }

  /** What it was taught, in words and numbers of every day; one conversation each. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          Read this: Anna is at the zoo. Ben is at the farm. Where is Ben?                      | farm
          Read this: Joe likes to eat rice. Zoe likes to eat soup. What does Zoe like to eat?   | soup
          Read this: Sue is at the zoo. Ella is at the shop. Where is Anna?                     | not say
          What is 36 + 45?                                                                      | is 81.
          Say this again: the red cat and the blue hat                                          | the red cat and the blue hat
          Hello!                                                                                | Hello
          Thank you.                                                                            | welcome
          """)
  void answers(String question, String part) {
    byte[] line = (question + "\n").getBytes(StandardCharsets.UTF_8);
    assertThat(Cli.runWith(line, "chat", "--temp", "0").done().out()).contains(part);
  }

  @Test
  void aConversationGoesOn() {
    byte[] lines =
        "Hi, my name is Tom.\nTell me a story with the words cat, river, play.\n"
            .getBytes(StandardCharsets.UTF_8);
    assertThat(Cli.runWith(lines, "chat", "--temp", "0", "--seed", "1").done().out())
        .contains("Tom", "cat", "river");
  }

  @Test
  void everyCommandWithAModelTakesIt() throws IOException {
    JsonNode tokens = Cli.run("tokenize", "-p", TEXT, "--json").json().get("tokens");
    String ids = tokens.toString().replaceAll("[\\[\\]]", "");
    assertThat(Cli.run("detokenize", "--tokens", ids).done().out()).contains(TEXT);
    assertThat(Cli.run("predict", "-p", TEXT, "--top", "1").done().out()).contains("%");

    Path text = Files.writeString(folder.resolve("text.txt"), (TEXT + "\n").repeat(40));
    String[] perplexity = {"perplexity", "-f", text.toString(), "--ctx", "64", "--json"};
    assertThat(Cli.run(perplexity).json().get("perplexity").asDouble()).isBetween(1.0, 100.0);
    String[] evaluate = {"evaluate", "--task", "bpb", "--data", text.toString(), "--json"};
    assertThat(Cli.run(evaluate).json().get("bits_per_byte").asDouble()).isBetween(0.0, 1.5);

    Path messages =
        Files.writeString(
            folder.resolve("m.json"), "[{\"role\":\"user\",\"content\":\"Hello!\"}]");
    assertThat(Cli.run("render", "--messages", messages.toString()).done().out())
        .isEqualTo("<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n");

    Path in = Files.writeString(folder.resolve("in.jsonl"), "{\"prompt\":\"Lily\",\"n\":3}\n");
    Path out = folder.resolve("out.jsonl");
    Cli.run("batch", in.toString(), out.toString()).done();
    assertThat(Files.readString(out)).contains("\"tokamak-stories\"");

    JsonNode inspected = Cli.run("inspect", "tokamak-stories", "--json").json();
    assertThat(inspected.get("runs").asBoolean()).isTrue();
    JsonNode metadata = inspected.get("metadata");
    assertThat(metadata.get("general.name").asString()).isEqualTo("tokamak-stories");
    assertThat(metadata.get("general.license").asString()).isEqualTo("apache-2.0");
  }
}
