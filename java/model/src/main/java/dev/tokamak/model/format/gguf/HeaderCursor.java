// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import dev.tokamak.model.format.MetadataValue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.CharacterCodingException;
import java.util.Arrays;

/**
 * Reads the fields of a GGUF header one after the other, each checked against the end of the file
 * before it is touched. The header is copied to the heap as far as it has been read, doubling each
 * time: a plain byte array is what a JVM that has just started reads fastest, and a false count can
 * allocate no more than the file holds and {@link #LIMIT} allows.
 */
final class HeaderCursor {
  /** Bytes that the part before the tensor data may take. */
  private static final int LIMIT = 128 << 20;

  private static final int FIRST_READ = 64 << 10;
  private static final int MAX_ARRAY_DEPTH = 4;

  private final String file;
  private final MemorySegment map;
  private byte[] bytes = new byte[0];
  private int position;
  private String place = "header";

  HeaderCursor(String file, MemorySegment map) {
    this.file = file;
    this.map = map;
  }

  /** Names what is being read, for messages: {@code metadata key llama.block_count}. */
  void place(String place) {
    this.place = place;
  }

  FormatException problem(String problem) {
    return FormatException.at(file, place, problem);
  }

  int position() {
    return position;
  }

  int int32() {
    need(4);
    int value = int32At(position);
    position += 4;
    return value;
  }

  long int64() {
    need(8);
    long value = int64At(position);
    position += 8;
    return value;
  }

  /**
   * A count of things that take {@code least} bytes each at least, checked against what is left of
   * the file and of {@link #LIMIT}.
   */
  int count(String of, int least) {
    long count = int64();
    long left = map.byteSize() - position;
    if (count < 0 || count > left / least) {
      throw problem(
          of
              + "="
              + Long.toUnsignedString(count)
              + ": at least "
              + least
              + " bytes each, "
              + left
              + " bytes left in the file");
    }
    if (count > (LIMIT - position) / least) {
      throw tooLong(position + count * least);
    }
    return (int) count;
  }

  /** A string of 1 to {@code most} bytes. */
  String name(int most) {
    int start = position;
    long length = int64();
    if (length < 1 || length > most) {
      throw problem(
          "name of "
              + Long.toUnsignedString(length)
              + " bytes at offset="
              + start
              + ", expected 1 to "
              + most);
    }
    return text((int) length);
  }

  MetadataValue value() {
    MetadataType type = type();
    return switch (type) {
      case UINT8, INT8, UINT16, INT16, UINT32, INT32, UINT64, INT64 ->
          new MetadataValue.Int(type, integer(type));
      case FLOAT32 -> new MetadataValue.Real(type, Float.intBitsToFloat(int32()));
      case FLOAT64 -> new MetadataValue.Real(type, Double.longBitsToDouble(int64()));
      case BOOL -> {
        skipBools(1);
        yield new MetadataValue.Bool(bytes[position - 1] == 1);
      }
      case STRING -> {
        long length = int64();
        need(length);
        yield new MetadataValue.Text(text((int) length));
      }
      case ARRAY -> {
        MetadataType element = type();
        int count = count("array of " + element.label() + ": count", least(element));
        int start = position;
        skip(element, count, 1);
        yield new MetadataValue.Array(
            MetadataArray.packed(element, count, Arrays.copyOfRange(bytes, start, position)));
      }
    };
  }

  private MetadataType type() {
    int id = int32();
    return MetadataType.byId(id)
        .orElseThrow(
            () ->
                problem("unknown value type " + Integer.toUnsignedString(id) + ", known: 0 to 12"));
  }

  private long integer(MetadataType type) {
    need(type.bytes());
    int at = position;
    position += type.bytes();
    return switch (type) {
      case UINT8 -> bytes[at] & 0xff;
      case INT8 -> bytes[at];
      case UINT16 -> (bytes[at] & 0xff) | (bytes[at + 1] & 0xff) << 8;
      case INT16 -> (bytes[at] & 0xff) | bytes[at + 1] << 8;
      case UINT32 -> int32At(at) & 0xffff_ffffL;
      case INT32 -> int32At(at);
      default -> int64At(at);
    };
  }

  /** Steps over the elements of an array; after it, all of them are known to be well formed. */
  private void skip(MetadataType element, int count, int depth) {
    switch (element) {
      case STRING -> {
        for (int i = 0; i < count; i++) {
          long length = int64();
          need(length);
          position += (int) length;
        }
      }
      case ARRAY -> {
        if (depth == MAX_ARRAY_DEPTH) {
          throw problem("arrays nested deeper than " + MAX_ARRAY_DEPTH);
        }
        for (int i = 0; i < count; i++) {
          MetadataType inner = type();
          skip(inner, count("array of " + inner.label() + ": count", least(inner)), depth + 1);
        }
      }
      case BOOL -> skipBools(count);
      default -> {
        int length = count * element.bytes(); // no overflow: count() has checked it
        need(length);
        position += length;
      }
    }
  }

  private void skipBools(int count) {
    need(count);
    for (int end = position + count; position < end; position++) {
      if ((bytes[position] & ~1) != 0) {
        throw problem("bool of value " + (bytes[position] & 0xff) + ", expected 0 or 1");
      }
    }
  }

  /** The fewest bytes that an element can take. */
  private static int least(MetadataType type) {
    return switch (type) {
      case STRING -> 8;
      case ARRAY -> 12;
      default -> type.bytes();
    };
  }

  private String text(int length) {
    need(length);
    try {
      String text = MetadataArray.utf8(bytes, position, length);
      position += length;
      return text;
    } catch (CharacterCodingException e) {
      throw problem("not valid UTF-8: offset=" + position + ", length=" + length);
    }
  }

  private void need(long length) {
    if (length < 0 || length > map.byteSize() - position) {
      throw problem(
          "past end of file: offset="
              + position
              + ", length="
              + Long.toUnsignedString(length)
              + ", file="
              + map.byteSize());
    }
    if (length > bytes.length - position) {
      grow(position + length);
    }
  }

  private void grow(long wanted) {
    if (wanted > LIMIT) {
      throw tooLong(wanted);
    }
    int had = bytes.length;
    long grown = Math.max(wanted, Math.max(FIRST_READ, 2L * had));
    bytes = Arrays.copyOf(bytes, (int) Math.min(grown, Math.min(map.byteSize(), LIMIT)));
    MemorySegment.copy(map, ValueLayout.JAVA_BYTE, had, bytes, had, bytes.length - had);
  }

  private FormatException tooLong(long end) {
    return problem("reaches offset=" + end + ", but a header may take " + LIMIT + " bytes");
  }

  private int int32At(int at) {
    return (bytes[at] & 0xff)
        | (bytes[at + 1] & 0xff) << 8
        | (bytes[at + 2] & 0xff) << 16
        | bytes[at + 3] << 24;
  }

  private long int64At(int at) {
    return int32At(at) & 0xffff_ffffL | (long) int32At(at + 4) << 32;
  }
}
