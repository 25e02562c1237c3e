// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Orders are orders: each item as often as it should be, wherever one enters. */
class MixtureTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 17, 255, 256, 257, 10_007})
  void aPermutationHasEachNumberOnce(long size) {
    var permutation = new Permutation(size, 42);
    assertThat(LongStream.range(0, size).map(permutation::at).distinct().count()).isEqualTo(size);
    assertThat(LongStream.range(0, size).map(permutation::at)).allMatch(n -> n >= 0 && n < size);
  }

  @Test
  void keysMakeOrdersThatHaveNothingInCommon() {
    int size = 1000;
    var first = new Permutation(size, 1);
    var second = new Permutation(size, 2);
    long same = LongStream.range(0, size).filter(i -> first.at(i) == second.at(i)).count();
    long neighbours =
        LongStream.range(1, size).filter(i -> first.at(i) == first.at(i - 1) + 1).count();
    long fixed = LongStream.range(0, size).filter(i -> first.at(i) == i).count();
    // Each is 1 on average.
    assertThat(List.of(same, neighbours, fixed)).allMatch(n -> n < 12);
  }

  @Test
  void hugePermutationsNeedNoMemory() {
    var permutation = new Permutation(1L << 40, 7);
    var seen = new HashSet<Long>();
    for (long i = 0; i < 1000; i++) {
      seen.add(permutation.at((1L << 40) - 1 - i));
    }
    assertThat(seen).hasSize(1000).allMatch(n -> n >= 0 && n < 1L << 40);
  }

  @Test
  void listsGiveTheirSharesAndEveryItemEvenly() {
    var mixture =
        new Mixture(
            List.of(
                new Mixture.Part(10, 1), new Mixture.Part(20, 0.25), new Mixture.Part(4, 2.5)), 3);
    assertThat(mixture.size()).isEqualTo(10 + 5 + 10);
    Map<String, Integer> counts = new HashMap<>();
    int epochs = 4; // in which the second list is seen once, the third ten times
    for (long position = 0; position < epochs * mixture.size(); position++) {
      Mixture.Draw draw = mixture.at(position);
      counts.merge(draw.part() + "/" + draw.item(), 1, Integer::sum);
    }
    assertThat(counts).hasSize(34);
    counts.forEach(
        (item, count) ->
            assertThat(count).as(item).isEqualTo(List.of(4, 1, 10).get(item.charAt(0) - '0')));
  }

  @Test
  void epochsDiffer() {
    var mixture = new Mixture(List.of(new Mixture.Part(50, 1)), 3);
    List<Long> first = LongStream.range(0, 50).mapToObj(i -> mixture.at(i).item()).toList();
    List<Long> second = LongStream.range(50, 100).mapToObj(i -> mixture.at(i).item()).toList();
    assertThat(first).isNotEqualTo(second).containsExactlyInAnyOrderElementsOf(second);
  }

  @Test
  void oneOfEachSoManyIsHeldOut() {
    Split heldOut = Split.of(0.01, 5);
    for (long block = 0; block < 300; block++) {
      assertThat(LongStream.range(block * 100, block * 100 + 100).filter(heldOut::holds).count())
          .isEqualTo(1);
      assertThat(heldOut.holds(block * 100)).isFalse();
    }
    assertThat(LongStream.range(0, 10_000).filter(heldOut::holds).map(i -> i % 100).distinct())
        .hasSizeGreaterThan(30);
    assertThat(LongStream.range(0, 1000).filter(Split.of(0, 5)::holds)).isEmpty();
    assertThat(LongStream.range(0, 1000).filter(Split.of(0.5, 5)::holds)).hasSize(500);
  }
}
