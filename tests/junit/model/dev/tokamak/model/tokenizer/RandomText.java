// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.random.RandomGenerator;

/** Texts to try a tokenizer with. */
final class RandomText {
  private static final List<String> AWKWARD =
      List.of(
          (" /  /\n"
               + "/\r\n"
               + "/\t/\u0000/\u001b/\u007f/\u0085/\u00a0/\u00ad/\u0301/e\u0301/\u200b/\u200d"
               + "/\u202e/\u2028/\u3000/\ufeff/\ufffd/\uffff/\udbff\udfff/😀/👨‍👩‍👧/👍🏽/🇩🇪/한국/हिन्दी/ال/中/½/Ⅷ/'s/'LL/a/the/"
               + " the/123/.../<s>/<unk>/<0x0A>/<|im_end|>")
              .split("/"));

  private RandomText() {}

  /** Up to {@code parts} parts, each an awkward one, a letter, or any character there is. */
  static String any(RandomGenerator random, int parts) {
    var out = new StringBuilder();
    for (int i = random.nextInt(parts + 1); i > 0; i--) {
      switch (random.nextInt(3)) {
        case 0 -> out.append(AWKWARD.get(random.nextInt(AWKWARD.size())));
        case 1 -> out.append((char) random.nextInt(0x20, 0x7f));
        default -> {
          int c = random.nextInt(0x110000);
          out.appendCodePoint(c >= 0xd800 && c < 0xe000 ? c - 0xd800 : c);
        }
      }
    }
    return out.toString();
  }

  /** A text must come back from its tokens, at once and token by token. */
  static void checkRoundTrip(Tokenizer tokenizer, String text) {
    int[] ids = tokenizer.encode(text, false, false);
    assertThat(tokenizer.decode(ids)).isEqualTo(text);
    TokenStream stream = tokenizer.stream(true);
    var streamed = new StringBuilder();
    for (int id : ids) {
      String part = stream.accept(id);
      assertThat(part.isEmpty() || !Character.isLowSurrogate(part.charAt(0))).isTrue();
      streamed.append(part);
    }
    assertThat(streamed.append(stream.finish()).toString()).isEqualTo(text);
  }
}
