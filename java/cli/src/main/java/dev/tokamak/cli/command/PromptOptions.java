// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** A prompt: a text, a file, or tokens; one of them. */
final class PromptOptions {
  private static final Path STANDARD_INPUT = Path.of("-");

  @Option(names = {"-p", "--prompt"}, paramLabel = "TEXT", description = "The prompt.")
  private String text;

  @Option(
      names = {"-f", "--file"},
      paramLabel = "FILE",
      description = "A file with the prompt, in UTF-8; - is standard input.")
  private Path file;

  @Option(
      names = "--tokens",
      paramLabel = "IDS",
      converter = TokenIds.Converter.class,
      description = "The prompt's token ids, such as 1,403,407; nothing is added in front.")
  private TokenIds tokens;

  /** Reads the text, if it is in a file: before a model is opened for it. */
  void read(Console console) {
    if (file != null) {
      text =
          file.equals(STANDARD_INPUT)
              ? TextSource.standardInput(console.in())
              : TextSource.file(file);
    }
  }

  /** The prompt's tokens: of a text, with BOS in front as the model says. */
  int[] tokens(Tokenizer tokenizer) {
    return tokens != null ? tokens.ids() : tokenizer.encode(text, true, false);
  }
}
