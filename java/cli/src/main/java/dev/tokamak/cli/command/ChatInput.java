// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Optional;
import org.jline.reader.EOFError;
import org.jline.reader.EndOfFileException;
import org.jline.reader.LineReader;
import org.jline.reader.LineReaderBuilder;
import org.jline.reader.ParsedLine;
import org.jline.reader.Parser;
import org.jline.reader.UserInterruptException;
import org.jline.reader.impl.DefaultParser;
import org.jline.reader.impl.completer.StringsCompleter;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;

/**
 * Where a chat's messages come from. A message is a line; one that ends with a backslash goes on in
 * the next, and one that begins with {@code """} goes on until it ends so.
 */
interface ChatInput extends AutoCloseable {
  /** The next message, or empty at the end. */
  Optional<String> next();

  /** Calls this on Ctrl-C while nothing is read, where it does not end the process. */
  void onInterrupt(Runnable stop);

  @Override
  void close();

  /** A terminal's, with history and editing; otherwise plain lines of standard input. */
  static ChatInput of(Console console, List<String> commands) {
    return console.interactive() ? Keyboard.open(commands) : new Lines(console);
  }

  /** Whether what was written so far goes on in the next line. */
  static boolean goesOn(String text) {
    if (text.startsWith("\"\"\"")) {
      return text.length() < 6 || !text.stripTrailing().endsWith("\"\"\"");
    }
    return text.endsWith("\\");
  }

  /** A message without what kept its lines together. */
  static String message(String text) {
    String whole = text.stripTrailing();
    if (whole.startsWith("\"\"\"") && whole.length() >= 6 && whole.endsWith("\"\"\"")) {
      return whole.substring(3, whole.length() - 3).strip();
    }
    return text.replace("\\\n", "\n").replaceFirst("\\\\$", "").strip();
  }

  /** Lines of standard input, in UTF-8. */
  final class Lines implements ChatInput {
    private final JsonLines lines;

    Lines(Console console) {
      lines = new JsonLines("standard input", console.in());
    }

    @Override
    public Optional<String> next() {
      var text = new StringBuilder();
      Optional<byte[]> line = lines.next();
      if (line.isEmpty()) {
        return Optional.empty();
      }
      while (line.isPresent()) {
        text.append(TextSource.utf8(lines.place(), line.get()).replaceFirst("\r$", ""));
        if (!goesOn(text.toString())) {
          break;
        }
        text.append('\n');
        line = lines.next();
      }
      return Optional.of(message(text.toString()));
    }

    @Override
    public void onInterrupt(Runnable stop) {
      // Ctrl-C ends the process, as anywhere else
    }

    @Override
    public void close() {
      // standard input is not ours
    }
  }

  /** A terminal. */
  final class Keyboard implements ChatInput {
    private final Terminal terminal;
    private final LineReader reader;

    private Keyboard(Terminal terminal, List<String> commands) {
      this.terminal = terminal;
      reader =
          LineReaderBuilder.builder()
              .terminal(terminal)
              .parser(new Whole())
              .completer(new StringsCompleter(commands))
              .option(LineReader.Option.DISABLE_EVENT_EXPANSION, true)
              .variable(LineReader.SECONDARY_PROMPT_PATTERN, ". ")
              .build();
    }

    static Keyboard open(List<String> commands) {
      try {
        return new Keyboard(TerminalBuilder.builder().system(true).dumb(true).build(), commands);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    @Override
    public Optional<String> next() {
      while (true) {
        try {
          return Optional.of(message(reader.readLine("> ")));
        } catch (UserInterruptException _) {
          if (Thread.currentThread().isInterrupted()) {
            return Optional.empty();
          }
          // Ctrl-C: the line is dropped, and another one read
        } catch (EndOfFileException _) {
          return Optional.empty();
        }
      }
    }

    @Override
    public void onInterrupt(Runnable stop) {
      terminal.handle(Terminal.Signal.INT, _ -> stop.run());
    }

    @Override
    public void close() {
      try {
        terminal.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** A line is one word, done unless it {@link #goesOn}. */
  final class Whole implements Parser {
    private final Parser words = new DefaultParser().escapeChars(null).quoteChars(new char[0]);

    @Override
    public ParsedLine parse(String line, int cursor, ParseContext context) {
      if (context == ParseContext.ACCEPT_LINE && goesOn(line)) {
        throw new EOFError(-1, cursor, "the message goes on");
      }
      return words.parse(line, cursor, context);
    }
  }
}
