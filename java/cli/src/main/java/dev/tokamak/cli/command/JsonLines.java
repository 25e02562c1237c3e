// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/** JSON values a line each, read strictly: what is wrong with one names its line. */
final class JsonLines {
  private final String source;
  private final InputStream in;
  private int number;

  /**
   * @param source for messages
   */
  JsonLines(String source, InputStream in) {
    this.source = source;
    this.in = in instanceof BufferedInputStream ? in : new BufferedInputStream(in);
  }

  /** The next line without its line feed, or empty at the end. */
  Optional<byte[]> next() {
    var line = new ByteArrayOutputStream();
    try {
      int b = in.read();
      if (b < 0) {
        return Optional.empty();
      }
      number++;
      for (; b >= 0 && b != '\n'; b = in.read()) {
        line.write(b);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Optional.of(line.toByteArray());
  }

  /** The number of the line read last, from 1. */
  int number() {
    return number;
  }

  /** Where the line read last stands. */
  String place() {
    return source + ": line " + number;
  }

  /** Reads exactly one value out of the line read last. */
  <T> T parse(byte[] line, Function<JsonParser, T> value) {
    return parse(place(), TextSource.utf8(place(), line), value);
  }

  /** Reads exactly one value out of a line that stands at a place. */
  static <T> T parse(String place, String line, Function<JsonParser, T> value) {
    try (JsonParser parser = Json.parser(line)) {
      parser.nextToken();
      T parsed = value.apply(parser);
      if (parser.nextToken() != null) {
        throw new Failure(place + ": more than one JSON value");
      }
      return parsed;
    } catch (JacksonException e) {
      throw new Failure(place + ": " + Json.problem(e), e);
    } catch (IllegalArgumentException e) {
      throw new Failure(place + ": " + e.getMessage(), e);
    }
  }

  /** Answers each line of standard input, as it comes, with one line of output. */
  static void answer(Console console, Function<JsonParser, Consumer<JsonGenerator>> answer) {
    var lines = new JsonLines("standard input", console.in());
    for (var line = lines.next(); line.isPresent(); line = lines.next()) {
      Json.line(console.out(), lines.parse(line.get(), answer));
    }
  }

  static String string(JsonParser parser) {
    if (parser.currentToken() != JsonToken.VALUE_STRING) {
      throw new IllegalArgumentException("expected a JSON string");
    }
    return parser.getString();
  }

  static int[] ints(JsonParser parser) {
    if (parser.currentToken() != JsonToken.START_ARRAY) {
      throw new IllegalArgumentException("expected an array of token ids");
    }
    var values = new ArrayList<Integer>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw new IllegalArgumentException("expected an array of token ids");
      }
      values.add(parser.getIntValue());
    }
    return values.stream().mapToInt(Integer::intValue).toArray();
  }
}
