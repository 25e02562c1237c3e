// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.train.data.Conversation.Message;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Two conversations with one beginning, of which the first one's end is preferred.
 *
 * @param place file and line, for messages
 */
public record PreferencePair(String place, Conversation chosen, Conversation rejected) {

  /**
   * The pair of a line: {@code prompt}, {@code chosen} and {@code rejected}, each a text or messages;
   * {@code instruction} and {@code input} may stand for the prompt, and where {@code chosen} and
   * {@code rejected} are whole conversations there is none.
   *
   * @throws FormatException if it is none of these, or a role is unknown or out of order
   */
  static PreferencePair of(JsonObject line) {
    if (!line.has("chosen") || !line.has("rejected")) {
      throw line.wrong(
          "no preference: expected {\"prompt\": …, \"chosen\": …, \"rejected\": …}, found an"
              + " object of " + line.names());
    }
    List<Message> prompt = prompt(line);
    Conversation chosen = answer(line, "chosen", prompt);
    Conversation rejected = answer(line, "rejected", prompt);
    return new PreferencePair(line.place(), chosen, rejected);
  }

  /** Whether both are the same: real data has such pairs, and there is nothing to prefer. */
  boolean isTie() {
    return chosen.messages().equals(rejected.messages());
  }

  /** What stands before both answers; empty where they are whole conversations. */
  static List<Message> prompt(JsonObject line) {
    Object prompt = line.fields().get("prompt");
    if (prompt instanceof List) {
      return Conversation.messages(line, "prompt");
    }
    if (prompt != null) {
      String text = line.text("prompt");
      if (text.isBlank()) {
        throw line.wrong("\"prompt\" is empty");
      }
      return List.of(Message.of(Conversation.USER, text));
    }
    if (line.has("instruction")) {
      return Conversation.instruction(line);
    }
    return List.of();
  }

  private static Conversation answer(JsonObject line, String name, List<Message> prompt) {
    Object answer = line.fields().get(name);
    var messages = new ArrayList<Message>(prompt);
    switch (answer) {
      case String text when prompt.isEmpty() ->
          throw line.wrong("no \"prompt\": expected a text or messages");
      case String text when text.isBlank() -> throw line.wrong("\"" + name + "\" is empty");
      case String text -> messages.add(Message.of(Conversation.ASSISTANT, text));
      case List<?> _ -> messages.addAll(Conversation.messages(line, name));
      case Map<?, ?> _ -> messages.add(Conversation.message(line, name, answer));
      default -> throw line.wrong("\"" + name + "\" is neither a text nor messages");
    }
    Conversation.ordered(line.place() + ": " + name, messages);
    // Only the last message differs; what came before is the same conversation.
    var learned = new ArrayList<Message>();
    for (int i = 0; i < messages.size(); i++) {
      Message message = messages.get(i);
      learned.add(new Message(message.role(), message.fields(), i == messages.size() - 1));
    }
    return new Conversation(
        line.place(), learned, Optional.ofNullable(line.fields().get("tools")));
  }
}
