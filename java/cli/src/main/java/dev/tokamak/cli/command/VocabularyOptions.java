// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.embedded.EmbeddedModel;
import dev.tokamak.model.tokenizer.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The tokenizer of a file, without its weights. */
@Command
final class VocabularyOptions {
  @Option(
      names = {"-m", "--model"},
      paramLabel = "FILE",
      defaultValue = EmbeddedModel.NAME,
      description =
          "A GGUF file, with or without weights, a tokenizer.json or a SentencePiece .model; by"
              + " default " + EmbeddedModel.NAME + ", the model that is in the program.")
  private String model;

  Tokenizer open() {
    return Tokenizer.open(EmbeddedModel.named(model));
  }
}
