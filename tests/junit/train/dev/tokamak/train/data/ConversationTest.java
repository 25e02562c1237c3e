// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The shapes that conversations and preferences come in; wrong ones are in lines.cases. */
class ConversationTest {
  private static final String TURNS =
      "[{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": \"assistant\", \"content\": \"%s\"}]";

  private static Conversation conversation(String line) {
    return Conversation.of(JsonObject.parse("a", line));
  }

  /** Roles and what they say; what is learned in brackets. */
  private static String said(Conversation conversation) {
    return conversation.turns().stream()
        .map(
            turn -> {
              String said = turn.role() + " " + turn.message().content().orElse("-");
              return turn.learned() ? "[" + said + "]" : said;
            })
        .collect(Collectors.joining(", "));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"system\": \"S\", \"messages\": %s}",
        "{\"system\": \"S\", \"instruction\": \"Q\", \"output\": \"A\"}",
        "{\"system\": \"S\", \"messages\": [{\"role\": \"developer\", \"content\": \"S\"},"
            + " {\"role\": \"user\", \"content\": \"Q\"},"
            + " {\"role\": \"assistant\", \"content\": [{\"type\": \"text\", \"text\": \"A\"}]}]}"
      })
  void aSystemMessageHasSeveralHomes(String line) {
    assertThat(said(conversation(line.formatted(TURNS.formatted("A")))))
        .isEqualTo("system S, user Q, [assistant A]");
  }

  @Test
  void toolsMayBeATextOfJson() {
    String line = "{\"tools\": %s, \"instruction\": \"Q\", \"output\": \"A\"}";
    List<?> tools = List.of(Map.of("type", "function"));
    assertThat(conversation(line.formatted("[{\"type\": \"function\"}]")).tools())
        .isEqualTo(tools);
    assertThat(conversation(line.formatted("\"[{\\\"type\\\": \\\"function\\\"}]\"")).tools())
        .isEqualTo(tools);
    assertThat(conversation(line.formatted("null")).tools()).isEmpty();
  }

  @Test
  void aCallNeedsNoContent() {
    Conversation calling =
        conversation(
            "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": \"assistant\","
                + " \"content\": null, \"tool_calls\": [{\"function\": {\"name\": \"f\","
                + " \"arguments\": \"{}\"}}]}]}");
    assertThat(said(calling)).isEqualTo("user Q, [assistant -]");
    assertThat(calling.turns().getLast().message().fields()).containsEntry("content", null);
    assertThat(calling.turns().getLast().calls()).hasSize(1);
  }

  /** A prompt beside whole conversations is what they begin with, or the last question. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "\"prompt\": \"Q\",",
        "\"prompt\": \"\",",
        "\"prompt\": [],",
        "\"prompt\": [{\"role\": \"user\", \"content\": \"Q\"}],",
        "\"instruction\": \"Q\","
      })
  void wholeConversationsMayHaveAPrompt(String prompt) {
    PreferencePair pair =
        PreferencePair.of(
            JsonObject.parse(
                "a",
                "{" + prompt + "\"chosen\": " + TURNS.formatted("A") + ", \"rejected\": "
                    + TURNS.formatted("B") + "}"));
    assertThat(said(pair.chosen())).isEqualTo("user Q, [assistant A]");
    assertThat(said(pair.rejected())).isEqualTo("user Q, [assistant B]");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"prompt\": \"Q\"",
        "\"prompt\": [{\"role\": \"user\", \"content\": \"Q\"}]",
        "\"prompt\": [{\"role\": \"system\", \"content\": \"S\"},"
            + " {\"role\": \"user\", \"content\": \"Q\"}]",
        "\"instruction\": \"Q\""
      })
  void aPairHasTheSystemMessageOfItsLine(String prompt) {
    PreferencePair pair =
        PreferencePair.of(
            JsonObject.parse(
                "a", "{\"system\": \"S\", " + prompt + ", \"chosen\": \"A\", \"rejected\":"
                    + " {\"role\": \"assistant\", \"content\": \"B\"}}"));
    assertThat(said(pair.chosen())).isEqualTo("system S, user Q, [assistant A]");
    assertThat(said(pair.rejected())).isEqualTo("system S, user Q, [assistant B]");
  }
}
