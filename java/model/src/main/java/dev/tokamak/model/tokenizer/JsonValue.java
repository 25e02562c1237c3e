// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.BiConsumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;

/**
 * A value in a JSON file, with its place for messages. What is asked of a value that is of another
 * type, or is not there, is a {@link FormatException}.
 *
 * @param value a map, list, string, number or boolean, or null for JSON's null and what is missing
 */
record JsonValue(String source, String place, Object value) {
  private static final JsonFactory FACTORY =
      JsonFactory.builder().enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).build();

  /** The value of a whole file. The parser bounds its depth and the lengths of its strings. */
  static JsonValue parse(byte[] file, String source) {
    try (JsonParser json = FACTORY.createParser(ObjectReadContext.empty(), file)) {
      json.nextToken();
      Object value = value(json);
      if (json.nextToken() != null) {
        throw FormatException.at(source, "line " + json.currentLocation().getLineNr(), "more JSON");
      }
      return new JsonValue(source, "", value);
    } catch (JacksonException e) {
      String problem = "not valid JSON: " + e.getOriginalMessage();
      throw e.getLocation() == null
          ? new FormatException(source + ": " + problem)
          : FormatException.at(source, "line " + e.getLocation().getLineNr(), problem);
    }
  }

  private static Object value(JsonParser json) {
    return switch (json.currentToken()) {
      case START_OBJECT -> {
        var map = new LinkedHashMap<String, Object>();
        while (json.nextToken() == JsonToken.PROPERTY_NAME) {
          String name = json.currentName();
          json.nextToken();
          map.put(name, value(json));
        }
        yield map;
      }
      case START_ARRAY -> {
        var list = new ArrayList<Object>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          list.add(value(json));
        }
        yield list;
      }
      case VALUE_STRING -> json.getString();
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getDoubleValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      default -> null;
    };
  }

  boolean isNull() {
    return value == null;
  }

  /** The member of a name; null's members are null. */
  JsonValue get(String name) {
    return new JsonValue(
        source, place.isEmpty() ? name : place + "." + name, isNull() ? null : map().get(name));
  }

  String string() {
    return expect(value instanceof String text ? text : null, "string");
  }

  /** A string, or nothing for null and what is missing. */
  Optional<String> optionalString() {
    return isNull() ? Optional.empty() : Optional.of(string());
  }

  boolean bool(boolean otherwise) {
    return isNull() ? otherwise : expect(value instanceof Boolean b ? b : null, "true or false");
  }

  double number() {
    return expect(value instanceof Double d ? d : null, "a number");
  }

  /** A whole number from 0 to less than a limit. */
  int index(int limit) {
    double number = number();
    if (number != (int) number || number < 0 || number >= limit) {
      throw error("expected a whole number, 0 to " + (limit - 1) + ", found " + number);
    }
    return (int) number;
  }

  /** The elements of an array; none of null. */
  List<JsonValue> list() {
    if (isNull()) {
      return List.of();
    }
    List<?> list = expect(value instanceof List<?> l ? l : null, "an array");
    var out = new ArrayList<JsonValue>(list.size());
    for (Object element : list) {
      out.add(new JsonValue(source, place + "[" + out.size() + "]", element));
    }
    return out;
  }

  /** The members of an object, in order. */
  void forEach(BiConsumer<String, JsonValue> action) {
    map()
        .forEach(
            (name, member) ->
                action.accept(
                    String.valueOf(name), new JsonValue(source, place + "." + name, member)));
  }

  private Map<?, ?> map() {
    return expect(value instanceof Map<?, ?> m ? m : null, "an object");
  }

  private <T> T expect(T found, String what) {
    if (found == null) {
      throw error(
          isNull() ? "missing, expected " + what : "expected " + what + ", found " + label());
    }
    return found;
  }

  private String label() {
    return switch (value) {
      case String text -> "'" + text + "'";
      case Map<?, ?> _ -> "an object";
      case List<?> _ -> "an array";
      case Object other -> other.toString();
    };
  }

  FormatException error(String problem) {
    return FormatException.at(source, place.isEmpty() ? "the file" : place, problem);
  }
}
