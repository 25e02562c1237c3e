// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/** UTF-8 that grows. */
final class Bytes {
  private byte[] bytes;
  private int size;

  Bytes(int capacity) {
    bytes = new byte[capacity];
  }

  void add(byte[] from, int start, int end) {
    int length = end - start;
    if (length > bytes.length - size) {
      bytes = Arrays.copyOf(bytes, Math.max(Math.addExact(size, length), size + size / 2 + 16));
    }
    System.arraycopy(from, start, bytes, size, length);
    size += length;
  }

  int size() {
    return size;
  }

  /** Whether the last bytes are these. */
  boolean endsWith(byte[] end) {
    return size >= end.length && Arrays.equals(bytes, size - end.length, size, end, 0, end.length);
  }

  /** Takes bytes from the end. */
  void drop(int count) {
    size -= count;
  }

  byte[] toArray() {
    return Arrays.copyOf(bytes, size);
  }

  /** Where the character that begins at {@code at} ends. */
  static int characterEnd(byte[] utf8, int at) {
    int end = at + 1;
    while (end < utf8.length && (utf8[end] & 0xc0) == 0x80) {
      end++;
    }
    return end;
  }
}
