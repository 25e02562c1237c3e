// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.nio.CharBuffer;
import java.nio.file.Path;
import java.util.Optional;

/**
 * The documents of a file: a text file's are parted by {@code <|endoftext|>}; a JSON lines file's
 * ({@code .jsonl}, {@code .ndjson}) are its {@code text} fields. Each may be {@code .gz}. White space
 * around a document is left out, and a document without anything else, too.
 */
public final class Documents {
  /** What parts the documents of a text file. */
  public static final String SEPARATOR = "<|endoftext|>";

  /** Characters; a longer document of a text file comes in pieces, cut at white space if it can. */
  static final int LONGEST_PIECE = 1 << 20;

  /** Takes documents, each in one piece or several. */
  @FunctionalInterface
  public interface Sink {
    /**
     * @param last whether the document ends with this piece
     */
    void piece(String text, boolean last);
  }

  private Documents() {}

  /** Whether a file's name says that it holds JSON lines. */
  static boolean isJsonLines(Path file) {
    String name = file.toString();
    String plain = name.endsWith(".gz") ? name.substring(0, name.length() - 3) : name;
    return plain.endsWith(".jsonl") || plain.endsWith(".ndjson");
  }

  /**
   * Reads a file through, in bounded memory.
   *
   * @throws FormatException if the file is missing, empty, without any text, not UTF-8 or, of JSON
   *     lines, a line is not an object with a {@code text}
   */
  public static void read(Path file, Sink sink) {
    var counted = new Counted(sink);
    if (isJsonLines(file)) {
      readLines(file, counted);
    } else {
      readText(file, counted);
    }
    if (counted.documents == 0) {
      throw new FormatException(file + ": no text: only blanks and separators");
    }
  }

  private static void readLines(Path file, Counted sink) {
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonObject object = JsonObject.parse(lines.place(), line.get());
        if (!object.has("text")) {
          throw object.wrong(
              "no \"text\": expected {\"text\": \"…\"}, found an object of " + object.names());
        }
        String text = object.text("text").strip();
        sink.document(text);
      }
    }
  }

  private static void readText(Path file, Counted sink) {
    var text = new StringBuilder();
    boolean begun = false; // whether pieces of this document were given away
    int searched = 0;
    try (var source = new Utf8Source(file)) {
      for (CharBuffer piece = source.next(); piece.hasRemaining(); piece = source.next()) {
        text.append(piece);
        int from = 0;
        int at = text.indexOf(SEPARATOR, searched);
        for (; at >= 0; at = text.indexOf(SEPARATOR, from)) {
          end(text.substring(from, at), begun, sink);
          begun = false;
          from = at + SEPARATOR.length();
        }
        text.delete(0, from);
        while (text.length() > LONGEST_PIECE) {
          Optional<String> first = first(text, begun);
          first.ifPresent(part -> sink.piece(part, false));
          begun |= first.isPresent();
        }
        searched = Math.max(0, text.length() - SEPARATOR.length() + 1);
      }
    }
    end(text.toString(), begun, sink);
  }

  private static void end(String rest, boolean begun, Counted sink) {
    if (begun) {
      sink.piece(rest.stripTrailing(), true);
    } else {
      sink.document(rest.strip());
    }
  }

  /** Takes the beginning off a text that is too long, unless it is blank. */
  private static Optional<String> first(StringBuilder text, boolean begun) {
    // The last characters may be part of a separator.
    int most = LONGEST_PIECE - SEPARATOR.length();
    int cut = most;
    while (cut > most / 2 && !Character.isWhitespace(text.charAt(cut))) {
      cut--;
    }
    if (cut == most / 2) {
      cut = Character.isLowSurrogate(text.charAt(most)) ? most - 1 : most;
    }
    String part = text.substring(0, cut);
    text.delete(0, cut);
    String kept = begun ? part : part.stripLeading();
    return kept.isEmpty() ? Optional.empty() : Optional.of(kept);
  }

  private static final class Counted {
    private final Sink sink;
    private long documents;

    Counted(Sink sink) {
      this.sink = sink;
    }

    void piece(String text, boolean last) {
      documents += last ? 1 : 0;
      sink.piece(text, last);
    }

    void document(String text) {
      if (!text.isEmpty()) {
        piece(text, true);
      }
    }
  }
}
