// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/** A list of token ids that grows. */
final class Ids {
  private int[] ids;
  private int size;

  Ids(int capacity) {
    ids = new int[capacity];
  }

  void add(int id) {
    if (size == ids.length) {
      ids = Arrays.copyOf(ids, 2 * size + 8);
    }
    ids[size++] = id;
  }

  int[] toArray() {
    return Arrays.copyOf(ids, size);
  }
}
