// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PreTokenizerTest {
  private static final String FILE = "words.cases";

  @TestFactory
  Stream<DynamicTest> words() {
    var tests = new ArrayList<DynamicTest>();
    List<String> names = List.of();
    for (CaseFile.Row row : CaseFile.read(FILE)) {
      if (row.word(0).equals("split")) {
        names = row.words().subList(1, row.words().size());
        continue;
      }
      assertThat(row.word(0)).isEqualTo("words");
      for (String name : names) {
        tests.add(
            DynamicTest.dynamicTest(
                name + ", " + row.place(),
                () -> assertThat(split(name, row.word(1))).isEqualTo(row.expected())));
      }
    }
    return tests.stream();
  }

  @Test
  void everyNameHasCases() {
    var names = new TreeSet<String>();
    for (CaseFile.Row row : CaseFile.read(FILE)) {
      if (row.word(0).equals("split")) {
        names.addAll(row.words().subList(1, row.words().size()));
      }
    }
    assertThat(names).isEqualTo(PreTokenizer.names());
  }

  @Test
  void aNameThatIsNotKnownIsNone() {
    assertThat(PreTokenizer.named("GPT-2")).isEmpty();
    assertThat(PreTokenizer.named("")).isEmpty();
  }

  /** A hundred thousand characters are a minute for what is quadratic, and a deep stack. */
  @ParameterizedTest
  @MethodSource("differentNames")
  @Timeout(value = 20, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void longRunsAreLinear(String name) {
    List<String> runs =
        List.of(
            "a", "A", " ", "\n", "1", ".", "😀", "中", "\u0301", "A\u0301", " \n", "'", "\u0001");
    for (String run : runs) {
      for (String end : List.of("", "a", "中")) {
        String text = run.repeat(100_000 / run.length()) + end;
        assertThat(String.join("", split(name, text))).isEqualTo(text);
      }
    }
  }

  /** One name for each set of patterns. */
  static Stream<String> differentNames() {
    return CaseFile.read(FILE).stream()
        .filter(row -> row.word(0).equals("split"))
        .map(row -> row.word(1));
  }

  private static List<String> split(String name, String text) {
    var words = new ArrayList<String>();
    PreTokenizer.named(name)
        .orElseThrow()
        .splitter(text)
        .split(0, text.length(), (from, to) -> words.add(text.substring(from, to)));
    return words;
  }
}
