// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.train.data.Question;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProblemsTest {
  private static final Pattern SUM = Pattern.compile("What is (\\d+) \\+ (\\d+)\\?");

  @ParameterizedTest
  @ValueSource(ints = {3, 9, 99, 1_000_000_000})
  void heldOutSumsAreNeverLearnt(int largest) {
    var sums = new Problems.Sums(largest, 5);
    Set<String> learnt = new HashSet<>();
    LongStream.range(0, 5000).forEach(i -> learnt.add(sums.training(i).text()));
    List<Question> heldOut = sums.heldOut(500);
    assertThat(heldOut).hasSize(500).noneMatch(p -> learnt.contains(p.text()));
    assertThat(heldOut).noneMatch(p -> learnt.contains(swapped(p.text())));
  }

  @Test
  void answersAreJudgedExactly() {
    var sums = new Problems.Sums(50, 5);
    for (long i = 0; i < 200; i++) {
      Question problem = sums.training(i);
      Matcher matcher = SUM.matcher(problem.text());
      assertThat(matcher.matches()).isTrue();
      int right = Integer.parseInt(matcher.group(1)) + Integer.parseInt(matcher.group(2));
      assertThat(problem.rule().accepts(right + "")).isTrue();
      assertThat(problem.rule().accepts((right + 1) + "")).isFalse();
    }
  }

  @Test
  void theSameSeedGivesTheSameProblems() {
    assertThat(new Problems.Sums(50, 5).training(17))
        .isEqualTo(new Problems.Sums(50, 5).training(17))
        .isNotEqualTo(new Problems.Sums(50, 6).training(17));
  }

  @Test
  void fewSumsAreLookedAtThoughTheyAreLearnt() {
    assertThat(new Problems.Sums(1, 0).heldOut(4)).hasSize(4);
  }

  private static String swapped(String question) {
    return SUM.matcher(question).replaceAll("What is $2 + $1?");
  }
}
