// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 of a file or its ends, in small hexadecimal letters. */
final class Sha256 {
  private static final int CHUNK = 1 << 20;

  private Sha256() {}

  static String of(Path path) throws IOException {
    MessageDigest digest = digest();
    ByteBuffer chunk = ByteBuffer.allocate(CHUNK);
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      while (channel.read(chunk) >= 0) {
        digest.update(chunk.flip());
        chunk.clear();
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Of a file's first and last megabyte, 12 letters: tells most files from others, at no cost. */
  static String ofEnds(Path path) throws IOException {
    MessageDigest digest = digest();
    ByteBuffer chunk = ByteBuffer.allocate(CHUNK);
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      for (long from : new long[] {0, Math.max(0, channel.size() - CHUNK)}) {
        channel.position(from);
        while (chunk.hasRemaining() && channel.read(chunk) >= 0) {}
        digest.update(chunk.flip());
        chunk.clear();
      }
    }
    return HexFormat.of().formatHex(digest.digest(), 0, 6);
  }

  private static MessageDigest digest() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
