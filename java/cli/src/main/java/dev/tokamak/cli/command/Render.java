// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Json;
import dev.tokamak.embedded.EmbeddedModel;
import dev.tokamak.model.chat.ChatTemplate;
import dev.tokamak.model.chat.Message;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.model.jinja.TemplateException;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeParseException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.JsonParser;

/** What a model reads of a conversation. */
@Command(
    name = "render",
    description = "Writes a conversation as a model's chat template does.")
public final class Render implements Runnable {
  private static final class Source {
    @Option(
        names = "--messages",
        paramLabel = "FILE",
        description =
            "Messages in OpenAI's shape, a JSON array, or an object with messages and tools; - is"
                + " standard input.")
    private Path messages;

    @Option(
        names = "--jsonl",
        description =
            "Each line of standard input is a JSON object of the template's variables; each line of"
                + " output has its text or error.")
    private boolean lines;
  }

  @ArgGroup(multiplicity = "1")
  private Source source;

  @Option(
      names = {"-m", "--model"},
      paramLabel = "FILE",
      description = "A GGUF file, with or without weights: its template and its tokens; without"
          + " --template by default " + EmbeddedModel.NAME + ", the model that is in the program.")
  private String model;

  @Option(
      names = "--template",
      paramLabel = "FILE",
      description = "A Jinja template, in place of the model's.")
  private Path template;

  @Option(
      names = "--tools",
      paramLabel = "FILE",
      description = "Tools in OpenAI's shape, a JSON array.")
  private Path tools;

  @Option(
      names = "--no-generation-prompt",
      description = "Ends with the last message, not where the answer begins.")
  private boolean noGenerationPrompt;

  @Option(
      names = "--now",
      paramLabel = "TIME",
      converter = Now.class,
      description = "What strftime_now reads, such as 2026-01-15T12:30:45; by default the clock.")
  private LocalDateTime now;

  @Mixin private OutputOptions output;
  @Spec private CommandSpec command;

  private final Console console;

  public Render(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    if (source.lines && (tools != null || noGenerationPrompt)) {
      throw misused(
          "--tools and --no-generation-prompt go with --messages; with --jsonl each line says");
    }
    if (model == null && template == null) {
      model = EmbeddedModel.NAME;
    }
    Optional<Path> file = Optional.ofNullable(model).map(EmbeddedModel::named);
    Optional<Tokenizer> tokenizer = file.map(Tokenizer::open);
    ChatTemplate chat = template(file, tokenizer);
    if (source.lines) {
      JsonLines.answer(console, line -> answer(chat, line));
    } else {
      one(chat, tokenizer);
    }
  }

  private ChatTemplate template(Optional<Path> model, Optional<Tokenizer> tokenizer) {
    if (template != null) {
      String text = TextSource.file(template);
      String name = template.getFileName().toString();
      return tokenizer
          .map(known -> ChatTemplate.of(name, text, known))
          .orElseGet(() -> ChatTemplate.of(name, text));
    }
    try (GgufFile file = GgufFile.open(model.orElseThrow())) {
      return ChatTemplate.of(file.metadata(), tokenizer.orElseThrow())
          .orElseThrow(
              () -> new Failure(this.model + ": has no chat template: --template FILE gives one"));
    }
  }

  private void one(ChatTemplate chat, Optional<Tokenizer> tokenizer) {
    Object read = JsonFile.read(console, source.messages);
    Object messages = read;
    Object offered = tools == null ? null : JsonFile.read(console, tools);
    if (read instanceof Map<?, ?> request && request.containsKey("messages")) {
      messages = request.get("messages");
      offered = tools == null ? request.get("tools") : offered;
    }
    if (offered != null && !(offered instanceof List)) {
      throw new Failure("tools: expected an array");
    }
    String text =
        chat.render(
            Message.list(messages),
            offered == null ? List.of() : (List<?>) offered,
            !noGenerationPrompt,
            clock());
    if (output.json) {
      Json.line(
          console.out(),
          json -> {
            json.writeStringProperty("text", text);
            tokenizer.ifPresent(
                known -> Json.ints(json, "tokens", ChatTemplate.encode(known, text)));
          });
    } else {
      console.out().print(text); // to the letter: no line feed is added
    }
  }

  private Consumer<JsonGenerator> answer(ChatTemplate chat, JsonParser line) {
    if (!(Json.value(line) instanceof Map<?, ?> object)) {
      throw new IllegalArgumentException("expected an object of the template's variables");
    }
    @SuppressWarnings("unchecked") // JSON's names are texts
    var variables = (Map<String, ?>) object;
    try {
      String text = chat.render(variables, clock());
      return json -> json.writeStringProperty("text", text);
    } catch (TemplateException e) {
      return json -> json.writeStringProperty("error", e.getMessage());
    }
  }

  private Clock clock() {
    ZoneId zone = ZoneId.systemDefault();
    return now == null ? Clock.system(zone) : Clock.fixed(now.atZone(zone).toInstant(), zone);
  }

  private ParameterException misused(String problem) {
    return new ParameterException(command.commandLine(), problem);
  }

  private static final class Now implements ITypeConverter<LocalDateTime> {
    @Override
    public LocalDateTime convert(String value) {
      try {
        return LocalDateTime.parse(value);
      } catch (DateTimeParseException _) {
        throw new TypeConversionException(
            "expected a time such as 2026-01-15T12:30:45, found '" + value + "'");
      }
    }
  }
}
