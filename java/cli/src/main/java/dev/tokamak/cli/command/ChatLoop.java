// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.cli.StandardOutput;
import dev.tokamak.cli.Visible;
import dev.tokamak.generate.Dialogue;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.FinishReason;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.chat.Message;
import dev.tokamak.train.Spelling;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/** Reads messages and writes answers until the end. */
final class ChatLoop {
  /**
   * What begins with a slash.
   *
   * @param argument how help calls what follows, empty for nothing
   */
  private record Command(String name, String argument, String help, Action action) {}

  private interface Action {
    void run(ChatLoop chat, String argument);
  }

  private static final List<Command> COMMANDS =
      List.of(
          new Command("/help", "", "tells what there is", (chat, _) -> chat.help()),
          new Command(
              "/system",
              "TEXT",
              "sets what the system message says; alone, shows it; /system none takes it away",
              ChatLoop::system),
          new Command("/undo", "", "takes back your last message", (chat, _) -> chat.undo()),
          new Command(
              "/retry", "", "asks your last message again, with another seed",
              (chat, _) -> chat.retry()),
          new Command(
              "/reset", "", "forgets all but the system message", (chat, _) -> chat.reset()),
          new Command("/history", "", "shows what was said", (chat, _) -> chat.history()),
          new Command("/save", "FILE", "writes what was said, as JSON", ChatLoop::save),
          new Command("/load", "FILE", "goes on with what a file says", ChatLoop::load),
          new Command(
              "/set",
              "OPTION N",
              "sets how answers are sampled, such as temp 0.5; alone, shows it",
              ChatLoop::set),
          new Command("/stats", "", "tells speed and room", (chat, _) -> chat.stats()),
          new Command("/exit", "", "ends; so does Ctrl-D", (chat, _) -> chat.ended = true));

  private final Console console;
  private final Dialogue dialogue;
  private final ChatInput input;
  private final Answers answers;
  private final OutputOptions output;
  private GenerateOptions options;
  private Optional<Event.Finished> last = Optional.empty();
  private long retries;
  private boolean ended;

  ChatLoop(
      Console console,
      Dialogue dialogue,
      ChatInput input,
      Answers answers,
      OutputOptions output) {
    this.console = console;
    this.dialogue = dialogue;
    this.input = input;
    this.answers = answers;
    this.output = output;
  }

  static List<String> commands() {
    return COMMANDS.stream().map(Command::name).toList();
  }

  /**
   * Chats until the end of the input. Where somebody sits at a terminal, what fails is told, and
   * the chat goes on.
   */
  void run(GenerateOptions first) {
    options = first;
    input.onInterrupt(dialogue::cancel);
    if (console.interactive() && !output.quiet) {
      note("a line is a message; Ctrl-C stops an answer, Ctrl-D ends; /help tells more");
    }
    while (!ended && !Thread.currentThread().isInterrupted()) {
      Optional<String> message = input.next();
      if (message.isEmpty()) {
        return;
      }
      try {
        take(message.get());
      } catch (RuntimeException e) {
        if (!console.interactive() || isOutputGone(e)) {
          throw e;
        }
        note(Failure.line(e));
      }
    }
  }

  private static boolean isOutputGone(Throwable thrown) {
    return thrown.getCause() instanceof StandardOutput.ClosedException;
  }

  private void take(String message) {
    if (message.startsWith("/")) {
      String[] parts = message.split("\\s+", 2);
      command(parts[0]).action.run(this, parts.length == 2 ? parts[1] : "");
    } else if (!message.isEmpty()) {
      retries = 0;
      say(message);
    }
  }

  private static Command command(String name) {
    return COMMANDS.stream()
        .filter(command -> command.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new Failure(
                    "unknown command " + Visible.quoted(name)
                        + Spelling.nearest(name, commands())
                            .map(near -> "; did you mean " + near + "?")
                            .orElse("; /help tells what there is")));
  }

  private void say(String text) {
    SamplerOptions sampler = options.sampler();
    GenerateOptions now =
        options.withSampler(sampler.withSeed(sampler.seed() + retries));
    if (output.json) {
      Event.Finished answer = dialogue.say(text, now, _ -> {});
      last = Optional.of(answer);
      Json.line(console.out(), json -> answers.write(json, answer, now));
    } else {
      Event.Finished answer = dialogue.say(text, now, this::show);
      last = Optional.of(answer);
      console.out().print(answer.text().endsWith("\n") ? "" : "\n");
      console.out().show();
    }
    tellEnd(last.get());
  }

  private void show(Event.Token token) {
    console.out().print(token.text());
    console.out().show();
  }

  private void tellEnd(Event.Finished answer) {
    if (answer.reason() == FinishReason.CANCELLED) {
      note(answer.text().isEmpty() ? "stopped; your message is taken back" : "stopped");
    } else if (answer.reason() == FinishReason.LENGTH) {
      boolean full = dialogue.length() >= dialogue.capacity().context();
      note(
          full
              ? "the context of " + dialogue.capacity().context()
                  + " tokens is full: the answer ends here; /undo or /reset makes room, or --ctx"
              : "the answer ends after " + answer.tokens().size() + " tokens, as -n says");
    }
  }

  /** On standard error, so that answers alone are on standard output. */
  private void note(String text) {
    console.err().println("[" + Visible.line(text) + "]");
  }

  private void help() {
    for (Command command : COMMANDS) {
      console.err().printf(
          Locale.ROOT, "  %-17s %s%n", (command.name + " " + command.argument).strip(),
          command.help);
    }
    console.err().println(
        "A line that ends with \\ goes on; so does one that begins with \"\"\", until it ends so.");
  }

  private void system(String text) {
    if (text.isEmpty()) {
      note(dialogue.system().map(said -> "system: " + said).orElse("no system message"));
    } else {
      dialogue.system(text.equals("none") ? Optional.empty() : Optional.of(text));
    }
  }

  private void undo() {
    if (dialogue.undo().isEmpty()) {
      throw new Failure("nothing to take back");
    }
  }

  private void retry() {
    String message =
        dialogue.undo().orElseThrow(() -> new Failure("nothing was said yet"));
    retries++;
    say(message);
  }

  private void reset() {
    dialogue.reset();
  }

  private void history() {
    for (Message message : dialogue.messages()) {
      String said = message.content().orElse("(parts)");
      console.out().println(
          message.role() + ": " + (console.interactive() ? Visible.plain(said) : said));
    }
    console.out().show();
  }

  private void save(String file) {
    var bytes = new ByteArrayOutputStream();
    Json.line(
        bytes,
        json -> {
          json.writeName("messages");
          Json.write(json, dialogue.messages().stream().map(Message::fields).toList());
        });
    try {
      Files.write(path("/save", file), bytes.toByteArray(), StandardOpenOption.CREATE_NEW);
    } catch (FileAlreadyExistsException e) {
      throw new Failure(file + ": is there already", e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    note(dialogue.messages().size() + " messages are in " + file);
  }

  private void load(String file) {
    Object read = JsonFile.read(console, path("/load", file));
    Object messages =
        read instanceof Map<?, ?> object ? object.get("messages") : read;
    dialogue.messages(Message.list(messages));
    note(dialogue.messages().size() + " messages are read");
  }

  private static Path path(String command, String file) {
    if (file.isBlank() || file.equals("-")) {
      throw new Failure(command + ": expected a file's name behind it");
    }
    return Path.of(file);
  }

  private void set(String argument) {
    if (argument.isEmpty()) {
      note(options.sampler().settings());
      return;
    }
    String[] words = argument.split("\\s+");
    if (words.length != 2) {
      throw new Failure("/set: expected an option and a number, such as /set temp 0.5");
    }
    var flags = new ArrayList<String>();
    for (SamplerOptions.Option option : SamplerOptions.Option.values()) {
      flags.add(option.flag());
      if (option.flag().equals(words[0])) {
        options = options.withSampler(options.sampler().with(option, number(words[1])));
        return;
      }
    }
    throw new Failure(
        "/set: unknown option " + Visible.quoted(words[0]) + "; there are "
            + String.join(", ", flags));
  }

  private static BigDecimal number(String text) {
    try {
      return new BigDecimal(text);
    } catch (NumberFormatException e) {
      throw new Failure("/set: expected a number, found " + Visible.quoted(text), e);
    }
  }

  private void stats() {
    Consumer<String> line = text -> console.err().println("  " + text);
    line.accept(
        "context: " + dialogue.length() + " of " + dialogue.capacity().context() + " tokens, "
            + Quantity.bytes(dialogue.bytes()));
    last.ifPresent(
        answer -> {
          Event.Timings timings = answer.timings();
          line.accept(
              "last answer: " + answer.prompt().size() + " tokens read, "
                  + Quantity.significant(timings.prefillTokensPerSecond()) + " tok/s; "
                  + answer.tokens().size() + " written, "
                  + Quantity.significant(timings.decodeTokensPerSecond()) + " tok/s; ended by "
                  + answer.reason().label());
        });
    line.accept("sampling: " + options.sampler().settings());
  }
}
