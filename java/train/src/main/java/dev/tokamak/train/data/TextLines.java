// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.nio.CharBuffer;
import java.nio.file.Path;
import java.util.Optional;

/** The lines of a JSON lines file, those without text left out. */
public final class TextLines implements AutoCloseable {
  /** Characters; a line is held in memory whole. */
  static final int LONGEST = 1 << 24;

  private final Path file;
  private final Utf8Source source;
  private CharBuffer piece = CharBuffer.allocate(0);
  private long number;

  /**
   * Opens a file, plain or {@code .gz}.
   *
   * @throws FormatException if it is missing, empty, or no gzip though named so
   */
  public TextLines(Path file) {
    this.file = file;
    source = new Utf8Source(file);
  }

  /**
   * The next line that has more than blanks, without its line feed; empty at the end.
   *
   * @throws FormatException if a line is longer than 2^24 characters, or what is not UTF-8
   */
  public Optional<String> next() {
    while (true) {
      var line = new StringBuilder();
      boolean ended = read(line);
      if (!line.toString().isBlank()) {
        return Optional.of(line.toString());
      }
      if (!ended) {
        return Optional.empty();
      }
    }
  }

  /** Adds the rest of a line; whether there was a line feed. */
  private boolean read(StringBuilder line) {
    number++;
    while (true) {
      if (!piece.hasRemaining()) {
        piece = source.next();
        if (!piece.hasRemaining()) {
          return false;
        }
      }
      int at = piece.position();
      while (at < piece.limit() && piece.get(at) != '\n') {
        at++;
      }
      line.append(piece, 0, at - piece.position());
      if (line.length() > LONGEST) {
        throw new FormatException(
            place() + ": longer than " + LONGEST
                + " characters: JSON lines need a line feed behind each object");
      }
      if (at < piece.limit()) {
        piece.position(at + 1);
        return true;
      }
      piece.position(at);
    }
  }

  /** Where the line read last stands. */
  public String place() {
    return file + ": line " + number;
  }

  @Override
  public void close() {
    source.close();
  }
}
