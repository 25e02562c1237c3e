// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ChatTemplateTest {
  private static final List<Message> HI = List.of(Message.of("user", "Hi"));
  private static final List<Map<String, Object>> TOOLS = List.of(Map.of("type", "function"));

  /** A vocabulary of BOS, EOS and bytes. */
  private static Metadata metadata() {
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    for (int i = 0; i < 256; i++) {
      tokens.add(String.format("<0x%02X>", i));
    }
    float[] scores = new float[tokens.size()];
    int[] kinds = new int[tokens.size()];
    Arrays.setAll(kinds, id -> id == 0 ? 2 : id < 3 ? 3 : 6);
    return Metadata.of(
        "m.gguf",
        Map.of(
            "tokenizer.ggml.model", "llama",
            "tokenizer.ggml.tokens", tokens,
            "tokenizer.ggml.scores", scores,
            "tokenizer.ggml.token_type", kinds,
            "tokenizer.ggml.bos_token_id", 1,
            "tokenizer.ggml.eos_token_id", 2));
  }

  private static String render(Metadata metadata, List<?> tools) {
    return ChatTemplate.of(metadata, Tokenizer.of(metadata))
        .orElseThrow()
        .render(HI, tools, true, Clock.systemUTC());
  }

  @Test
  void theFileSaysHow() {
    assertThat(ChatTemplate.of(metadata(), Tokenizer.of(metadata()))).isEmpty();
    Metadata plain =
        metadata()
            .with(
                ChatTemplate.KEY,
                "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ add_generation_prompt }}"
                    + "{{ tools is defined }}");
    assertThat(render(plain, List.of())).isEqualTo("<s>Hi</s>TrueFalse");
    assertThat(render(plain, TOOLS)).isEqualTo("<s>Hi</s>TrueTrue");
    Metadata two = plain.with(ChatTemplate.KEY + ".tool_use", "{{ tools|length }}");
    assertThat(render(two, List.of())).startsWith("<s>Hi");
    assertThat(render(two, TOOLS)).isEqualTo("1");
    Metadata onlyTools = metadata().with(ChatTemplate.KEY + ".tool_use", "{{ messages|length }}");
    assertThat(render(onlyTools, List.of())).isEqualTo("1");
  }

  @Test
  void aTemplateThatIsNoneIsAnError() {
    Metadata broken = metadata().with(ChatTemplate.KEY, "{% if %}");
    assertThatThrownBy(() -> render(broken, List.of()))
        .isInstanceOf(TemplateException.class)
        .hasMessageStartingWith("tokenizer.chat_template: line 1: ");
    Metadata number = metadata().with(ChatTemplate.KEY, 5);
    assertThatThrownBy(() -> render(number, List.of()))
        .isInstanceOf(FormatException.class)
        .hasMessageContaining("tokenizer.chat_template");
  }

  @Test
  void oneBosStandsInFront() {
    Tokenizer tokenizer = Tokenizer.of(metadata());
    assertThat(tokenizer.addBos()).isTrue();
    assertThat(ChatTemplate.encode(tokenizer, "<s>a</s>")).startsWith(1).endsWith(2);
    assertThat(ChatTemplate.encode(tokenizer, "a"))
        .isEqualTo(ChatTemplate.encode(tokenizer, "<s>a"));
    assertThat(ChatTemplate.encode(tokenizer, "")).containsExactly(1);
  }

  /** A template that adds arguments to a text, and one that looks into them. */
  @Test
  void argumentsComeInTheFormThatTheTemplateTakes() {
    String adds = "{{ '(' + messages[0].tool_calls[0].function.arguments + ')' }}";
    String looks = "{{ messages[0].tool_calls[0].function.arguments.a }}";
    for (Object arguments : new Object[] {Map.of("a", 1), "{\"a\": 1}"}) {
      Map<String, Object> function = Map.of("name", "f", "arguments", arguments);
      List<Message> calls =
          Message.list(
              List.of(
                  Map.of(
                      "role", "assistant", "tool_calls", List.of(Map.of("function", function)))));
      assertThat(
              ChatTemplate.of("t", adds).render(calls, List.of(), true, Clock.systemUTC()))
          .isEqualTo("({\"a\": 1})");
      assertThat(
              ChatTemplate.of("t", looks).render(calls, List.of(), true, Clock.systemUTC()))
          .isEqualTo("1");
    }
  }

  /** A template that tells none from an empty text, and two that add to a text; as Qwen3's does. */
  @Test
  void aCallsContentIsNoneUnlessTheTemplateCannotTakeThat() {
    String call = "{{ messages[0].tool_calls[0].function.arguments%s }}";
    String adds = "{{ '(' + messages[0].content + ')' }}";
    assertThat(called("{{ messages[0].content is none }}" + call.formatted("")))
        .isEqualTo("True{'a': 1}");
    assertThat(called(adds + call.formatted(".a"))).isEqualTo("()1");
    assertThat(called(adds + call.formatted(" + '.'"))).isEqualTo("(){\"a\": 1}.");
    assertThatThrownBy(() -> called("{{ messages[0].role.content.text }}"))
        .isInstanceOf(TemplateException.class);
  }

  private static String called(String template) {
    Map<String, Object> function = Map.of("name", "f", "arguments", Map.of("a", 1));
    var message = new HashMap<String, Object>();
    message.put("role", "assistant");
    message.put("content", null);
    message.put("tool_calls", List.of(Map.of("function", function)));
    return ChatTemplate.of("t", template)
        .render(Message.list(List.of(message)), List.of(), true, Clock.systemUTC());
  }
}
