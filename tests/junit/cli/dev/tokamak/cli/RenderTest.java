// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TinyModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

class RenderTest {
  private static final String TEMPLATE =
      """
      {{ bos_token }}{% for m in messages %}
      {{ m.role }}: {{ m.content }}{% for c in m.tool_calls %}
      {{- c.function.name }}({{ c.function.arguments|tojson }})
      {%- endfor %};
      {% endfor %}
      {% if tools %}tools={{ tools|length }};{% endif %}
      {% if add_generation_prompt %}assistant:{% endif %}
      """;

  @TempDir private Path folder;

  private String file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text).toString();
  }

  @Test
  void rendersMessagesByATemplateOrAModel() throws IOException {
    String messages = file("m.json", "[{\"role\":\"user\",\"content\":\"Hé\"}]");
    String template = file("t.jinja", TEMPLATE);
    assertThat(Cli.run("render", "--messages", messages, "--template", template).done().out())
        .isEqualTo("user: Hé;\nassistant:");
    String[] closed = {
      "render", "--messages", messages, "--template", template, "--no-generation-prompt"
    };
    assertThat(Cli.run(closed).done().out()).isEqualTo("user: Hé;\n");

    String model = TinyModel.write(folder.resolve("m.gguf"), 1, TEMPLATE).toString();
    JsonNode json = Cli.run("render", "--messages", messages, "-m", model, "--json").json();
    assertThat(json.get("text").asString()).isEqualTo("<s>user: Hé;\nassistant:");
    // The template wrote BOS, so none is added.
    assertThat(json.get("tokens").toString()).startsWith("[1,").doesNotStartWith("[1,1,");
    String bare = file("bare.jinja", "{{ messages[0].content }}");
    String[] without = {
      "render", "--messages", messages, "-m", model, "--template", bare, "--json"
    };
    assertThat(Cli.run(without).json().get("tokens").toString()).startsWith("[1,");
  }

  @Test
  void toolsAndTheirCallsAreOpenAis() throws IOException {
    String template = file("t.jinja", TEMPLATE);
    String messages =
        file(
            "m.json",
            """
            {"tools": [{"type": "function", "function": {"name": "f"}}], "messages": [
             {"role": "user", "content": "x"},
             {"role": "assistant", "content": null, "tool_calls": [
              {"type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1.0}"}},
              {"type": "function", "function": {"name": "g", "arguments": {"b": [2]}}}]},
             {"role": "tool", "tool_call_id": "1", "content": "y"}]}
            """);
    String expected =
        "user: x;\nassistant: Nonef({\"a\": 1.0})g({\"b\": [2]});\ntool: y;\ntools=1;assistant:";
    assertThat(Cli.run("render", "--messages", messages, "--template", template).done().out())
        .isEqualTo(expected);
    String plus = file("plus.jinja", "{{ 'f(' + messages[1].tool_calls[1].function.arguments }}");
    assertThat(Cli.run("render", "--messages", messages, "--template", plus).done().out())
        .isEqualTo("f({\"b\": [2]}");
    String two = file("tools.json", "[{}, {}]");
    String[] given = {"render", "--messages", messages, "--template", template, "--tools", two};
    assertThat(Cli.run(given).done().out()).contains("tools=2;");
  }

  @Test
  void linesOfVariablesGiveTextOrError() throws IOException {
    String template =
        file(
            "t.jinja",
            "{% if x is not defined %}\n{{ raise_exception('no x') }}{% endif %}"
                + "{{ x }} {{ strftime_now('%d %b %Y %H:%M:%S') }}");
    String in = "{\"x\": 1}\n{}\n{\"x\": [1.0, null, \"é\"]}\n";
    String[] command = {
      "render", "--template", template, "--jsonl", "--now", "2026-01-15T12:30:45"
    };
    assertThat(Cli.runWith(in.getBytes(StandardCharsets.UTF_8), command).done().out())
        .isEqualTo(
            """
            {"text":"1 15 Jan 2026 12:30:45"}
            {"error":"t.jinja: line 2: no x"}
            {"text":"[1.0, None, 'é'] 15 Jan 2026 12:30:45"}
            """);
    Cli.Result bad = Cli.runWith("[]\n".getBytes(StandardCharsets.UTF_8), command);
    assertThat(bad.status()).isEqualTo(1);
    assertThat(bad.err())
        .isEqualTo(
            "tokamak: standard input: line 1: expected an object of the template's variables\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          {}                                       | messages: expected an array, found an object
          []                                       | messages: expected at least one message
          [1]                                      | messages[0]: expected an object, found 1
          [{"content":"x"}]                        | messages[0].role: expected system, developer
          [{"role":"user","content":"x"},{"role":"robot"}] | messages[1].role: expected
          [{"role":"user"}]                        | messages[0].content: expected a text or
          [{"role":"assistant","content":null}]    | messages[0].content: expected
          [{"role":"user","content":5}]            | messages[0].content: expected a text or
          [{"role":"user","content":["x"]}]        | messages[0].content[0]: expected an object
          [{"role":"assistant","tool_calls":[{}]}] | messages[0].tool_calls[0].function: expected
          [{"role":"user","content":"x","name":1}] | messages[0].name: expected a text, found 1
          [                                        | m.json: line
          [] []                                    | m.json: more than one JSON value
          [{"role":"user","role":"user"}]          | m.json: line 1: Duplicate
          """)
  void whatIsWrongIsNamed(String json, String message) throws IOException {
    String messages = file("m.json", json);
    String template = file("t.jinja", TEMPLATE);
    Cli.Result result = Cli.run("render", "--messages", messages, "--template", template);
    assertThat(result.status()).isEqualTo(1);
    assertThat(result.out()).isEmpty();
    assertThat(result.err()).startsWith("tokamak: ").contains(message).hasLineCount(1);
  }

  @Test
  void aTemplateThatIsNoneIsNamedWithItsLine() throws IOException {
    String messages = file("m.json", "[{\"role\":\"user\",\"content\":\"x\"}]");
    String template = file("bad.jinja", "x\n{% for %}");
    assertThat(Cli.run("render", "--messages", messages, "--template", template).err())
        .isEqualTo("tokamak: bad.jinja: line 2: expected a name to assign to, found end of"
                + " statement block\n");
    String model = TinyModel.write(folder.resolve("m.gguf"), 1).toString();
    Cli.Result none = Cli.run("render", "--messages", messages, "-m", model);
    assertThat(none.status()).isEqualTo(1);
    assertThat(none.err()).endsWith("m.gguf: has no chat template: --template FILE gives one\n");
  }
}
