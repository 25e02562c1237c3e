// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

/** The tokens {@code <0x00>} to {@code <0xFF>}, which spell a character that has no token. */
final class ByteTokens {
  private final int[] ids = new int[256]; // or -1

  /**
   * @throws dev.tokamak.model.format.FormatException if a token of kind byte is none of these
   */
  ByteTokens(Vocabulary vocabulary) {
    for (int b = 0; b < ids.length; b++) {
      ids[b] = vocabulary.find(name(b));
    }
    for (int id = 0; id < vocabulary.size(); id++) {
      if (vocabulary.kind(id) == TokenKind.BYTE && byteOf(vocabulary.text(id)) < 0) {
        throw Vocabulary.error(
            vocabulary.source(),
            Vocabulary.TOKENS + "[" + id + "]",
            "expected <0x00> to <0xFF> for a token of kind byte, found " + vocabulary.text(id));
      }
    }
  }

  /** The token's text. */
  static String name(int b) {
    char high = Character.toUpperCase(Character.forDigit(b >> 4, 16));
    char low = Character.toUpperCase(Character.forDigit(b & 0xf, 16));
    return "<0x" + high + low + ">";
  }

  /** The byte of a token's text, or -1. */
  static int byteOf(String text) {
    int high = text.length() == 6 ? Character.digit(text.charAt(3), 16) : -1;
    int low = text.length() == 6 ? Character.digit(text.charAt(4), 16) : -1;
    boolean framed = text.startsWith("<0x") && text.endsWith(">");
    return framed && high >= 0 && low >= 0 ? high << 4 | low : -1;
  }

  /** Adds the tokens of some bytes, if all have one; whether they do. */
  boolean spell(byte[] utf8, int from, int to, Ids out) {
    for (int i = from; i < to; i++) {
      if (ids[utf8[i] & 0xff] < 0) {
        return false;
      }
    }
    for (int i = from; i < to; i++) {
      out.add(ids[utf8[i] & 0xff]);
    }
    return true;
  }
}
