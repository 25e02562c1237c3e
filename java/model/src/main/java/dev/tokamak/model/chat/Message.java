// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.chat;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One message of a conversation, in the shape of OpenAI's API.
 *
 * @param fields {@code role}; {@code content}, a text or a list of parts; for an assistant that
 *     calls tools {@code tool_calls}, for the answer {@code tool_call_id}; {@code name}, {@code
 *     reasoning_content} and whatever else a template may read. Values are null, booleans, numbers,
 *     texts, lists and maps
 */
public record Message(Map<String, Object> fields) {
  private static final List<String> ROLES =
      List.of("system", "developer", "user", "assistant", "tool", "function");

  /** A copy that nobody changes; null values are kept, as JSON has them. */
  public Message {
    fields = Collections.unmodifiableMap(new LinkedHashMap<>(fields));
  }

  /** A text that somebody said. */
  public static Message of(String role, String content) {
    var fields = new LinkedHashMap<String, Object>();
    fields.put("role", role);
    fields.put("content", content);
    return new Message(fields);
  }

  public String role() {
    return String.valueOf(fields.get("role"));
  }

  /** What was said, if it is a text. */
  public Optional<String> content() {
    return fields.get("content") instanceof String text ? Optional.of(text) : Optional.empty();
  }

  /**
   * Messages out of a parsed JSON array.
   *
   * @throws IllegalArgumentException that names what is not as it should be, such as {@code
   *     messages[3].role}
   */
  public static List<Message> list(Object messages) {
    if (!(messages instanceof List<?> list)) {
      throw wrong("messages", "expected an array, found " + kind(messages));
    }
    if (list.isEmpty()) {
      throw wrong("messages", "expected at least one message, found none");
    }
    var checked = new ArrayList<Message>(list.size());
    for (int i = 0; i < list.size(); i++) {
      checked.add(parse("messages[" + i + "]", list.get(i)));
    }
    return List.copyOf(checked);
  }

  /**
   * A message out of a parsed JSON object.
   *
   * @param place of it, as {@code messages[3]}
   * @throws IllegalArgumentException that names what is not as it should be
   */
  public static Message parse(String place, Object value) {
    if (!(value instanceof Map<?, ?> map)) {
      throw wrong(place, "expected an object, found " + kind(value));
    }
    var fields = new LinkedHashMap<String, Object>();
    map.forEach((name, field) -> fields.put(String.valueOf(name), field));
    Object role = fields.get("role");
    if (!(role instanceof String name)) {
      throw wrong(place + ".role", "expected " + roles() + ", found " + kind(role));
    }
    if (!ROLES.contains(name)) {
      throw wrong(place + ".role", "expected " + roles() + ", found '" + name + "'");
    }
    boolean calls = fields.get("tool_calls") instanceof List<?> list && !list.isEmpty();
    checkContent(place + ".content", fields.get("content"), name.equals("assistant") && calls);
    if (fields.get("tool_calls") != null) {
      checkCalls(place + ".tool_calls", name, fields.get("tool_calls"));
    }
    for (String text : List.of("name", "tool_call_id", "reasoning_content")) {
      if (fields.get(text) != null && !(fields.get(text) instanceof String)) {
        throw wrong(place + "." + text, "expected a text, found " + kind(fields.get(text)));
      }
    }
    return new Message(fields);
  }

  private static void checkContent(String place, Object content, boolean mayMiss) {
    switch (content) {
      case null -> {
        if (!mayMiss) {
          throw wrong(place, "expected a text or an array of parts, found none");
        }
      }
      case String _ -> {}
      case List<?> parts -> {
        for (int i = 0; i < parts.size(); i++) {
          boolean typed = parts.get(i) instanceof Map<?, ?> p && p.get("type") instanceof String;
          if (!typed) {
            throw wrong(place + "[" + i + "]", "expected an object with a type");
          }
        }
      }
      default -> throw wrong(place, "expected a text or an array of parts, found " + kind(content));
    }
  }

  private static void checkCalls(String place, String role, Object calls) {
    if (!(calls instanceof List<?> list)) {
      throw wrong(place, "expected an array, found " + kind(calls));
    }
    if (!role.equals("assistant") && !list.isEmpty()) {
      throw wrong(place, "only an assistant calls tools, found them at role '" + role + "'");
    }
    for (int i = 0; i < list.size(); i++) {
      String function = place + "[" + i + "].function";
      if (!(list.get(i) instanceof Map<?, ?> call)
          || !(call.get("function") instanceof Map<?, ?> called)) {
        throw wrong(function, "expected an object with name and arguments");
      }
      if (!(called.get("name") instanceof String)) {
        throw wrong(function + ".name", "expected a text, found " + kind(called.get("name")));
      }
      Object arguments = called.get("arguments");
      if (arguments != null && !(arguments instanceof String) && !(arguments instanceof Map)) {
        throw wrong(
            function + ".arguments",
            "expected an object, or one as a text of JSON, found " + kind(arguments));
      }
    }
  }

  private static String roles() {
    return String.join(", ", ROLES.subList(0, ROLES.size() - 1)) + " or " + ROLES.getLast();
  }

  private static String kind(Object value) {
    return switch (value) {
      case null -> "none";
      case String _ -> "a text";
      case Boolean b -> b.toString();
      case Number n -> n.toString();
      case List<?> _ -> "an array";
      case Map<?, ?> _ -> "an object";
      default -> value.getClass().getSimpleName();
    };
  }

  private static IllegalArgumentException wrong(String place, String problem) {
    return new IllegalArgumentException(place + ": " + problem);
  }
}
