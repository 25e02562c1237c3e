// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.tokenizer.BpeTrainer;
import dev.tokamak.model.tokenizer.ControlTokens;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Conversations that a chat template does not write as they are to be learned. */
class ChatEncoderTest {
  private static final Tokenizer TOKENIZER =
      new BpeTrainer(259, ControlTokens.chat(), "gpt-2").train();
  private static final String LINE =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"},"
          + " {\"role\": \"assistant\", \"content\": \"A\"}]}";

  private static final String CALL =
      """
      {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": null,\
       "tool_calls": [{"id": "c", "type": "function", "function": {"name": "get",\
       "arguments": "{\\"city\\": \\"Paris\\"}"}}]}]}
      """;

  /** As Qwen's templates do it. */
  private static final String WRITES_CALLS =
      "{% for m in messages %}[{{ m.content or '' }}]{% for c in m.tool_calls or [] %}"
          + "<{{ c.function.name }}>{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";

  private static List<ChatEncoder.Marked> encode(String template, String line) {
    return new ChatEncoder(TOKENIZER, new ChatFormat("t.jinja", template, TOKENIZER))
        .encode(Conversation.of(JsonObject.parse("a.jsonl: line 7", line)));
  }

  @Test
  void whatATemplateRefusesIsSaidWithTheLineOfTheData() {
    assertThatThrownBy(() -> encode("{{ raise_exception('no system role') }}", LINE))
        .isInstanceOf(FormatException.class)
        .hasMessage("a.jsonl: line 7: t.jinja: line 1: no system role");
  }

  @Test
  void aTemplateThatDoesNotWriteTheAnswerIsRefused() {
    assertThatThrownBy(() -> encode("hello", LINE))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "a.jsonl: line 7: the chat template writes nothing of what the assistant says;"
                + " data.template gives another");
  }

  @Test
  void callsAreLearnedAsTheyAreWrittenInAChat() {
    List<ChatEncoder.Marked> sequences = encode(WRITES_CALLS, CALL);
    assertThat(sequences).hasSize(1);
    assertThat(TOKENIZER.decodeWithSpecial(sequences.getFirst().tokens()))
        .isEqualTo("<|endoftext|>[Q][]<get>{\"city\": \"Paris\"}<|endoftext|>");
  }

  @Test
  void aTemplateThatDoesNotWriteCallsIsRefused() {
    var chatMl = new ChatEncoder(TOKENIZER, ChatFormat.chatMl(TOKENIZER));
    var call = Conversation.of(JsonObject.parse("a.jsonl: line 7", CALL));
    assertThatThrownBy(() -> chatMl.encode(call))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "a.jsonl: line 7: the chat template writes no tool calls; data.template gives one that"
                + " does");
  }

  @Test
  void aTemplateThatDoesNotWriteToolsIsRefused() {
    String line = LINE.replace("{\"messages\"", "{\"tools\": [{\"name\": \"get\"}], \"messages\"");
    assertThatThrownBy(() -> encode(WRITES_CALLS, line))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "a.jsonl: line 7: the chat template writes no tools; data.template gives one that does");
    assertThat(encode("{{ tools | tojson if tools }}" + WRITES_CALLS, line)).hasSize(1);
  }

  /** Hugging Face's models may have two templates, and so may GGUF files. */
  @Test
  void aFilesTemplateForToolsIsUsedAndTravels() {
    Metadata file =
        Metadata.of(
            "base.gguf",
            Map.of(
                ChatTemplate.KEY, WRITES_CALLS,
                ChatTemplate.WITH_TOOLS, "{{ tools | tojson }}" + WRITES_CALLS));
    ChatFormat format = ChatFormat.of(file, TOKENIZER).orElseThrow();
    String line = LINE.replace("{\"messages\"", "{\"tools\": [{\"name\": \"get\"}], \"messages\"");
    List<ChatEncoder.Marked> sequences =
        new ChatEncoder(TOKENIZER, format).encode(Conversation.of(JsonObject.parse("a", line)));
    assertThat(TOKENIZER.decodeWithSpecial(sequences.getFirst().tokens()))
        .isEqualTo("<|endoftext|>[{\"name\": \"get\"}][Q][A]<|endoftext|>");
    assertThat(format.addedTo(TOKENIZER.metadata()).string(ChatTemplate.WITH_TOOLS)).isPresent();
    // One that a configuration names is for all conversations.
    Metadata other = new ChatFormat("t", "x", TOKENIZER).addedTo(TOKENIZER.metadata().with(file));
    assertThat(other.string(ChatTemplate.KEY)).contains("x");
    assertThat(other.string(ChatTemplate.WITH_TOOLS)).isEmpty();
    assertThat(ChatFormat.of(TOKENIZER.metadata(), TOKENIZER)).isEmpty();
    assertThatThrownBy(() -> ChatFormat.of(file.with(ChatTemplate.KEY, "{% if %}"), TOKENIZER))
        .isInstanceOf(FormatException.class)
        .hasMessageStartingWith("base.gguf: tokenizer.chat_template: line 1: ");
  }
}
