// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Texts that are read whole; they are UTF-8, or the byte that is not is named. */
final class TextSource {
  private TextSource() {}

  static String file(Path path) {
    try {
      if (Files.isDirectory(path)) {
        throw new Failure(path + ": is a folder, expected a text file");
      }
      return utf8(path.toString(), Files.readAllBytes(path));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String standardInput(InputStream in) {
    try {
      return utf8("standard input", in.readAllBytes());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Strict decoding.
   *
   * @throws Failure that names the first byte which is not UTF-8
   */
  static String utf8(String source, byte[] bytes) {
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    ByteBuffer in = ByteBuffer.wrap(bytes);
    CharBuffer out = CharBuffer.allocate(bytes.length);
    CoderResult result = decoder.decode(in, out, true);
    if (result.isError()) {
      int at = in.position();
      long line = 1 + out.flip().chars().filter(c -> c == '\n').count();
      throw new Failure(
          String.format(
              "%s: not UTF-8: byte 0x%02x at offset %d, line %d",
              source, bytes[at] & 0xff, at, line));
    }
    return out.flip().toString();
  }
}
