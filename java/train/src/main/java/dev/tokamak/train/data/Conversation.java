// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A conversation to learn from: an optional system message, then user and assistant in turn; an
 * assistant that calls tools is answered by tool messages, and goes on.
 *
 * @param place file and line, for messages
 * @param tools as OpenAI describes them, for the template
 */
public record Conversation(String place, List<Message> messages, Optional<Object> tools) {

  /**
   * One message.
   *
   * @param fields all of it, for the template; {@code content} is a text, empty where there is none
   * @param learned whether it is to be learned: an assistant's, unless its {@code weight} is 0
   */
  public record Message(String role, Map<String, Object> fields, boolean learned) {
    static Message of(String role, String content) {
      var fields = new LinkedHashMap<String, Object>();
      fields.put("role", role);
      fields.put("content", content);
      return new Message(role, fields, role.equals(ASSISTANT));
    }

    String content() {
      return (String) fields.get("content");
    }
  }

  static final String SYSTEM = "system";
  private static final String DEVELOPER = "developer"; // OpenAI's newer name of system
  static final String USER = "user";
  static final String ASSISTANT = "assistant";
  static final String TOOL = "tool";

  /**
   * The conversation of a line: {@code messages} in OpenAI's shape, or {@code instruction}, {@code
   * input} (optional) and {@code output}; {@code system} may stand beside both.
   *
   * @throws FormatException if it is neither, a role is unknown or out of order, or nothing is to be
   *     learned
   */
  static Conversation of(JsonObject line) {
    Optional<Object> tools = Optional.ofNullable(line.fields().get("tools"));
    if (line.has("messages")) {
      List<Message> messages = messages(line, "messages");
      ordered(line.place(), messages);
      return learnable(new Conversation(line.place(), withSystem(line, messages), tools));
    }
    if (line.has("instruction")) {
      List<Message> messages = new ArrayList<>(instruction(line));
      String output = line.text("output");
      if (output.isBlank()) {
        throw line.wrong("\"output\" is empty: there is nothing to learn");
      }
      messages.add(Message.of(ASSISTANT, output));
      return new Conversation(line.place(), withSystem(line, messages), tools);
    }
    throw line.wrong(
        "no conversation: expected {\"messages\": […]} or {\"instruction\": …, \"output\": …},"
            + " found an object of " + line.names());
  }

  private static Conversation learnable(Conversation conversation) {
    if (conversation.messages.stream().noneMatch(Message::learned)) {
      boolean any =
          conversation.messages.stream().anyMatch(message -> message.role.equals(ASSISTANT));
      throw new FormatException(
          conversation.place
              + (any
                  ? ": every assistant message has weight 0: there is nothing to learn"
                  : ": no assistant message: there is nothing to learn"));
    }
    return conversation;
  }

  /** The question of a line with an instruction. */
  static List<Message> instruction(JsonObject line) {
    String instruction = line.text("instruction");
    String input = line.optionalText("input").orElse("");
    String question = input.isBlank() ? instruction : instruction + "\n\n" + input;
    if (question.isBlank()) {
      throw line.wrong("\"instruction\" is empty");
    }
    return List.of(Message.of(USER, question));
  }

  /** Messages behind the system message that stands beside them, if there is one. */
  static List<Message> withSystem(JsonObject line, List<Message> messages) {
    String system = line.optionalText(SYSTEM).orElse("");
    Message first = messages.getFirst();
    if (system.isBlank() || first.role().equals(SYSTEM) && first.content().equals(system)) {
      return messages;
    }
    if (first.role().equals(SYSTEM)) {
      throw line.wrong("\"system\" is not what the system message says");
    }
    var all = new ArrayList<>(messages);
    all.addFirst(Message.of(SYSTEM, system));
    return all;
  }

  /** A list of messages, each checked by itself. */
  static List<Message> messages(JsonObject line, String name) {
    List<?> list = line.list(name);
    if (list.isEmpty()) {
      throw line.wrong("\"" + name + "\" is empty, expected messages");
    }
    var messages = new ArrayList<Message>();
    for (int i = 0; i < list.size(); i++) {
      messages.add(message(line, name + "[" + i + "]", list.get(i)));
    }
    return messages;
  }

  /** One message. */
  static Message message(JsonObject line, String name, Object value) {
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
    var fields = new LinkedHashMap<String, Object>();
    found.forEach((key, field) -> fields.put((String) key, field));
    fields.put("role", role);
    String content = content(line, name, found.get("content"));
    boolean calls = found.get("tool_calls") instanceof List<?> list && !list.isEmpty();
    if (content.isBlank() && role.equals(ASSISTANT) && !calls) {
      throw line.wrong(name + ": an assistant message without content: there is nothing to learn");
    }
    fields.put("content", content);
    Object weight = fields.remove("weight");
    if (weight != null && !Long.valueOf(0).equals(weight) && !Long.valueOf(1).equals(weight)) {
      throw line.wrong(name + ": weight " + weight + ", expected 0 or 1");
    }
    return new Message(
        role, fields, role.equals(ASSISTANT) && !Long.valueOf(0).equals(weight));
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
  static void ordered(String place, List<Message> messages) {
    String before = "";
    for (int i = 0; i < messages.size(); i++) {
      String role = messages.get(i).role();
      List<String> expected =
          switch (before) {
            case "" -> List.of(SYSTEM, USER);
            case SYSTEM -> List.of(USER);
            case USER -> List.of(ASSISTANT);
            case ASSISTANT -> calls(messages.get(i - 1)) ? List.of(TOOL) : List.of(USER);
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
      boolean none = messages.stream().noneMatch(message -> message.role().equals(ASSISTANT));
      throw new FormatException(
          place
              + (none
                  ? ": no assistant message: there is nothing to learn"
                  : ": roles out of order: the last message is " + before
                      + ", expected assistant"));
    }
  }

  private static boolean calls(Message message) {
    return message.fields().get("tool_calls") instanceof List<?> list && !list.isEmpty();
  }
}
