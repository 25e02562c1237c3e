// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.model.tokenizer.Tokenizer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Token ids to text. */
@Command(
    name = "detokenize",
    description =
        "Turns token ids into text; reads ids from standard input where none are given.")
public final class Detokenize implements Runnable {
  private static final class Source {
    @Option(
        names = "--tokens",
        paramLabel = "IDS",
        converter = TokenIds.Converter.class,
        description = "Token ids, such as 1,403,407.")
    private TokenIds tokens;

    @Option(
        names = "--jsonl",
        description =
            "Each line of standard input is a JSON array of ids; each line of output an object"
                + " with the text.")
    private boolean lines;
  }

  @Mixin private VocabularyOptions vocabulary;
  @Mixin private OutputOptions output;

  @ArgGroup private Source source = new Source();

  @Option(
      names = "--special",
      description = "Control tokens, such as </s>, stand in the text by their names.")
  private boolean special;

  private final Console console;

  public Detokenize(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    Tokenizer tokenizer = vocabulary.open();
    if (source.lines) {
      JsonLines.answer(
          console,
          parser -> {
            String text = decode(tokenizer, JsonLines.ints(parser));
            return json -> json.writeStringProperty("text", text);
          });
      return;
    }
    TokenIds tokens = source.tokens != null ? source.tokens : read();
    String text = decode(tokenizer, tokens.ids());
    if (output.json) {
      Json.line(console.out(), json -> json.writeStringProperty("text", text));
    } else {
      console.out().println(text);
    }
  }

  private TokenIds read() {
    String ids = TextSource.standardInput(console.in()).strip();
    return TokenIds.parse(ids.replaceAll("\\s*,\\s*|\\s+", ","));
  }

  private String decode(Tokenizer tokenizer, int[] tokens) {
    return special ? tokenizer.decodeWithSpecial(tokens) : tokenizer.decode(tokens);
  }
}
