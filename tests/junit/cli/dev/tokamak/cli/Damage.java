// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import dev.tokamak.model.format.gguf.GgufFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Copies of the story model with something wrong. */
final class Damage {
  private Damage() {}

  /** A tensor of F32 whose second value is NaN. */
  static Path withNaN(Path folder, String tensor) throws IOException {
    byte[] bytes = bytes();
    try (GgufFile file = GgufFile.open(Path.of(Cli.stories()))) {
      int at = (int) file.info(tensor).orElseThrow().offset() + 4;
      bytes[at + 2] = (byte) 0xc0;
      bytes[at + 3] = 0x7f;
    }
    return Files.write(folder.resolve("nan.gguf"), bytes);
  }

  /** Every place where one text stands holds the other, and the other way round. */
  static Path withSwapped(Path folder, String one, String other) throws IOException {
    byte[] bytes = bytes();
    byte[] from = one.getBytes(StandardCharsets.UTF_8);
    byte[] to = other.getBytes(StandardCharsets.UTF_8);
    int found = 0;
    for (int at = 0; at + from.length <= bytes.length; at++) {
      boolean isFrom = Arrays.equals(bytes, at, at + from.length, from, 0, from.length);
      boolean isTo = Arrays.equals(bytes, at, at + from.length, to, 0, to.length);
      if (isFrom || isTo) {
        System.arraycopy(isFrom ? to : from, 0, bytes, at, to.length);
        found++;
      }
    }
    if (found == 0 || from.length != to.length) {
      throw new AssertionError(one + " is not there, or not as long as " + other);
    }
    return Files.write(folder.resolve("changed.gguf"), bytes);
  }

  /** The first bytes only. */
  static Path cut(Path folder, int length) throws IOException {
    return Files.write(folder.resolve("cut.gguf"), Arrays.copyOf(bytes(), length));
  }

  static byte[] bytes() throws IOException {
    return Files.readAllBytes(Path.of(Cli.stories()));
  }
}
