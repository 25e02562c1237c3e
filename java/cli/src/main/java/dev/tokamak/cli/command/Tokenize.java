// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Visible;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.Arrays;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.core.JsonGenerator;

/** Text to token ids. */
@Command(
    name = "tokenize",
    description = "Turns text into token ids; reads standard input where no text is given.")
public final class Tokenize implements Runnable {
  private static final class Source {
    @Option(
        names = {"-p", "--prompt"},
        paramLabel = "TEXT",
        description = "The text.")
    private String text;

    @Option(
        names = {"-f", "--file"},
        paramLabel = "FILE",
        description = "A file with the text, in UTF-8.")
    private Path file;

    @Option(
        names = "--jsonl",
        description =
            "Each line of standard input is a JSON string; each line of output an object with its"
                + " tokens and pieces.")
    private boolean lines;
  }

  @Mixin private VocabularyOptions vocabulary;
  @Mixin private OutputOptions output;

  @ArgGroup private Source source = new Source();

  @Option(names = "--no-bos", description = "Adds nothing in front or behind.")
  private boolean noBos;

  @Option(
      names = "--special",
      description = "Control tokens that stand in the text, such as </s>, become those tokens.")
  private boolean special;

  private final Console console;

  public Tokenize(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    Tokenizer tokenizer = vocabulary.open();
    if (source.lines) {
      JsonLines.answer(
          console,
          parser -> {
            int[] tokens = encode(tokenizer, JsonLines.string(parser));
            return json -> write(json, tokenizer, tokens);
          });
      return;
    }
    int[] tokens = encode(tokenizer, text());
    if (output.json) {
      Json.line(console.out(), json -> write(json, tokenizer, tokens));
      return;
    }
    for (int token : tokens) {
      console.out().printf("%7d  %s%n", token, Visible.quoted(tokenizer.piece(token)));
    }
  }

  private String text() {
    if (source.text != null) {
      return source.text;
    }
    return source.file != null
        ? TextSource.file(source.file)
        : TextSource.standardInput(console.in());
  }

  private int[] encode(Tokenizer tokenizer, String text) {
    return tokenizer.encode(text, !noBos, special);
  }

  private static void write(JsonGenerator json, Tokenizer tokenizer, int[] tokens) {
    Json.ints(json, "tokens", tokens);
    json.writeName("pieces");
    String[] pieces = Arrays.stream(tokens).mapToObj(tokenizer::piece).toArray(String[]::new);
    json.writeArray(pieces, 0, pieces.length);
  }
}
