// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * UTF-8 that comes in pieces, to text: gives whole characters only and keeps the first bytes of one
 * until the others come. What is no UTF-8 becomes U+FFFD, as often as {@code new String(bytes,
 * UTF_8)} of all the bytes would give. Not to be shared between threads.
 */
public final class Utf8Stream {
  private final CharsetDecoder decoder =
      StandardCharsets.UTF_8
          .newDecoder()
          .onMalformedInput(CodingErrorAction.REPLACE)
          .onUnmappableCharacter(CodingErrorAction.REPLACE);
  private byte[] pending = {};

  /** A stream at its beginning. */
  public Utf8Stream() {}

  /** The characters that are whole with these bytes; often none. */
  public String accept(byte... bytes) {
    return decode(bytes, false);
  }

  /** The end: U+FFFD if a character was left half. The stream is then as new. */
  public String finish() {
    String rest = decode(new byte[0], true);
    decoder.reset();
    return rest;
  }

  private String decode(byte[] bytes, boolean last) {
    byte[] all = bytes;
    if (pending.length > 0) {
      all = Arrays.copyOf(pending, pending.length + bytes.length);
      System.arraycopy(bytes, 0, all, pending.length, bytes.length);
    }
    ByteBuffer in = ByteBuffer.wrap(all);
    CharBuffer out = CharBuffer.allocate(all.length); // no byte gives more than one char
    decoder.decode(in, out, last);
    pending = Arrays.copyOfRange(all, in.position(), all.length);
    return out.flip().toString();
  }
}
