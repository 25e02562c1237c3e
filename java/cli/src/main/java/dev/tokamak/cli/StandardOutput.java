// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * Where results go: buffered UTF-8 whose failures are not swallowed, as a {@code PrintStream}'s
 * are. Flushed by who writes, and when the command ends.
 */
public final class StandardOutput extends OutputStream {
  /** Nothing more can be written: a full disk, or a reader such as {@code head} that went away. */
  public static final class ClosedException extends IOException {
    private static final long serialVersionUID = 1L;

    private ClosedException(IOException cause) {
      super("standard output: " + cause.getMessage(), cause);
    }

    /** Whether the reader at the other end of a pipe is gone, which is no failure. */
    public boolean readerGone() {
      // "Broken pipe", or the same in the language of the system.
      return String.valueOf(getCause().getMessage()).toLowerCase().contains("pipe");
    }
  }

  private final OutputStream to;
  private final byte[] buffer = new byte[8192];
  private int filled;
  private boolean failed;

  public StandardOutput(OutputStream to) {
    this.to = to;
  }

  /** Writes text. */
  public void print(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    try {
      write(bytes, 0, bytes.length);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes text and a line feed. */
  public void println(String text) {
    print(text);
    print("\n");
  }

  /** Writes text and a line feed as {@link String#formatted} makes it, in the root locale. */
  public void printf(String format, Object... values) {
    print(String.format(java.util.Locale.ROOT, format, values));
  }

  /** {@link #flush}, for who handles no checked exceptions. */
  public void show() {
    try {
      flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void write(int b) throws IOException {
    if (filled == buffer.length) {
      drain();
    }
    buffer[filled++] = (byte) b;
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    if (length > buffer.length - filled) {
      drain();
    }
    if (length > buffer.length) {
      deliver(bytes, offset, length);
    } else {
      System.arraycopy(bytes, offset, buffer, filled, length);
      filled += length;
    }
  }

  @Override
  public void flush() throws IOException {
    drain();
    if (!failed) {
      to.flush();
    }
  }

  private void drain() throws IOException {
    int length = filled;
    filled = 0;
    deliver(buffer, 0, length);
  }

  private void deliver(byte[] bytes, int offset, int length) throws IOException {
    if (failed || length == 0) {
      return; // the failure was told once; what is written afterwards has nowhere to go
    }
    try {
      to.write(bytes, offset, length);
    } catch (IOException e) {
      failed = true;
      throw new ClosedException(e);
    }
  }
}
