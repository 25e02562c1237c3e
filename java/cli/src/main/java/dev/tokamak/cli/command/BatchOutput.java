// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Optional;
import java.util.function.Consumer;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonToken;

/**
 * The answers of a batch in the order of its lines: each whole line is written as soon as those
 * before it are. What an earlier run has left is kept, but for a last line that is torn.
 */
final class BatchOutput implements AutoCloseable {
  private final Path path;
  private final OutputStream file;
  private final Deque<Place> places = new ArrayDeque<>();
  private final long found;
  private final int lastFound; // its line number in the input
  private long written;
  private int working;
  private long errors;
  private int firstError;

  private BatchOutput(Path path, OutputStream file, Found found) {
    this.path = path;
    this.file = file;
    this.found = found.lines;
    this.lastFound = found.last;
    this.errors = found.errors;
    this.firstError = found.firstError;
  }

  /** What an earlier run has left. */
  private static final class Found {
    private long lines;
    private long bytes;
    private int last;
    private long errors;
    private int firstError;
  }

  /**
   * Opens a file to add to.
   *
   * @throws Failure if it holds something other than answers, or cannot hold them
   */
  static BatchOutput open(Path path) throws IOException {
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      // To look for earlier answers in a pipe or a device might never end.
      throw new Failure(path + ": not a regular file, expected a file to keep answers in");
    }
    Found found = Files.exists(path) ? read(path) : new Found();
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      channel.truncate(found.bytes);
    }
    // Not through a channel, whose writes an interrupt would tear.
    return new BatchOutput(path, new FileOutputStream(path.toFile(), true), found);
  }

  private static Found read(Path path) throws IOException {
    var found = new Found();
    try (InputStream in = new BufferedInputStream(Files.newInputStream(path))) {
      var lines = new JsonLines(path.toString(), in);
      long size = Files.size(path);
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        long end = found.bytes + line.get().length + 1;
        if (end > size) {
          break; // no line feed: torn
        }
        found.bytes = end;
        found.lines++;
        boolean error = lines.parse(line.get(), parser -> {
          boolean isError = false;
          if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw new IllegalArgumentException("expected an answer of a batch");
          }
          int number = 0;
          while (parser.nextToken() != JsonToken.END_OBJECT) {
            String key = parser.currentName();
            JsonToken value = parser.nextToken();
            isError |= key.equals("error");
            if (key.equals("line") && value == JsonToken.VALUE_NUMBER_INT) {
              number = parser.getIntValue();
            }
            parser.skipChildren();
          }
          if (number <= found.last) {
            throw new IllegalArgumentException(
                "expected an answer of a batch with a line above " + found.last);
          }
          found.last = number;
          return isError;
        });
        if (error && found.errors++ == 0) {
          found.firstError = found.last;
        }
      }
    }
    return found;
  }

  /** Reads past the lines of the input that have been answered. */
  void skip(JsonLines lines) {
    while (lines.number() < lastFound) {
      if (lines.next().isEmpty()) {
        throw new Failure(
            path + ": answers line " + lastFound + ", but the input has only " + lines.number()
                + "; it is of another batch");
      }
    }
  }

  /** The place of the next answer. */
  final class Place {
    private final int line;
    private Optional<byte[]> answer = Optional.empty();

    private Place(int line) {
      this.line = line;
    }

    /** The answer's fields. */
    void done(Consumer<JsonGenerator> fields) {
      var bytes = new ByteArrayOutputStream();
      Json.line(
          bytes,
          json -> {
            json.writeNumberProperty("line", line);
            fields.accept(json);
          });
      answer = Optional.of(bytes.toByteArray());
      working--;
      write();
    }

    /** There is none. */
    void error(String problem) {
      if (errors++ == 0) {
        firstError = line;
      }
      done(json -> json.writeStringProperty("error", problem));
    }
  }

  /**
   * Begins an answer, after those that were begun before.
   *
   * @param line its number in the input
   */
  Place begin(int line) {
    Place place = new Place(line);
    places.add(place);
    working++;
    return place;
  }

  private void write() {
    try {
      while (!places.isEmpty() && places.getFirst().answer.isPresent()) {
        file.write(places.remove().answer.get());
        written++;
      }
    } catch (IOException e) {
      throw new Failure(path + ": " + e.getMessage(), e);
    }
  }

  /** Answers begun and not done. */
  int working() {
    return working;
  }

  /** Answers begun and not written. */
  int waiting() {
    return places.size();
  }

  /** Answers written by this run. */
  long written() {
    return written;
  }

  /** Answers that were there before. */
  long found() {
    return found;
  }

  /** Answers that are errors, those found included. */
  long errors() {
    return errors;
  }

  /** The line in the input of the first of them that was met. */
  int firstError() {
    return firstError;
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
