// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;

/**
 * Writes a {@link TokenShard} beside its place and moves it there when it is whole: what stands at a
 * shard's path is never half a shard.
 */
final class ShardWriter implements AutoCloseable {
  private static final int BUFFER = 1 << 16;

  private final Path path;
  private final Path unfinished;
  private final Path ends;
  private final int width;
  private final long key;
  private final FileChannel channel;
  private final FileChannel endsChannel;
  private final ByteBuffer tokens = buffer();
  private final ByteBuffer offsets = buffer();
  private long sequences;
  private long written;
  private long bytes;
  private long cut;
  private long left;

  /**
   * @param vocabulary tokens are below it
   * @param marked whether tokens carry a mark
   * @param key what it is made from
   */
  ShardWriter(Path path, int vocabulary, boolean marked, long key) {
    this.path = path;
    this.key = key;
    width = marked || vocabulary > 1 << 16 ? Integer.BYTES : Short.BYTES;
    unfinished = path.resolveSibling(path.getFileName() + ".unfinished");
    ends = path.resolveSibling(path.getFileName() + ".ends");
    try {
      Files.createDirectories(path.toAbsolutePath().getParent());
      channel = create(unfinished);
      endsChannel = create(ends);
      channel.position(TokenShard.HEADER);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static FileChannel create(Path path) throws IOException {
    return FileChannel.open(
        path,
        StandardOpenOption.CREATE,
        StandardOpenOption.TRUNCATE_EXISTING,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  private static ByteBuffer buffer() {
    return ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Adds tokens to the sequence that is being written. */
  void add(int... ids) {
    for (int id : ids) {
      add(id);
    }
  }

  /** Adds marked and other tokens to the sequence that is being written. */
  void add(int[] ids, BitSet marks) {
    for (int i = 0; i < ids.length; i++) {
      add(marks.get(i) ? ids[i] | TokenShard.MARK : ids[i]);
    }
  }

  private void add(int value) {
    if (tokens.remaining() < width) {
      drain(tokens, channel);
    }
    if (width == Short.BYTES) {
      tokens.putShort((short) value);
    } else {
      tokens.putInt(value);
    }
    written++;
  }

  /** Ends a sequence. */
  void end() {
    if (offsets.remaining() < Long.BYTES) {
      drain(offsets, endsChannel);
    }
    offsets.putLong(written);
    sequences++;
  }

  /** Counts text that tokens were made from, in bytes. */
  void text(long length) {
    bytes += length;
  }

  /** Counts a sequence that was cut. */
  void cut() {
    cut++;
  }

  /** Counts one that was left out. */
  void leftOut() {
    left++;
  }

  /** Makes the shard whole, on the disk, and puts it in its place. */
  void finish() {
    try {
      drain(tokens, channel);
      drain(offsets, endsChannel);
      long end = TokenShard.HEADER + written * width;
      channel.position(TokenShard.aligned(end));
      ByteBuffer first = buffer().putLong(0).flip();
      write(first, channel);
      endsChannel.position(0);
      long copied = 0;
      while (copied < sequences * Long.BYTES) {
        copied += endsChannel.transferTo(copied, sequences * Long.BYTES - copied, channel);
      }
      ByteBuffer header = ByteBuffer.allocate(TokenShard.HEADER).order(ByteOrder.LITTLE_ENDIAN);
      header.putLong(TokenShard.MAGIC).putInt(TokenShard.VERSION).putInt(width);
      header.putLong(sequences).putLong(written).putLong(bytes).putLong(cut).putLong(left);
      header.putLong(key).putLong(checksum()).flip();
      channel.position(0);
      write(header, channel);
      channel.force(true);
      channel.close();
      Files.move(unfinished, path, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private long checksum() throws IOException {
    long length = channel.size() - TokenShard.HEADER;
    try (Arena arena = Arena.ofConfined()) {
      return TokenShard.checksum(
          channel.map(FileChannel.MapMode.READ_ONLY, TokenShard.HEADER, length, arena));
    }
  }

  private static void drain(ByteBuffer buffer, FileChannel to) {
    try {
      write(buffer.flip(), to);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    buffer.clear();
  }

  private static void write(ByteBuffer buffer, FileChannel to) throws IOException {
    while (buffer.hasRemaining()) {
      to.write(buffer);
    }
  }

  /** Deletes what is unfinished. */
  @Override
  public void close() {
    try {
      channel.close();
      endsChannel.close();
      Files.deleteIfExists(unfinished);
      Files.deleteIfExists(ends);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
