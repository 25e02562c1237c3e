// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.util.Arrays;

/**
 * Tokens that come one by one, to text: each call gives the characters that are whole by then, so
 * that half a character is never printed. What it gives in all is what {@link Tokenizer#decode}
 * gives for all tokens at once. Not to be shared between threads.
 */
public final class TokenStream {
  private final Tokenizer tokenizer;
  private final boolean special;
  private final Utf8Stream characters = new Utf8Stream();
  private boolean start; // of the text: a space there was put there by encoding

  TokenStream(Tokenizer tokenizer, boolean startOfText, boolean special) {
    this.tokenizer = tokenizer;
    this.special = special;
    this.start = startOfText && tokenizer.spaceInFront();
  }

  /**
   * The text that is whole with this token; often empty.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary
   */
  public String accept(int id) {
    byte[] bytes =
        switch (tokenizer.kind(id)) {
          case CONTROL -> special ? name(id) : new byte[0];
          case UNKNOWN -> special ? name(id) : unknown();
          case NORMAL, USER_DEFINED, UNUSED, BYTE -> withoutSpaceInFront(tokenizer.bytes(id));
        };
    return characters.accept(bytes);
  }

  /** A name leaves the text's beginning where it was, unless it has a space in front itself. */
  private byte[] name(int id) {
    byte[] bytes = tokenizer.nameBytes(id);
    return bytes.length > 0 && bytes[0] == ' ' ? withoutSpaceInFront(bytes) : bytes;
  }

  private byte[] unknown() {
    byte[] bytes = tokenizer.unknownBytes();
    start &= bytes.length == 0;
    return bytes;
  }

  private byte[] withoutSpaceInFront(byte[] bytes) {
    if (!start || bytes.length == 0) {
      return bytes;
    }
    start = bytes.length == 1 && bytes[0] == ' ' && tokenizer.removesSpaces();
    return bytes[0] == ' ' ? Arrays.copyOfRange(bytes, 1, bytes.length) : bytes;
  }

  /** The end of the text: U+FFFD if a character was left half. */
  public String finish() {
    return characters.finish();
  }
}
