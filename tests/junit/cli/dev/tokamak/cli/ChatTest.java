// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TinyModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** A chat whose lines come from a file, with a model that knows nothing. */
class ChatTest {
  private static final String TEMPLATE =
      """
      {{ bos_token }}{% for m in messages %}
      {% if m.role == 'system' and m.content == 'no' %}{{ raise_exception('no system') }}{% endif %}
      {{ m.role[0] }}:{{ m.content }}|
      {%- endfor %}
      {% if add_generation_prompt %}a:{% endif %}
      """;

  @TempDir private static Path folder;
  private static String model;

  @BeforeAll
  static void write() throws IOException {
    model = TinyModel.write(folder.resolve("tiny.gguf"), 3, TEMPLATE).toString();
  }

  private static Cli.Result chat(String lines, String... options) {
    var arguments =
        new ArrayList<>(List.of("chat", "-m", model, "--backend", "reference", "--temp", "0"));
    arguments.addAll(List.of("-n", "6", "--quiet"));
    arguments.addAll(List.of(options));
    return Cli.runWith(
        lines.getBytes(StandardCharsets.UTF_8), arguments.toArray(String[]::new));
  }

  private static List<JsonNode> json(Cli.Result result) {
    return result.done().out().lines().map(Cli::json).toList();
  }

  private static String text(JsonNode answer) {
    return answer.get("text").asString();
  }

  private static int[] ints(JsonNode answer, String field) {
    return answer.get(field).valueStream().mapToInt(JsonNode::asInt).toArray();
  }

  @Test
  void eachTurnReadsOnlyWhatIsNew() {
    String system = "Be kind. ".repeat(10);
    List<JsonNode> answers = json(chat("Hi\n\nWell\n", "--json", "--system", system));
    assertThat(answers).hasSize(2);
    String first = "s:" + system + "|u:Hi|a:";
    assertThat(ints(answers.get(0), "prompt_tokens")).hasSize(1 + first.length() + 1);
    // The model's own tokens may be others when they are read again: it writes no real text.
    assertThat(ints(answers.get(1), "prompt_tokens").length)
        .isGreaterThanOrEqualTo("|u:Well|a:".length())
        .isLessThan(system.length());
  }

  /** What was read turn by turn is what would have been read at once. */
  @Test
  void theCacheChangesNothing() throws IOException {
    List<JsonNode> turns = json(chat("Hi\nWell\nSo?\n", "--json"));
    Path saved = folder.resolve("said.json");
    Files.writeString(
        saved,
        "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":"
            + turns.get(0).get("text") + "},{\"role\":\"user\",\"content\":\"Well\"},"
            + "{\"role\":\"assistant\",\"content\":" + turns.get(1).get("text") + "}]");
    List<JsonNode> loaded = json(chat("/load " + saved + "\nSo?\n", "--json"));
    assertThat(loaded.getFirst().get("tokens")).isEqualTo(turns.get(2).get("tokens"));
    assertThat(ints(loaded.getFirst(), "prompt_tokens").length)
        .isGreaterThan(ints(turns.get(2), "prompt_tokens").length);
  }

  @Test
  void undoResetAndRetry() {
    String plain = text(json(chat("Hi\n", "--json")).getFirst());
    List<JsonNode> answers =
        json(chat("Hi\nA\n/undo\nA\n/reset\nHi\n/retry\n/undo\nHi\n", "--json"));
    assertThat(answers).hasSize(6);
    assertThat(text(answers.get(2))).isEqualTo(text(answers.get(1)));
    assertThat(text(answers.get(3))).isEqualTo(plain);
    assertThat(text(answers.get(4))).isEqualTo(plain); // at temperature 0 a seed means nothing
    assertThat(text(answers.get(5))).isEqualTo(plain);
    List<JsonNode> drawn = json(chat("/set temp 5\nHi\n/retry\n/set seed 0\n", "--json"));
    assertThat(text(drawn.get(0))).isNotEqualTo(text(drawn.get(1)));
  }

  @Test
  void commandsTellOnStandardError() throws IOException {
    Path file = folder.resolve("saved.json");
    Cli.Result result =
        chat(
            "/help\n/system Be brief.\n/system\nHi\n/history\n/stats\n/set\n/save " + file
                + "\n/system none\n/system\n/exit\nnever\n");
    result.done();
    assertThat(result.err())
        .contains("  /system TEXT ", "[system: Be brief.]", "[no system message]", "context: ")
        .contains("last answer: ", "[3 messages are in ", "temp=0");
    assertThat(result.out()).contains("system: Be brief.\nuser: Hi\nassistant: ");
    JsonNode saved = Cli.json(Files.readString(file)).get("messages");
    assertThat(saved).hasSize(3);
    assertThat(saved.get(1).toString()).isEqualTo("{\"role\":\"user\",\"content\":\"Hi\"}");
    assertThat(chat("Hi\n/save " + file + "\n").err()).contains("saved.json: is there already");
  }

  @Test
  void messagesOfSeveralLines() throws IOException {
    Path file = folder.resolve("lines.json");
    chat("one\\\ntwo\n\"\"\"three\n\nfour\"\"\"\n/save " + file + "\n").done();
    JsonNode saved = Cli.json(Files.readString(file)).get("messages");
    assertThat(saved.get(0).get("content").asString()).isEqualTo("one\ntwo");
    assertThat(saved.get(2).get("content").asString()).isEqualTo("three\n\nfour");
  }

  @Test
  void whatCannotBeIsOneLine() {
    String[][] cases = {
      {"/undo\n", "nothing to take back"},
      {"/retry\n", "nothing was said yet"},
      {"/hlep\n", "unknown command \"/hlep\"; did you mean /help?"},
      {"/load nowhere.json\n", "nowhere.json: no such file"},
      {"/load\n", "/load: expected a file's name behind it"},
      {"/set temp\n", "/set: expected an option and a number"},
      {"/set temp x\n", "expected a number, found \"x\""},
      {"/set heat 1\n", "unknown option \"heat\"; there are temp, top-k"},
      {"/set temp -1\n", "temp: expected a number from 0"},
      {"/system no\nHi\n", "tokenizer.chat_template: line 2: no system"},
      {"x".repeat(300) + "\n", "leaves no room for an answer in the context of 256"},
    };
    for (String[] one : cases) {
      Cli.Result result = chat(one[0]);
      assertThat(result.status()).as(one[0]).isEqualTo(1);
      assertThat(result.lastError()).startsWith("tokamak: ").contains(one[1]);
      assertThat(result.err().lines()).hasSize(1);
    }
    Cli.Result bytes =
        Cli.runWith(
            new byte[] {'a', (byte) 0xff, '\n'}, "chat", "-m", model, "--quiet", "--backend",
            "reference");
    assertThat(bytes.lastError()).contains("standard input: line 1: not UTF-8: byte 0xff");
  }

  @Test
  void theEndOfTheContextIsSaid() {
    Cli.Result full =
        Cli.runWith(
            "Hi\nMore\n".getBytes(StandardCharsets.UTF_8),
            "chat", "-m", model, "--backend", "reference", "--temp", "0", "--ctx", "24",
            "--ignore-eos", "--quiet");
    assertThat(full.err())
        .contains("[the context of 24 tokens is full: the answer ends here;")
        .contains("leaves no room for an answer in the context of 24");
    assertThat(full.status()).isEqualTo(1);
    assertThat(chat("Hi\n").err()).isEqualTo("[the answer ends after 6 tokens, as -n says]\n");
  }

  @Test
  void aModelWithoutATemplateSaysWhatToDo() throws IOException {
    String bare = TinyModel.write(folder.resolve("bare.gguf"), 1).toString();
    Cli.Result result = Cli.run("chat", "-m", bare, "--backend", "reference");
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.lastError())
        .isEqualTo(
            "tokamak: " + bare + ": has no chat template, so it was not made to chat:"
                + " --template FILE gives one, or run completes a text");
    String template =
        Files.writeString(folder.resolve("t.jinja"), "{{ messages[-1].content }}:").toString();
    String[] given = {
      "chat", "-m", bare, "--backend", "reference", "--template", template, "-n", "3", "--json"
    };
    Cli.Result answered = Cli.runWith("Hi\n".getBytes(StandardCharsets.UTF_8), given);
    assertThat(ints(answered.json(), "tokens")).hasSize(3);
  }
}
