// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The tokens of a model: id to text and kind, and text to id by one open-addressing table over the
 * file's own bytes.
 */
final class Vocabulary {
  static final String TOKENS = "tokenizer.ggml.tokens";
  static final String KINDS = "tokenizer.ggml.token_type";

  private final String source;
  private final PackedStrings texts;
  private final byte[] kinds;
  private final int[] table; // id + 1, or 0 where free; a power of two, at most half full
  private final int longest;

  private Vocabulary(String source, PackedStrings texts, byte[] kinds) {
    this.source = source;
    this.texts = texts;
    this.kinds = kinds;
    this.table = new int[Integer.highestOneBit(Math.max(texts.count(), 2)) * 4];
    int longestYet = 0;
    for (int id = 0; id < texts.count(); id++) {
      longestYet = Math.max(longestYet, texts.end(id) - texts.start(id));
      enter(id);
    }
    this.longest = longestYet;
  }

  /**
   * @throws FormatException if there is no token, two tokens have one text, or kinds are missing
   *     for some tokens or unheard of
   */
  static Vocabulary of(Metadata metadata) {
    PackedStrings texts = PackedStrings.require(metadata, TOKENS);
    String source = metadata.source();
    int size = texts.count();
    if (size == 0) {
      throw error(source, TOKENS, "the vocabulary is empty");
    }
    byte[] kinds = new byte[size];
    Arrays.fill(kinds, (byte) TokenKind.NORMAL.code());
    if (metadata.has(KINDS)) {
      int[] codes = metadata.ints(KINDS).get();
      requireOnePerToken(source, KINDS, codes.length, size);
      for (int id = 0; id < size; id++) {
        if (!TokenKind.isCode(codes[id])) {
          throw error(
              source, KINDS + "[" + id + "]", "expected a kind, 1 to 6, found " + codes[id]);
        }
        kinds[id] = (byte) codes[id];
      }
    }
    return new Vocabulary(source, texts, kinds);
  }

  /** A table beside the tokens must be as long as they are. */
  static void requireOnePerToken(String source, String key, int length, int tokens) {
    if (length != tokens) {
      throw error(
          source, key, "expected one for each of the " + tokens + " tokens, found " + length);
    }
  }

  static FormatException error(String source, String key, String problem) {
    return FormatException.at(source, "metadata key " + key, problem);
  }

  String source() {
    return source;
  }

  int size() {
    return texts.count();
  }

  /** Bytes of the longest token's text. */
  int longest() {
    return longest;
  }

  TokenKind kind(int id) {
    return TokenKind.ofCode(kinds[id]);
  }

  /** Corrects a token's kind; only while a tokenizer is made. */
  void kind(int id, TokenKind kind) {
    kinds[id] = (byte) kind.code();
  }

  /** The token's text as the file has it. */
  String text(int id) {
    return texts.get(id);
  }

  /** The UTF-8 bytes of the token's text. */
  byte[] utf8(int id) {
    return Arrays.copyOfRange(texts.bytes, texts.start(id), texts.end(id));
  }

  /** The token whose text is this, or -1. */
  int find(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    return find(utf8, 0, utf8.length);
  }

  /** The token whose text is these bytes, or -1. */
  int find(byte[] utf8, int from, int to) {
    if (to - from > longest) {
      return -1;
    }
    int mask = table.length - 1;
    for (int slot = hash(utf8, from, to) & mask; ; slot = slot + 1 & mask) {
      int id = table[slot] - 1;
      if (id < 0) {
        return -1;
      }
      if (Arrays.equals(utf8, from, to, texts.bytes, texts.start(id), texts.end(id))) {
        return id;
      }
    }
  }

  /** As {@link #find(byte[], int, int)}, for text: a token of another kind has a name, no text. */
  int findText(byte[] utf8, int from, int to) {
    int id = find(utf8, from, to);
    boolean text =
        id >= 0
            && switch (kind(id)) {
              case NORMAL, USER_DEFINED, UNUSED -> true;
              case CONTROL, UNKNOWN, BYTE -> false;
            };
    return text ? id : -1;
  }

  private void enter(int id) {
    int from = texts.start(id);
    int to = texts.end(id);
    if (from == to) {
      return; // stands for nothing and is found nowhere
    }
    int mask = table.length - 1;
    int slot = hash(texts.bytes, from, to) & mask;
    while (table[slot] != 0) {
      int other = table[slot] - 1;
      if (Arrays.equals(texts.bytes, from, to, texts.bytes, texts.start(other), texts.end(other))) {
        throw error(
            source, TOKENS, "token '" + text(id) + "' stands twice: as " + other + " and as " + id);
      }
      slot = slot + 1 & mask;
    }
    table[slot] = id + 1;
  }

  private static int hash(byte[] bytes, int from, int to) {
    int h = to - from;
    for (int i = from; i < to; i++) {
      h = (h ^ bytes[i]) * 0x01000193;
    }
    return h ^ h >>> 15;
  }
}
