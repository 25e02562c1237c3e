// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.FormatException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A conversation to learn from: an optional system message, then user and assistant in turn; an
 * assistant that calls tools is answered by tool messages, and goes on.
 *
 * @param place file and line, for messages
 * @param tools as OpenAI describes them, for the template; none, if it is empty
 */
public record Conversation(String place, List<Turn> turns, List<?> tools) {

  /**
   * One message.
   *
   * @param message all of it, for the template; its {@code content} is a text, empty where there is
   *     none, or null beside calls of tools
   * @param learned whether it is to be learned: an assistant's, unless its {@code weight} is 0
   */
  public record Turn(Message message, boolean learned) {
    static Turn of(String role, String content) {
      return new Turn(Message.of(role, content), role.equals(ASSISTANT));
    }

    String role() {
      return message.role();
    }

    /** What is said; empty beside calls. */
    String content() {
      return message.content().orElse("");
    }

    /** The names of the functions that it calls. */
    List<String> calls() {
      var names = new ArrayList<String>();
      if (message.fields().get("tool_calls") instanceof List<?> calls) {
        for (Object call : calls) {
          var function = (Map<?, ?>) ((Map<?, ?>) call).get("function"); // as it was checked to be
          names.add((String) function.get("name"));
        }
      }
      return names;
    }
  }

  static final String SYSTEM = "system";
  private static final String DEVELOPER = "developer"; // OpenAI's newer name of system
  static final String USER = "user";
  static final String ASSISTANT = "assistant";
  static final String TOOL = "tool";

  /**
   * The conversation of a line: {@code messages} in OpenAI's shape, or {@code instruction}, {@code
   * input} (optional) and {@code output}; {@code system} and {@code tools} may stand
   * beside both.
   *
   * @throws FormatException if it is neither, a role is unknown or out of order, or nothing is to be
   *     learned
   */
  static Conversation of(JsonObject line) {
    if (line.has("messages")) {
      List<Turn> turns = turns(line, "messages");
      ordered(line.place(), turns);
      return learnable(new Conversation(line.place(), withSystem(line, turns), tools(line)));
    }
    if (line.has("instruction")) {
      List<Turn> turns = new ArrayList<>(instruction(line));
      String output = line.text("output");
      if (output.isBlank()) {
        throw line.wrong("\"output\" is empty: there is nothing to learn");
      }
      turns.add(Turn.of(ASSISTANT, output));
      return new Conversation(line.place(), withSystem(line, turns), tools(line));
    }
    throw line.wrong(
        "no conversation: expected {\"messages\": […]} or {\"instruction\": …, \"output\": …},"
            + " found an object of " + line.names());
  }

  /** Tools of a line: a list of objects, or a text of JSON that is one. */
  static List<?> tools(JsonObject line) {
    if (!line.has("tools")) {
      return List.of();
    }
    List<?> tools = line.listOrJson("tools");
    if (!tools.stream().allMatch(tool -> tool instanceof Map)) {
      throw line.wrong("\"tools\": expected a list of objects");
    }
    return tools;
  }

  private static Conversation learnable(Conversation conversation) {
    if (conversation.turns.stream().noneMatch(Turn::learned)) {
      boolean any = conversation.turns.stream().anyMatch(turn -> turn.role().equals(ASSISTANT));
      throw new FormatException(
          conversation.place
              + (any
                  ? ": every assistant message has weight 0: there is nothing to learn"
                  : ": no assistant message: there is nothing to learn"));
    }
    return conversation;
  }

  /** The question of a line with an instruction. */
  static List<Turn> instruction(JsonObject line) {
    String instruction = line.text("instruction");
    String input = line.optionalText("input").orElse("");
    String question = input.isBlank() ? instruction : instruction + "\n\n" + input;
    if (question.isBlank()) {
      throw line.wrong("\"instruction\" is empty");
    }
    return List.of(Turn.of(USER, question));
  }

  /** Messages behind the system message that stands beside them, if there is one. */
  static List<Turn> withSystem(JsonObject line, List<Turn> messages) {
    String system = line.optionalText(SYSTEM).orElse("");
    Turn first = messages.getFirst();
    if (system.isBlank() || first.role().equals(SYSTEM) && first.content().equals(system)) {
      return messages;
    }
    if (first.role().equals(SYSTEM)) {
      throw line.wrong("\"system\" is not what the system message says");
    }
    var all = new ArrayList<>(messages);
    all.addFirst(Turn.of(SYSTEM, system));
    return all;
  }

  /** A list of messages, each checked by itself. */
  static List<Turn> turns(JsonObject line, String name) {
    List<?> list = line.list(name);
    if (list.isEmpty()) {
      throw line.wrong("\"" + name + "\" is empty, expected messages");
    }
    var turns = new ArrayList<Turn>();
    for (int i = 0; i < list.size(); i++) {
      turns.add(turn(line, name + "[" + i + "]", list.get(i)));
    }
    return turns;
  }

  /** One message. */
  static Turn turn(JsonObject line, String name, Object value) {
    if (!(value instanceof Map<?, ?> found)) {
      throw line.wrong(name + ": expected {\"role\": …, \"content\": …}");
    }
    if (!(found.get("role") instanceof String given)) {
      throw line.wrong(name + ": no \"role\": expected system, user, assistant or tool");
    }
    String role = given.equals(DEVELOPER) ? SYSTEM : given;
    if (!List.of(SYSTEM, USER, ASSISTANT, TOOL).contains(role)) {
      throw line.wrong(
          name + ": role \"" + role + "\" is unknown: expected system, user, assistant or tool");
    }
    var fields = new LinkedHashMap<Object, Object>(found);
    fields.put("role", role);
    boolean calls = found.get("tool_calls") instanceof List<?> list && !list.isEmpty();
    if (found.get("content") != null || !calls) {
      fields.put("content", content(line, name, found.get("content")));
    }
    Object weight = fields.remove("weight");
    if (weight != null && !Long.valueOf(0).equals(weight) && !Long.valueOf(1).equals(weight)) {
      throw line.wrong(name + ": weight " + weight + ", expected 0 or 1");
    }
    Message message;
    try {
      message = Message.parse(name, fields);
    } catch (IllegalArgumentException e) {
      throw line.wrong(e.getMessage());
    }
    if (role.equals(ASSISTANT) && !calls && message.content().orElse("").isBlank()) {
      throw line.wrong(name + ": an assistant message without content: there is nothing to learn");
    }
    return new Turn(message, role.equals(ASSISTANT) && !Long.valueOf(0).equals(weight));
  }

  /** A text, or the texts of OpenAI's content parts, one behind the other. */
  private static String content(JsonObject line, String name, Object content) {
    if (content == null) {
      return "";
    }
    if (content instanceof String text) {
      return text;
    }
    if (content instanceof List<?> parts) {
      var text = new StringBuilder();
      for (Object part : parts) {
        if (!(part instanceof Map<?, ?> map && map.get("text") instanceof String piece)) {
          throw line.wrong(name + ": a content part that is no text");
        }
        text.append(piece);
      }
      return text.toString();
    }
    throw line.wrong(name + ": \"content\" is no text");
  }

  /**
   * Checks the order of roles of a conversation that ends with an assistant's message.
   *
   * @throws FormatException that names the first message out of order
   */
  static void ordered(String place, List<Turn> turns) {
    String before = "";
    for (int i = 0; i < turns.size(); i++) {
      String role = turns.get(i).role();
      List<String> expected =
          switch (before) {
            case "" -> List.of(SYSTEM, USER);
            case SYSTEM -> List.of(USER);
            case USER -> List.of(ASSISTANT);
            case ASSISTANT -> turns.get(i - 1).calls().isEmpty() ? List.of(USER) : List.of(TOOL);
            default -> List.of(TOOL, ASSISTANT); // behind a tool's answer
          };
      if (!expected.contains(role)) {
        throw new FormatException(
            place + ": roles out of order: messages[" + i + "] is " + role + ", expected "
                + String.join(" or ", expected)
                + (before.isEmpty() ? " first" : " behind " + before));
      }
      before = role;
    }
    if (!before.equals(ASSISTANT)) {
      boolean none = turns.stream().noneMatch(turn -> turn.role().equals(ASSISTANT));
      throw new FormatException(
          place
              + (none
                  ? ": no assistant message: there is nothing to learn"
                  : ": roles out of order: the last message is " + before
                      + ", expected assistant"));
    }
  }
}
