// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.model.format.gguf.GgufFile;
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
      description = "A GGUF file; one with a vocabulary only will do.")
  private Path model;

  Tokenizer open() {
    try (GgufFile file = GgufFile.open(model)) {
      return Tokenizer.of(file.metadata());
    }
  }
}
