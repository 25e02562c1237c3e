// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.model.Inference;
import java.util.Arrays;

/**
 * The tokens of one conversation, and how many of them are in the cache. Those that are not are the
 * next to be run.
 */
final class Sequence {
  private final Inference inference;
  private final int number;
  private final int[] tokens;
  private int length;

  /** Begins an empty one. */
  Sequence(Inference inference) {
    this.inference = inference;
    number = inference.begin();
    tokens = new int[inference.shape().context()];
  }

  int length() {
    return length;
  }

  boolean full() {
    return length == tokens.length;
  }

  /** The tokens, of which the first {@link #length()} count. */
  int[] tokens() {
    return tokens;
  }

  int[] copy() {
    return Arrays.copyOf(tokens, length);
  }

  void append(int... more) {
    System.arraycopy(more, 0, tokens, length, more.length);
    length += more.length;
  }

  void appendOne(int token) {
    tokens[length++] = token;
  }

  /** Tokens in the cache. */
  int cached() {
    return inference.length(number);
  }

  /** Tokens that are not in the cache yet. */
  int pending() {
    return length - cached();
  }

  /** Adds the next {@code count} pending tokens to the step. */
  void run(int count) {
    int from = cached();
    for (int i = from; i < from + count; i++) {
      inference.add(number, tokens[i]);
    }
  }

  /** Takes tokens out of the cache, from {@code from} on, to be run again. */
  void uncache(int from) {
    if (from < cached()) {
      inference.truncate(number, from);
    }
  }

  /** Forgets tokens from {@code from} on. */
  void truncate(int from) {
    uncache(from);
    length = from;
  }

  void end() {
    inference.end(number);
  }
}
