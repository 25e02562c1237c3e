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
    boolean control =
        switch (tokenizer.kind(id)) {
          case CONTROL, UNKNOWN -> true;
          case NORMAL, USER_DEFINED, UNUSED, BYTE -> false;
        };
    if (control) {
      return special ? characters.accept(tokenizer.bytes(id)) : "";
    }
    byte[] bytes = tokenizer.bytes(id);
    if (start && bytes.length > 0) {
      start = false;
      if (bytes[0] == ' ') {
        bytes = Arrays.copyOfRange(bytes, 1, bytes.length);
      }
    }
    return characters.accept(bytes);
  }

  /** The end of the text: U+FFFD if a character was left half. */
  public String finish() {
    return characters.finish();
  }
}
