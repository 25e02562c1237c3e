// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.generate.SamplerOptions.Option;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.math.BigInteger;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class SamplerOptionsTest {
  @Test
  void defaultsAreLlamaCpps() {
    assertThat(SamplerOptions.defaults().settings())
        .isEqualTo(
            "temp=0.8 top-k=40 top-p=0.95 min-p=0.05 typical=1.0 repeat-penalty=1.0"
                + " presence-penalty=0.0 frequency-penalty=0.0 repeat-last-n=64 seed=0");
    assertThat(SamplerOptions.greedy()).isEqualTo(SamplerOptions.defaults().withTemp(0));
  }

  @ParameterizedTest
  @EnumSource
  void anOptionReadsWhatItSets(Option option) {
    SamplerOptions changed = SamplerOptions.defaults().with(option, real(option) ? 0.5 : 7);
    assertThat(option.of(changed).doubleValue()).isEqualTo(real(option) ? 0.5 : 7);
    for (Option other : Option.values()) {
      if (other != option) {
        assertThat(other.of(changed)).isEqualTo(other.standard());
      }
    }
    assertThat(option.help()).isNotBlank();
  }

  private static boolean real(Option option) {
    return option.kind() == Option.Kind.REAL;
  }

  @ParameterizedTest
  @CsvSource({
    "TEMP, -0.1, 'temp: expected a number from 0 to 1000, found -0.1'",
    "TEMP, NaN, 'temp: expected a number from 0 to 1000, found NaN'",
    "TOP_P, 1.5, 'top-p: expected a number from 0 to 1, found 1.5'",
    "MIN_P, -1, 'min-p: expected a number from 0 to 1, found -1.0'",
    "TYPICAL, 2, 'typical: expected a number from 0 to 1, found 2.0'",
    "TOP_K, -1, 'top-k: expected a whole number from 0 to 2147483647, found -1.0'",
    "TOP_K, 2.5, 'top-k: expected a whole number from 0 to 2147483647, found 2.5'",
    "TOP_K, 3e9, 'top-k: expected a whole number from 0 to 2147483647, found 3.0E9'",
    "REPEAT_PENALTY, 0, 'repeat-penalty: expected a number from 0.001 to 1000, found 0.0'",
    "REPEAT_LAST_N, -2, 'repeat-last-n: expected a whole number from -1 to 2147483647, found -2.0'",
    "PRESENCE_PENALTY, Infinity, 'presence-penalty: expected a number from -1000 to 1000, found"
        + " Infinity'",
  })
  void namesTheOptionAndItsRange(Option option, double value, String message) {
    assertThatThrownBy(() -> SamplerOptions.defaults().with(option, value))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  @Test
  void aSeedIsAnyLong() {
    assertThat(SamplerOptions.defaults().withSeed(Long.MAX_VALUE).seed()).isEqualTo(Long.MAX_VALUE);
    BigInteger tooLarge = BigInteger.ONE.shiftLeft(63);
    assertThatThrownBy(() -> SamplerOptions.defaults().with(Option.SEED, tooLarge))
        .hasMessageStartingWith("seed: expected a whole number");
  }

  @Test
  void aFilesRecommendationsAreTheDefaults() {
    Metadata metadata =
        Metadata.of(
            "a.gguf",
            Map.of(
                "general.sampling.temp",
                0.6f,
                "general.sampling.top_k",
                -1,
                "general.sampling.penalty_last_n",
                128,
                "general.sampling.penalty_repeat",
                1.5f));
    assertThat(SamplerOptions.of(metadata))
        .isEqualTo(
            SamplerOptions.defaults()
                .withTemp(0.6f)
                .withTopK(0)
                .withRepeatLastN(128)
                .withRepeatPenalty(1.5));
    assertThatThrownBy(() -> SamplerOptions.of(metadata.with("general.sampling.top_p", 7f)))
        .isInstanceOf(FormatException.class)
        .hasMessage(
            "a.gguf: metadata key general.sampling.top_p: "
                + "top-p: expected a number from 0 to 1, found 7.0");
  }
}
