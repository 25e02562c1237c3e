// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/**
 * One line of a JSON lines file. Values are maps, lists, strings, booleans, Long, Double, and null
 * inside maps and lists.
 *
 * @param place file and line, for messages
 */
record JsonObject(String place, Map<String, Object> fields) {
  private static final int DEEPEST = 64;
  private static final int MOST_KEYS = 8;
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /**
   * @throws FormatException if the line is not one JSON object
   */
  static JsonObject parse(String place, String line) {
    return new JsonObject(
        place,
        only(place, line, JsonToken.START_OBJECT, "object", parser -> object(place, parser, 0)));
  }

  /** A text's one value, which is an object or a list. */
  private static <T> T only(
      String place, String text, JsonToken start, String kind, Function<JsonParser, T> reader) {
    try (JsonParser parser = FACTORY.createParser(ObjectReadContext.empty(), text)) {
      if (parser.nextToken() != start) {
        throw new FormatException(place + ": expected a JSON " + kind + ", found " + first(text));
      }
      T value = reader.apply(parser);
      if (parser.nextToken() != null) {
        throw new FormatException(place + ": more than one JSON value");
      }
      return value;
    } catch (JacksonException e) {
      throw new FormatException(
          place + ": not JSON: " + problem(e) + " (column "
              + e.getLocation().getColumnNr() + ")",
          e);
    }
  }

  /** What Jackson says, without the source that it would quote. */
  private static String problem(JacksonException e) {
    return e.getOriginalMessage().replaceAll("(?s)(: expected close marker|\\s*\\n).*", "");
  }

  private static String first(String line) {
    String start = line.strip();
    return start.length() <= 20 ? start : start.substring(0, 20) + "…";
  }

  private static Map<String, Object> object(String place, JsonParser parser, int depth) {
    var fields = new LinkedHashMap<String, Object>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      parser.nextToken();
      fields.put(name, value(place, parser, depth + 1));
    }
    return fields;
  }

  private static Object value(String place, JsonParser parser, int depth) {
    if (depth > DEEPEST) {
      throw new FormatException(place + ": nested deeper than " + DEEPEST);
    }
    return switch (parser.currentToken()) {
      case START_OBJECT -> object(place, parser, depth);
      case START_ARRAY -> list(place, parser, depth);
      case VALUE_STRING -> text(place, parser.getString());
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NUMBER_INT ->
          switch (parser.getNumberType()) {
            case INT, LONG -> parser.getLongValue();
            default -> parser.getDoubleValue();
          };
      case VALUE_NUMBER_FLOAT -> parser.getDoubleValue();
      case VALUE_NULL -> null;
      default -> throw new FormatException(place + ": unexpected " + parser.currentToken());
    };
  }

  private static List<Object> list(String place, JsonParser parser, int depth) {
    var list = new ArrayList<Object>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      list.add(value(place, parser, depth + 1));
    }
    return list;
  }

  /** JSON can spell half a character, which no UTF-8 is. */
  private static String text(String place, String text) {
    text.codePoints()
        .filter(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE)
        .findFirst()
        .ifPresent(
            c -> {
              throw new FormatException(place + String.format(": half a character (\\u%04x)", c));
            });
    return text;
  }

  boolean has(String name) {
    return fields.get(name) != null;
  }

  /**
   * A text.
   *
   * @throws FormatException if it is missing or no text
   */
  String text(String name) {
    return optionalText(name)
        .orElseThrow(() -> wrong("no \"" + name + "\": expected a text; found " + names()));
  }

  /** A text, or empty where there is none or null. */
  Optional<String> optionalText(String name) {
    Object value = fields.get(name);
    if (value != null && !(value instanceof String)) {
      throw wrong("\"" + name + "\" is no text: expected {\"" + name + "\": \"…\"}");
    }
    return Optional.ofNullable((String) value);
  }

  /**
   * A list.
   *
   * @throws FormatException if it is something else
   */
  List<?> list(String name) {
    if (fields.get(name) instanceof List<?> list) {
      return list;
    }
    throw wrong("\"" + name + "\" is no list");
  }

  /**
   * A list, or a text of JSON that is one, as many data sets have lists of objects.
   *
   * @throws FormatException if it is something else
   */
  List<?> listOrJson(String name) {
    String at = place + ": \"" + name + "\"";
    return fields.get(name) instanceof String text
        ? only(at, text, JsonToken.START_ARRAY, "list", parser -> list(at, parser, 0))
        : list(name);
  }

  FormatException wrong(String problem) {
    return new FormatException(place + ": " + problem);
  }

  /** The names that stand there, for messages. */
  String names() {
    if (fields.isEmpty()) {
      return "nothing";
    }
    List<String> some = fields.keySet().stream().limit(MOST_KEYS).toList();
    return String.join(", ", some) + (fields.size() > MOST_KEYS ? ", …" : "");
  }
}
