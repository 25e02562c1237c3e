// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * A file that holds a tokenizer, as the metadata that a GGUF file of it has. A {@code
 * tokenizer_config.json} beside a {@code tokenizer.json} adds what that leaves open.
 */
final class TokenizerFile {
  private static final int LARGEST = 1 << 28;
  private static final int FIRST_PIECE = 0x0a; // field 1 of a SentencePiece file, which is bytes

  private TokenizerFile() {}

  /** The kind of file is told by its first bytes. */
  static Metadata read(Path path) {
    if (Files.isDirectory(path)) {
      Path json = path.resolve("tokenizer.json");
      return read(Files.exists(json) ? json : path.resolve("tokenizer.model"));
    }
    try {
      if (startsAsGguf(path)) {
        try (GgufFile file = GgufFile.open(path)) {
          return file.metadata();
        }
      }
      byte[] bytes = bytes(path);
      String source = path.getFileName().toString();
      int first = firstNonSpace(bytes);
      if (first == '{') {
        Metadata tokenizer = TokenizerJson.read(bytes, source);
        Path config = path.resolveSibling("tokenizer_config.json");
        return Files.exists(config)
            ? TokenizerConfig.add(tokenizer, bytes(config), config.getFileName().toString())
            : tokenizer;
      }
      if (bytes.length > 0 && bytes[0] == FIRST_PIECE) {
        return SentencePieceFile.read(bytes, source);
      }
    } catch (NoSuchFileException e) {
      throw new FormatException(path + ": no such file", e);
    } catch (IOException e) {
      throw new FormatException(path + ": cannot be read: " + e.getMessage(), e);
    }
    throw new FormatException(
        path + ": no tokenizer: expected a GGUF file, a tokenizer.json or a SentencePiece .model");
  }

  private static byte[] bytes(Path path) throws IOException {
    if (Files.size(path) > LARGEST) {
      throw new FormatException(
          path + ": " + Files.size(path) + " bytes: no tokenizer is larger than " + LARGEST);
    }
    return Files.readAllBytes(path);
  }

  private static boolean startsAsGguf(Path path) throws IOException {
    if (!Files.exists(path)) {
      throw new NoSuchFileException(path.toString());
    }
    if (!Files.isRegularFile(path)) {
      throw new FormatException(path + ": not a regular file, expected one with a tokenizer");
    }
    try (InputStream in = Files.newInputStream(path)) {
      return new String(in.readNBytes(4), StandardCharsets.ISO_8859_1).equals("GGUF");
    }
  }

  private static int firstNonSpace(byte[] bytes) {
    for (byte b : bytes) {
      if (b != ' ' && b != '\t' && b != '\n' && b != '\r') {
        return b;
      }
    }
    return -1;
  }
}
