// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import java.util.Arrays;

/**
 * The fields of a protocol buffer's message, in order: a tag of {@code number << 3 | type}, then by
 * type 0 a varint, 1 eight bytes, 2 a varint length and as many bytes, 5 four bytes, little-endian.
 */
final class ProtoReader {
  private final byte[] data;
  private final String source;
  private final String place;
  private final int end;
  private int at;
  private int field;
  private int type;

  ProtoReader(byte[] data, String source) {
    this(data, 0, data.length, source, "SentencePiece model");
  }

  private ProtoReader(byte[] data, int from, int to, String source, String place) {
    this.data = data;
    this.at = from;
    this.end = to;
    this.source = source;
    this.place = place;
  }

  /** Goes to the next field; false at the end. */
  boolean next() {
    if (at == end) {
      return false;
    }
    long tag = varint();
    field = (int) (tag >>> 3);
    type = (int) tag & 7;
    if (tag >>> 32 != 0 || field < 1) {
      throw error("no field begins at byte " + at);
    }
    return true;
  }

  int field() {
    return field;
  }

  /** An integer, bool or enum. */
  long integer() {
    require(0, "an integer");
    return varint();
  }

  float float32() {
    require(5, "a float");
    return Float.intBitsToFloat(
        (data[advance(4)] & 0xff)
            | (data[at - 3] & 0xff) << 8
            | (data[at - 2] & 0xff) << 16
            | data[at - 1] << 24);
  }

  byte[] bytes() {
    int length = length();
    int from = advance(length);
    return Arrays.copyOfRange(data, from, from + length);
  }

  ProtoReader message(String name) {
    int length = length();
    int from = advance(length);
    return new ProtoReader(data, from, from + length, source, name);
  }

  void skip() {
    switch (type) {
      case 0 -> varint();
      case 1 -> advance(8);
      case 2 -> advance(length());
      case 5 -> advance(4);
      default -> throw error("field " + field + ": type " + type + " is not known");
    }
  }

  FormatException error(String problem) {
    return FormatException.at(source, place, problem);
  }

  private int length() {
    require(2, "bytes");
    long length = varint();
    if (length < 0 || length > end - at) {
      throw error(
          "field "
              + field
              + ": "
              + Long.toUnsignedString(length)
              + " bytes, "
              + (end - at)
              + " are left");
    }
    return (int) length;
  }

  private void require(int expected, String what) {
    if (type != expected) {
      throw error(
          "field " + field + ": expected " + what + " (type " + expected + "), found type " + type);
    }
  }

  private int advance(int bytes) {
    if (bytes > end - at) {
      throw error("field " + field + ": ends after " + (end - at) + " of " + bytes + " bytes");
    }
    at += bytes;
    return at - bytes;
  }

  private long varint() {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      byte b = data[advance(1)];
      value |= (b & 0x7fL) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw error("a number of more than 10 bytes at byte " + at);
  }
}
