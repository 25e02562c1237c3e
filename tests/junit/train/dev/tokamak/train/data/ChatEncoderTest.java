// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.tokenizer.BpeTrainer;
import dev.tokamak.model.tokenizer.ControlTokens;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Conversations that a chat template does not write as they are to be learned. */
class ChatEncoderTest {
  private static final Tokenizer TOKENIZER =
      new BpeTrainer(259, ControlTokens.chat(), "gpt-2").train();
  private static final String LINE =
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"},"
          + " {\"role\": \"assistant\", \"content\": \"A\"}]}";

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
}
