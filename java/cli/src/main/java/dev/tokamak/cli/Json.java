// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.io.OutputStream;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.json.JsonFactory;

/** JSON as the commands write and read it: streamed, an object a line. */
public final class Json {
  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .disable(StreamWriteFeature.AUTO_CLOSE_TARGET)
          .disable(StreamWriteFeature.AUTO_CLOSE_CONTENT)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private Json() {}

  /** Writes one object and a line feed, and flushes. */
  public static void line(OutputStream to, Consumer<JsonGenerator> fields) {
    try (JsonGenerator json = FACTORY.createGenerator(ObjectWriteContext.empty(), to)) {
      json.writeStartObject();
      fields.accept(json);
      json.writeEndObject();
      json.writeRaw('\n');
    }
  }

  /** Writes an array of numbers. */
  public static void ints(JsonGenerator json, String name, int[] values) {
    json.writeName(name);
    json.writeArray(values, 0, values.length);
  }

  /** Writes an array of numbers, each as short as it can be read back. */
  public static void floats(JsonGenerator json, float[] values) {
    json.writeStartArray();
    for (float value : values) {
      json.writeNumber(value);
    }
    json.writeEndArray();
  }

  /** A number, or null where it is none that JSON has. */
  public static void number(JsonGenerator json, String name, double value) {
    if (Double.isFinite(value)) {
      json.writeNumberProperty(name, value);
    } else {
      json.writeNullProperty(name);
    }
  }

  /** Reads one value; a name that stands twice in an object is an error. */
  public static JsonParser parser(String text) {
    return FACTORY.createParser(ObjectReadContext.empty(), text);
  }

  /**
   * The value that a parser stands at: a Map in the order of the text, a List, a String, a
   * BigDecimal, a Boolean, or null.
   */
  public static Object value(JsonParser parser) {
    return switch (parser.currentToken()) {
      case START_OBJECT -> {
        var object = new LinkedHashMap<String, Object>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String key = parser.currentName();
          parser.nextToken();
          object.put(key, value(parser));
        }
        yield object;
      }
      case START_ARRAY -> {
        var array = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          array.add(value(parser));
        }
        yield array;
      }
      case VALUE_STRING -> parser.getString();
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> parser.getDecimalValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case VALUE_NULL -> null;
      case null, default ->
          throw new IllegalArgumentException("expected a JSON value, found the end");
    };
  }

  /** Writes a value as {@link #value} gives it. */
  public static void write(JsonGenerator json, Object value) {
    switch (value) {
      case Map<?, ?> map -> {
        json.writeStartObject();
        map.forEach(
            (name, field) -> {
              json.writeName(String.valueOf(name));
              write(json, field);
            });
        json.writeEndObject();
      }
      case List<?> list -> {
        json.writeStartArray();
        list.forEach(item -> write(json, item));
        json.writeEndArray();
      }
      case String text -> json.writeString(text);
      case Boolean b -> json.writeBoolean(b);
      case BigDecimal n -> json.writeNumber(n);
      case Number n -> json.writeNumber(n.doubleValue());
      case null, default -> json.writeNull();
    }
  }

  /** What is wrong with a text, without the source that Jackson quotes. */
  public static String problem(JacksonException e) {
    return e.getOriginalMessage() + " (column " + e.getLocation().getColumnNr() + ")";
  }
}
