// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

/** What a token of a vocabulary is for; {@code tokenizer.ggml.token_type} in a GGUF file. */
public enum TokenKind {
  /** Text. */
  NORMAL(1),
  /** Stands for text that has no token. */
  UNKNOWN(2),
  /** Steers the model and is no text: begin, end, turns. Found in a text only where asked for. */
  CONTROL(3),
  /** Added to the vocabulary by hand; found in a text before anything else is. */
  USER_DEFINED(4),
  /** A place kept free. */
  UNUSED(5),
  /** One byte, written {@code <0x0A>}: how SentencePiece spells what has no token. */
  BYTE(6);

  private static final TokenKind[] KINDS = values();

  private final int code;

  TokenKind(int code) {
    this.code = code;
  }

  /** The number that GGUF files write. */
  public int code() {
    return code;
  }

  /** Whether {@code code} is a kind's. */
  static boolean isCode(int code) {
    return code >= 1 && code <= KINDS.length;
  }

  static TokenKind ofCode(int code) {
    return KINDS[code - 1];
  }
}
