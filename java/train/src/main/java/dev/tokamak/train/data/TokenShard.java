// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.model.format.FormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import java.util.zip.CRC32C;

/** Sequences of tokens in a memory-mapped file; the package's page has its layout. */
final class TokenShard implements AutoCloseable {
  static final long MAGIC = 0x44524148534d4b54L; // "TKMSHARD", little-endian
  static final int VERSION = 2;
  static final int HEADER = 72;

  private static final int CHECKSUM = 64; // its offset
  private static final long CHUNK = 1 << 30;

  /** The bit of a token that is to be predicted. */
  static final int MARK = 1 << 31;

  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Arena arena = Arena.ofShared();
  private final MemorySegment file;
  private final int width;
  private final long sequences;
  private final long tokens;
  private final long offsets;

  private final Path path;
  private final int vocabulary;

  private TokenShard(Path path, int vocabulary) throws IOException {
    this.path = path;
    this.vocabulary = vocabulary;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      file = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
    }
    width = file.get(INT, 12);
    sequences = file.get(LONG, 16);
    tokens = file.get(LONG, 24);
    offsets = aligned(HEADER + tokens * width);
  }

  static long aligned(long offset) {
    return (offset + Long.BYTES - 1) / Long.BYTES * Long.BYTES;
  }

  /**
   * Whether a whole shard of this key stands at a path.
   *
   * @param key what it is made from
   */
  static boolean stands(Path path, long key) {
    if (!Files.isRegularFile(path)) {
      return false;
    }
    try (Arena arena = Arena.ofConfined();
        FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() < HEADER) {
        return false;
      }
      MemorySegment header = channel.map(FileChannel.MapMode.READ_ONLY, 0, HEADER, arena);
      int width = header.get(INT, 12);
      long sequences = header.get(LONG, 16);
      long tokens = header.get(LONG, 24);
      return header.get(LONG, 0) == MAGIC
          && header.get(INT, 8) == VERSION
          && (width == Short.BYTES || width == Integer.BYTES)
          && header.get(LONG, 56) == key
          && sequences >= 0
          && sequences <= channel.size()
          && tokens >= 0
          && tokens <= channel.size()
          && aligned(HEADER + tokens * width) + (sequences + 1) * Long.BYTES == channel.size();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Opens a shard that {@link #stands}.
   *
   * @param vocabulary that tokens must be below
   * @throws FormatException if it is not what was written
   */
  static TokenShard open(Path path, int vocabulary) {
    TokenShard shard;
    try {
      shard = new TokenShard(path, vocabulary);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    MemorySegment body = shard.file.asSlice(HEADER);
    if (checksum(body) != shard.file.get(LONG, CHECKSUM)) {
      throw shard.damaged();
    }
    for (long i = 0; i < shard.sequences; i++) {
      if (shard.start(i) > shard.start(i + 1)) {
        throw shard.damaged();
      }
    }
    if (shard.start(0) != 0 || shard.start(shard.sequences) != shard.tokens) {
      throw shard.damaged();
    }
    return shard;
  }

  /** CRC-32C of all that is behind the header. */
  static long checksum(MemorySegment body) {
    var sum = new CRC32C();
    for (long at = 0; at < body.byteSize(); at += CHUNK) {
      sum.update(body.asSlice(at, Math.min(CHUNK, body.byteSize() - at)).asByteBuffer());
    }
    return sum.getValue();
  }

  private FormatException damaged() {
    close();
    return new FormatException(path + ": damaged; delete it, and it is made again");
  }

  /** Number of sequences. */
  long sequences() {
    return sequences;
  }

  /** Number of tokens. */
  long tokens() {
    return tokens;
  }

  /** Bytes of the text that it was made from. */
  long textBytes() {
    return file.get(LONG, 32);
  }

  /** Sequences that were cut at their end. */
  long cut() {
    return file.get(LONG, 40);
  }

  /** Sequences or pairs that were left out. */
  long leftOut() {
    return file.get(LONG, 48);
  }

  /** Where a sequence begins, in tokens; that of {@code sequences()} is the end. */
  long start(long sequence) {
    return file.get(LONG, offsets + sequence * Long.BYTES);
  }

  /** The first sequence that begins behind a token. */
  long sequenceAfter(long token) {
    long low = 0;
    long high = sequences;
    while (low < high) {
      long middle = (low + high) >>> 1;
      if (start(middle) > token) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /**
   * Tokens without their marks.
   *
   * @throws FormatException if the vocabulary has no such tokens
   */
  int[] read(long from, int length) {
    int[] ids = new int[length];
    for (int i = 0; i < length; i++) {
      ids[i] = value(from + i) & ~MARK;
      if (ids[i] >= vocabulary) {
        throw damaged();
      }
    }
    return ids;
  }

  /** Which of some tokens are marked. */
  BitSet marks(long from, int length) {
    var marks = new BitSet(length);
    for (int i = 0; i < length; i++) {
      marks.set(i, value(from + i) < 0);
    }
    return marks;
  }

  private int value(long token) {
    return width == Short.BYTES
        ? Short.toUnsignedInt(file.get(SHORT, HEADER + token * Short.BYTES))
        : file.get(INT, HEADER + token * Integer.BYTES);
  }

  @Override
  public void close() {
    arena.close();
  }
}
