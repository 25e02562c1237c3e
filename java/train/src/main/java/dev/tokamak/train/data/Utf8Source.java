// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;

/**
 * The text of a file, plain or {@code .gz}, piece by piece: strict UTF-8, or the byte that is not is
 * named. A byte order mark at its beginning is left out.
 */
final class Utf8Source implements AutoCloseable {
  private static final int PIECE = 1 << 16;

  private final Path file;
  private final InputStream in;
  private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
  private final ByteBuffer bytes = ByteBuffer.allocate(PIECE).flip();
  private final CharBuffer chars = CharBuffer.allocate(PIECE);
  private long read; // bytes given to the buffer
  private long line = 1;
  private boolean begun;
  private boolean ended;

  /**
   * @throws FormatException if the file is missing, empty, a pipe or device, or no gzip though
   *     named so
   */
  Utf8Source(Path file) {
    this.file = file;
    try {
      if (Files.isDirectory(file)) {
        throw new FormatException(file + ": is a folder, expected a file");
      }
      if (Files.exists(file) && !Files.isRegularFile(file)) { // a pipe's size is 0 too
        throw new FormatException(file + ": is no regular file, expected one");
      }
      if (Files.size(file) == 0) {
        throw new FormatException(file + ": the file is empty, expected text");
      }
      InputStream plain = Files.newInputStream(file);
      in = isGzip(file) ? unzipped(plain) : plain;
    } catch (NoSuchFileException e) {
      throw new FormatException(file + ": no such file", e);
    } catch (ZipException | EOFException e) {
      throw new FormatException(file + ": not gzip, though named so: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static InputStream unzipped(InputStream plain) throws IOException {
    try {
      return new GZIPInputStream(plain, PIECE);
    } catch (IOException e) {
      plain.close();
      throw e;
    }
  }

  static boolean isGzip(Path file) {
    return file.toString().endsWith(".gz");
  }

  /**
   * The next characters, valid until the next call; empty at the end.
   *
   * @throws FormatException if the file is not UTF-8
   */
  CharBuffer next() {
    chars.clear();
    while (chars.position() == 0 && !ended) {
      CoderResult result = decoder.decode(bytes, chars, false);
      if (result.isError()) {
        throw malformed();
      }
      if (chars.position() == 0 && result.isUnderflow()) {
        fill();
      }
    }
    chars.flip();
    if (!begun && chars.hasRemaining()) {
      begun = true;
      if (chars.get(0) == '\ufeff') {
        chars.position(1);
        return chars.hasRemaining() ? counted() : next();
      }
    }
    return counted();
  }

  private CharBuffer counted() {
    for (int i = chars.position(); i < chars.limit(); i++) {
      if (chars.get(i) == '\n') {
        line++;
      }
    }
    return chars;
  }

  private void fill() {
    bytes.compact();
    int got;
    try {
      got = in.read(bytes.array(), bytes.position(), bytes.remaining());
    } catch (ZipException | EOFException e) {
      throw new FormatException(
          file + ": the gzip data breaks off or is damaged: " + e.getMessage(), e);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    bytes.position(bytes.position() + Math.max(got, 0));
    bytes.flip();
    if (got < 0) {
      ended = true;
      if (bytes.hasRemaining()) { // a character that the end cuts
        throw malformed();
      }
    } else {
      read += got;
    }
  }

  private FormatException malformed() {
    for (int i = 0; i < chars.position(); i++) {
      if (chars.get(i) == '\n') {
        line++;
      }
    }
    return new FormatException(
        String.format(
            "%s: line %d: not UTF-8: byte 0x%02x at offset %d%s",
            file,
            line,
            bytes.get(bytes.position()) & 0xff,
            read - bytes.remaining(),
            isGzip(file) ? " of the unpacked text" : ""));
  }

  @Override
  public void close() {
    try {
      in.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
