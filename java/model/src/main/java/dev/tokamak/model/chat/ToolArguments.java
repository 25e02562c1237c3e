// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.chat;

import dev.tokamak.model.jinja.Template;
import java.time.Clock;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** The arguments of a tool call, which OpenAI's API writes as a text of JSON. */
final class ToolArguments {
  private static final JsonFactory FACTORY = new JsonFactory();
  private static final Template TEXT = Template.parse("arguments", "{{ value|tojson }}");

  private ToolArguments() {}

  /** As an object; a text that is none stays a text. */
  static Object object(Object arguments) {
    if (!(arguments instanceof String text)) {
      return arguments;
    }
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        return text;
      }
      Object object = value(parser);
      return parser.nextToken() == null ? object : text;
    } catch (JacksonException _) {
      return text;
    }
  }

  /** As a text. */
  static Object text(Object arguments) {
    return arguments instanceof Map
        ? TEXT.render(Map.of("value", arguments), Clock.systemUTC()).text()
        : arguments;
  }

  private static Object value(JsonParser parser) {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        var fields = new LinkedHashMap<String, Object>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String name = parser.currentName();
          parser.nextToken();
          fields.put(name, value(parser));
        }
        yield fields;
      }
      case START_ARRAY -> {
        List<Object> items = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          items.add(value(parser));
        }
        yield items;
      }
      case VALUE_STRING -> parser.getString();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT -> parser.getBigIntegerValue();
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      default -> null;
    };
  }
}
