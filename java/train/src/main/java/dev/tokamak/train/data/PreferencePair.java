// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.train.data.Conversation.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Two conversations with one beginning, of which the first one's end is preferred.
 *
 * @param place file and line, for messages
 */
public record PreferencePair(String place, Conversation chosen, Conversation rejected) {

  /**
   * The pair of a line: {@code prompt}, {@code chosen} and {@code rejected}, each a text or messages;
   * {@code instruction} and {@code input} may stand for the prompt. Where {@code chosen} and {@code
   * rejected} are whole conversations, a prompt is not needed; if there is one, it is what the user
   * said last, or, as messages, how both begin.
   *
   * @throws FormatException if it is none of these, a role is unknown or out of order, or more than
   *     the last message differs
   */
  static PreferencePair of(JsonObject line) {
    if (!line.has("chosen") || !line.has("rejected")) {
      throw line.wrong(
          "no preference: expected {\"prompt\": …, \"chosen\": …, \"rejected\": …}, found an"
              + " object of " + line.names());
    }
    List<Turn> prompt = prompt(line);
    Conversation chosen = conversation(line, "chosen", prompt);
    Conversation rejected = conversation(line, "rejected", prompt);
    List<Turn> one = chosen.turns();
    List<Turn> other = rejected.turns();
    for (int i = 0; i < Math.max(one.size(), other.size()) - 1; i++) {
      if (i >= Math.min(one.size(), other.size()) - 1 || !one.get(i).equals(other.get(i))) {
        throw line.wrong(
            "chosen and rejected differ at messages[" + i + "], expected that only their last"
                + " messages do");
      }
    }
    return new PreferencePair(line.place(), chosen, rejected);
  }

  /** Whether both are the same: real data has such pairs, and there is nothing to prefer. */
  boolean isTie() {
    return chosen.turns().equals(rejected.turns());
  }

  /** What stands before both answers; empty where the line does not say. */
  private static List<Turn> prompt(JsonObject line) {
    return switch (line.fields().get("prompt")) {
      case List<?> list -> list.isEmpty() ? List.of() : Conversation.turns(line, "prompt");
      case String text ->
          text.isBlank() ? List.of() : List.of(Turn.of(Conversation.USER, text));
      case null -> line.has("instruction") ? Conversation.instruction(line) : List.of();
      default -> throw line.wrong("\"prompt\" is neither a text nor messages");
    };
  }

  private static Conversation conversation(JsonObject line, String name, List<Turn> prompt) {
    Object answer = line.fields().get(name);
    List<Turn> said =
        switch (answer) {
          case String text when text.isBlank() -> throw line.wrong("\"" + name + "\" is empty");
          case String text -> List.of(Turn.of(Conversation.ASSISTANT, text));
          case List<?> _ -> Conversation.turns(line, name);
          case Map<?, ?> _ -> List.of(Conversation.turn(line, name, answer));
          default -> throw line.wrong("\"" + name + "\" is neither a text nor messages");
        };
    var turns = new ArrayList<Turn>();
    if (List.of(Conversation.SYSTEM, Conversation.USER).contains(said.getFirst().role())) {
      requireBeginning(line, name, prompt, said);
    } else if (prompt.isEmpty()) {
      throw line.wrong(
          line.has("prompt")
              ? "\"prompt\" is empty"
              : "no \"prompt\": expected a text or messages");
    } else {
      turns.addAll(prompt);
    }
    turns.addAll(said);
    Conversation.ordered(line.place() + ": " + name, turns);
    // Only the last message differs; what came before is the same conversation.
    var learned = new ArrayList<Turn>();
    for (Turn turn : Conversation.withSystem(line, turns)) {
      learned.add(new Turn(turn.message(), false));
    }
    learned.add(new Turn(learned.removeLast().message(), true));
    return new Conversation(line.place(), learned, Conversation.tools(line));
  }

  /** A whole conversation repeats the prompt that stands beside it. */
  private static void requireBeginning(
      JsonObject line, String name, List<Turn> prompt, List<Turn> said) {
    boolean listed = line.fields().get("prompt") instanceof List;
    if (listed && !said.subList(0, Math.min(prompt.size(), said.size())).equals(prompt)) {
      throw line.wrong("\"" + name + "\" is a whole conversation, but does not begin as \"prompt\"");
    }
    if (!listed && !prompt.isEmpty() && !asked(said).equals(prompt.getLast().content().strip())) {
      throw line.wrong(
          "\"" + name + "\" is a whole conversation, but its last question is not that of the"
              + " line");
    }
  }

  /** What the user said last. */
  private static String asked(List<Turn> said) {
    return said.stream()
        .filter(turn -> turn.role().equals(Conversation.USER))
        .reduce((_, last) -> last)
        .map(turn -> turn.content().strip())
        .orElse("");
  }
}
