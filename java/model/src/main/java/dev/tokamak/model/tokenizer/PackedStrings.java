// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.MetadataArray;
import dev.tokamak.model.format.MetadataType;
import dev.tokamak.model.format.MetadataValue;
import java.nio.charset.StandardCharsets;

/**
 * An array of strings in a file's metadata, as the UTF-8 bytes it has there: a vocabulary and its
 * merges are half a million strings, and making none of them is most of what opening one costs.
 */
final class PackedStrings {
  /** Bytes of the length before each string. */
  private static final int LENGTH = 8;

  /** The strings and, before each, its length. */
  final byte[] bytes;

  private final int[] starts;

  private PackedStrings(byte[] bytes, int count) {
    this.bytes = bytes;
    this.starts = new int[count + 1];
    int at = LENGTH;
    for (int i = 0; i < count; i++) {
      starts[i] = at;
      int length =
          (bytes[at - 8] & 0xff)
              | (bytes[at - 7] & 0xff) << 8
              | (bytes[at - 6] & 0xff) << 16
              | bytes[at - 5] << 24;
      at += length + LENGTH;
    }
    starts[count] = at;
  }

  /**
   * The array at a key that must be there.
   *
   * @throws FormatException if it is missing or no array of strings
   */
  static PackedStrings require(Metadata metadata, String key) {
    if (metadata.value(key).orElse(null) instanceof MetadataValue.Array(MetadataArray array)
        && array.elementType() == MetadataType.STRING) {
      return new PackedStrings(array.packedBytes(), array.size());
    }
    metadata.requireStrings(key); // has the words for what is wrong
    throw new AssertionError(key);
  }

  int count() {
    return starts.length - 1;
  }

  /** Where string {@code i} begins in {@link #bytes}. */
  int start(int i) {
    return starts[i];
  }

  /** Where string {@code i} ends. */
  int end(int i) {
    return starts[i + 1] - LENGTH;
  }

  String get(int i) {
    return new String(bytes, start(i), end(i) - start(i), StandardCharsets.UTF_8);
  }
}
