// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * An array of metadata, kept in the packed form it has in a GGUF file and decoded when asked for,
 * so that opening a file with a vocabulary of 256 k strings costs one pass over their lengths.
 *
 * <p>Packed form, little-endian, no padding: numbers at their width; a bool is one byte, 0 or 1; a
 * string is its length in bytes (uint64), then that many bytes of UTF-8; an array is its element
 * type's id (uint32), its length (uint64), then its elements in packed form.
 *
 * <p>Immutable, and safe to share between threads.
 */
public final class MetadataArray {
  /** Elements that {@link #toString} shows. */
  private static final int SHOWN = 8;

  private final MetadataType elementType;
  private final int size;
  private final byte[] data;
  private final int offset;
  private final int length;
  private List<String> decoded = List.of();

  private MetadataArray(MetadataType elementType, int size, byte[] data, int offset, int length) {
    this.elementType = elementType;
    this.size = size;
    this.data = data;
    this.offset = offset;
    this.length = length;
  }

  /**
   * An array over bytes that the caller has already checked to be {@code size} elements in packed
   * form, and will not change.
   */
  public static MetadataArray packed(MetadataType elementType, int size, byte[] data) {
    return new MetadataArray(elementType, size, data, 0, data.length);
  }

  /** An array of string. */
  public static MetadataArray of(List<String> strings) {
    var out = new ByteArrayOutputStream();
    for (String string : strings) {
      byte[] utf8 = utf8(string);
      out.writeBytes(buffer(8).putLong(utf8.length).array());
      out.writeBytes(utf8);
    }
    return packed(MetadataType.STRING, strings.size(), out.toByteArray());
  }

  /** An array of int32. */
  public static MetadataArray of(int[] values) {
    ByteBuffer out = buffer(Math.multiplyExact(4, values.length));
    out.asIntBuffer().put(values);
    return packed(MetadataType.INT32, values.length, out.array());
  }

  /** An array of int64. */
  public static MetadataArray of(long[] values) {
    ByteBuffer out = buffer(Math.multiplyExact(8, values.length));
    out.asLongBuffer().put(values);
    return packed(MetadataType.INT64, values.length, out.array());
  }

  /** An array of float32. */
  public static MetadataArray of(float[] values) {
    ByteBuffer out = buffer(Math.multiplyExact(4, values.length));
    out.asFloatBuffer().put(values);
    return packed(MetadataType.FLOAT32, values.length, out.array());
  }

  /** An array of float64. */
  public static MetadataArray of(double[] values) {
    ByteBuffer out = buffer(Math.multiplyExact(8, values.length));
    out.asDoubleBuffer().put(values);
    return packed(MetadataType.FLOAT64, values.length, out.array());
  }

  /** An array of bool. */
  public static MetadataArray of(boolean[] values) {
    byte[] out = new byte[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = (byte) (values[i] ? 1 : 0);
    }
    return packed(MetadataType.BOOL, values.length, out);
  }

  public MetadataType elementType() {
    return elementType;
  }

  /** Number of elements. */
  public int size() {
    return size;
  }

  /** {@code array of string}, {@code array of array of int32} and so on, for messages. */
  public String label() {
    String element =
        elementType == MetadataType.ARRAY && size > 0
            ? arrays().getFirst().label()
            : elementType.label();
    return "array of " + element;
  }

  /** A copy of the packed form. */
  public byte[] packedBytes() {
    return Arrays.copyOfRange(data, offset, offset + length);
  }

  /**
   * The elements of an array of string, decoded once and kept.
   *
   * @throws FormatException for a string that is not UTF-8; {@code place} and {@code file} name it
   */
  List<String> strings(String file, String place) {
    // A benign race: two threads may decode the same list, either may be kept.
    List<String> kept = decoded;
    if (kept.size() == size) {
      return kept;
    }
    String[] out = new String[size];
    int at = offset;
    for (int i = 0; i < size; i++) {
      int bytes = int32(at); // the reader has checked that the length fits
      at += 8;
      try {
        out[i] = utf8(data, at, bytes);
      } catch (CharacterCodingException e) {
        throw FormatException.at(file, place + "[" + i + "]", "not valid UTF-8");
      }
      at += bytes;
    }
    kept = Collections.unmodifiableList(Arrays.asList(out));
    decoded = kept;
    return kept;
  }

  /** Element {@code i} of an array of one of the integer types or bool; uint64 as its bits. */
  long integer(int i) {
    int at = offset + i * elementType.bytes();
    return switch (elementType) {
      case UINT8, BOOL -> data[at] & 0xff;
      case INT8 -> data[at];
      case UINT16 -> (data[at] & 0xff) | (data[at + 1] & 0xff) << 8;
      case INT16 -> (data[at] & 0xff) | data[at + 1] << 8;
      case UINT32 -> int32(at) & 0xffff_ffffL;
      case INT32 -> int32(at);
      case UINT64, INT64 -> int64(at);
      case FLOAT32, FLOAT64, STRING, ARRAY -> throw new IllegalStateException(label());
    };
  }

  /** Element {@code i} of an array of numbers. */
  double number(int i) {
    int at = offset + i * elementType.bytes();
    return switch (elementType) {
      case FLOAT32 -> Float.intBitsToFloat(int32(at));
      case FLOAT64 -> Double.longBitsToDouble(int64(at));
      case UINT64 -> {
        long bits = int64(at);
        yield bits >= 0 ? bits : (bits >>> 1 | bits & 1) * 2.0;
      }
      default -> integer(i);
    };
  }

  /** The elements of an array of arrays. */
  List<MetadataArray> arrays() {
    var out = new ArrayList<MetadataArray>();
    int at = offset;
    for (int i = 0; i < size; i++) {
      MetadataType type = MetadataType.byId(int32(at)).orElseThrow();
      int count = int32(at + 4);
      int start = at + 12;
      at = end(type, count, start);
      out.add(new MetadataArray(type, count, data, start, at - start));
    }
    return out;
  }

  private int end(MetadataType type, int count, int start) {
    int at = start;
    switch (type) {
      case STRING -> {
        for (int i = 0; i < count; i++) {
          at += 8 + int32(at);
        }
      }
      case ARRAY -> {
        for (int i = 0; i < count; i++) {
          at = end(MetadataType.byId(int32(at)).orElseThrow(), int32(at + 4), at + 12);
        }
      }
      default -> at += count * type.bytes();
    }
    return at;
  }

  /** The first elements and the size: {@code [1, 2, 3, … 32000 in all]}. */
  @Override
  public String toString() {
    var out = new StringBuilder("[");
    int shown = Math.min(size, SHOWN);
    int at = offset; // of string i
    for (int i = 0; i < shown; i++) {
      out.append(i == 0 ? "" : ", ");
      switch (elementType) {
        case STRING -> {
          int bytes = int32(at);
          out.append(new String(data, at + 8, bytes, StandardCharsets.UTF_8));
          at += 8 + bytes;
        }
        case ARRAY -> out.append(arrays().get(i));
        case BOOL -> out.append(integer(i) != 0);
        case FLOAT32 -> out.append((float) number(i));
        case FLOAT64 -> out.append(number(i));
        case UINT64 -> out.append(Long.toUnsignedString(integer(i)));
        default -> out.append(integer(i));
      }
    }
    return out.append(shown < size ? ", … " + size + " in all]" : "]").toString();
  }

  /** Strict decoding: a replacement character in the result is looked at again. */
  public static String utf8(byte[] data, int offset, int length) throws CharacterCodingException {
    String text = new String(data, offset, length, StandardCharsets.UTF_8);
    if (text.indexOf('\ufffd') >= 0) {
      CharBuffer strict =
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(data, offset, length));
      return strict.toString();
    }
    return text;
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private int int32(int at) {
    return (data[at] & 0xff)
        | (data[at + 1] & 0xff) << 8
        | (data[at + 2] & 0xff) << 16
        | data[at + 3] << 24;
  }

  private long int64(int at) {
    return int32(at) & 0xffff_ffffL | (long) int32(at + 4) << 32;
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
