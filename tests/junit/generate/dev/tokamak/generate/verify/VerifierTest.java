// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.verify;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigDecimal;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VerifierTest {
  @ParameterizedTest
  @CsvSource({
    "7, true",
    "the answer is 7., true",
    "3 + 4 = 7, true",
    "7.0, true",
    "07, true",
    "7 or 8, false",
    "77, false",
    "-7, false",
    "7.5, false",
    "seven, false",
    "1.7, false",
  })
  void theLastNumberCounts(String answer, boolean right) {
    assertThat(new Verifier.Number(BigDecimal.valueOf(7)).accepts(answer)).isEqualTo(right);
  }

  @Test
  void numbersWithoutEndAreNoNumbers() {
    assertThat(new Verifier.Number(BigDecimal.ONE).accepts("1".repeat(100_000))).isFalse();
    assertThat(new Verifier.Number(BigDecimal.valueOf(-3)).accepts("it is -3")).isTrue();
  }

  @Test
  void wordsAreWholeAndInAnyCase() {
    var rule = new Verifier.Contains(List.of("Cat", "ran"));
    assertThat(rule.accepts("The cat RAN!")).isTrue();
    assertThat(rule.accepts("cat, concatenated, ran")).isTrue();
    assertThat(rule.accepts("The cats ran")).isFalse();
    assertThat(rule.accepts("concat ran")).isFalse();
    assertThat(rule.accepts("the cat")).isFalse();
    assertThat(rule.accepts("")).isFalse();
  }

  @Test
  void exactAndPatternLetBlanksAtTheEndsBy() {
    assertThat(new Verifier.Exact("a b").accepts(" a b\n")).isTrue();
    assertThat(new Verifier.Exact("a b").accepts("a  b")).isFalse();
    assertThat(new Verifier.Matches(Pattern.compile("[0-9]+ apples")).accepts("12 apples\n"))
        .isTrue();
    assertThat(new Verifier.Matches(Pattern.compile("[0-9]+")).accepts("12 apples")).isFalse();
  }
}
