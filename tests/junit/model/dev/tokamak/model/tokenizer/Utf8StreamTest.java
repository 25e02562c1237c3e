// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.Seeds;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class Utf8StreamTest {
  @Test
  void aCharacterComesWithItsLastByte() {
    var stream = new Utf8Stream();
    assertThat(stream.accept((byte) 0xf0)).isEmpty();
    assertThat(stream.accept((byte) 0x9f, (byte) 0x98)).isEmpty();
    assertThat(stream.accept((byte) 0x80, (byte) 'a', (byte) 0xc3)).isEqualTo("😀a");
    assertThat(stream.accept((byte) 0xa9)).isEqualTo("é");
    assertThat(stream.finish()).isEmpty();
  }

  @Test
  void halfACharacterAtTheEndIsOneReplacement() {
    var stream = new Utf8Stream();
    assertThat(stream.accept((byte) 0xf0, (byte) 0x9f, (byte) 0x98)).isEmpty();
    assertThat(stream.finish()).isEqualTo("\ufffd");
    assertThat(stream.accept("ok".getBytes(StandardCharsets.UTF_8))).isEqualTo("ok");
    assertThat(stream.finish()).isEmpty();
  }

  @Test
  void anyBytesGiveWhatTheyGiveAtOnce() {
    Seeds.check(
        random -> {
          for (int round = 0; round < 5_000; round++) {
            byte[] bytes = new byte[random.nextInt(24)];
            for (int i = 0; i < bytes.length; i++) {
              // Lead and trail bytes mostly, so that characters are whole, half and wrong.
              int[] kinds = {
                0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0, 0xe2, 0xed, 0xf0, 0xf4
              };
              bytes[i] =
                  (byte)
                      (random.nextInt(4) == 0
                          ? random.nextInt(256)
                          : kinds[random.nextInt(kinds.length)]);
            }
            var stream = new Utf8Stream();
            var out = new StringBuilder();
            for (int at = 0; at < bytes.length; ) {
              int to = at + random.nextInt(1, bytes.length - at + 1);
              out.append(stream.accept(Arrays.copyOfRange(bytes, at, to)));
              at = to;
            }
            assertThat(out.append(stream.finish()).toString())
                .as(Arrays.toString(bytes))
                .isEqualTo(new String(bytes, StandardCharsets.UTF_8));
          }
        });
  }
}
