// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The tokenizer of a file, without its weights. */
@Command
final class VocabularyOptions {
  @Option(
      names = {"-m", "--model"},
      paramLabel = "FILE",
      required = true,
      description =
          "A GGUF file, with or without weights, a tokenizer.json or a SentencePiece .model.")
  private Path model;

  Tokenizer open() {
    return Tokenizer.open(model);
  }
}
