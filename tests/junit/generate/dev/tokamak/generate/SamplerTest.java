// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.testing.Allocations;
import dev.tokamak.testing.Seeds;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The sampler against its law, spelled out with sorted lists and maps. */
class SamplerTest {
  /** Everything off but the draw. */
  private static final SamplerOptions PLAIN =
      SamplerOptions.defaults().withTemp(1).withTopK(0).withTopP(1).withMinP(0);

  private static final int[] NOTHING = {};

  /** A token that is left, and its logit after penalties. */
  private record Left(int id, double logit) {}

  /** The law: what is left after the cuts, by id. */
  private static List<Left> law(SamplerOptions o, float[] logits, int[] history) {
    List<Left> left = new ArrayList<>();
    int window = o.repeatLastN() < 0 ? history.length : Math.min(o.repeatLastN(), history.length);
    int[] recent = Arrays.copyOfRange(history, history.length - window, history.length);
    for (int id = 0; id < logits.length; id++) {
      int token = id;
      long times = Arrays.stream(recent).filter(t -> t == token).count();
      double logit = logits[id];
      if (times > 0) {
        logit = logit > 0 ? logit / o.repeatPenalty() : logit * o.repeatPenalty();
        logit -= times * o.frequencyPenalty() + o.presencePenalty();
      }
      left.add(new Left(id, logit));
    }
    Comparator<Left> likeliest =
        Comparator.comparingDouble(Left::logit).reversed().thenComparing(Left::id);
    if (o.topK() > 0) {
      left = left.stream().sorted(likeliest).limit(o.topK()).toList();
    }
    if (o.typical() < 1) {
      Map<Integer, Double> p = softmax(left, 1);
      double entropy = p.values().stream().mapToDouble(q -> q == 0 ? 0 : -q * Math.log(q)).sum();
      Comparator<Left> mostTypical =
          Comparator.<Left>comparingDouble(t -> Math.abs(-Math.log(p.get(t.id)) - entropy))
              .thenComparing(Left::id);
      double sum = 0;
      List<Left> kept = new ArrayList<>();
      for (Left token : left.stream().sorted(mostTypical).toList()) {
        kept.add(token);
        sum += p.get(token.id);
        if (sum > o.typical()) {
          break;
        }
      }
      left = kept;
    }
    if (o.topP() < 1) {
      Map<Integer, Double> p = softmax(left, 1);
      double sum = 0;
      List<Left> kept = new ArrayList<>();
      for (Left token : left.stream().sorted(likeliest).toList()) {
        kept.add(token);
        sum += p.get(token.id);
        if (sum >= o.topP()) {
          break;
        }
      }
      left = kept;
    }
    Map<Integer, Double> p = softmax(left, 1);
    double max = p.values().stream().mapToDouble(q -> q).max().orElseThrow();
    double least = o.minP() * max;
    return left.stream()
        .filter(token -> p.get(token.id) >= least)
        .sorted(Comparator.comparing(Left::id))
        .toList();
  }

  private static Map<Integer, Double> softmax(List<Left> left, double temperature) {
    double max = left.stream().mapToDouble(Left::logit).max().orElseThrow();
    Map<Integer, Double> p = new TreeMap<>();
    left.forEach(token -> p.put(token.id, Math.exp((token.logit - max) / temperature)));
    double total = p.values().stream().mapToDouble(q -> q).sum();
    p.replaceAll((id, q) -> q / total);
    return p;
  }

  static Stream<UnaryOperator<SamplerOptions>> cuts() {
    return Stream.of(
        o -> o,
        o -> o.withTemp(0.3),
        o -> o.withTemp(3),
        o -> o.withTopK(1),
        o -> o.withTopK(7),
        o -> o.withTopK(1000),
        o -> o.withTopP(0.9),
        o -> o.withTopP(0.1),
        o -> o.withTopP(0),
        o -> o.withMinP(0.05),
        o -> o.withMinP(0.6),
        o -> o.withTypical(0.9),
        o -> o.withTypical(0.2),
        o -> o.withTypical(0),
        o -> o.withRepeatPenalty(1.3),
        o -> o.withRepeatPenalty(0.7).withRepeatLastN(3),
        o -> o.withPresencePenalty(1.5),
        o -> o.withFrequencyPenalty(0.4).withRepeatLastN(-1),
        o -> o.withFrequencyPenalty(0.4).withPresencePenalty(2).withRepeatLastN(0),
        o -> o.withTopK(40).withTopP(0.95).withMinP(0.05).withTemp(0.8),
        o -> o.withTopK(30).withTypical(0.8).withTopP(0.7).withMinP(0.2).withTemp(1.7),
        o ->
            o.withRepeatPenalty(1.1)
                .withPresencePenalty(0.3)
                .withFrequencyPenalty(0.2)
                .withTopK(20)
                .withTypical(0.95)
                .withTopP(0.9)
                .withMinP(0.1)
                .withTemp(0.5));
  }

  @ParameterizedTest
  @MethodSource("cuts")
  void followsTheLaw(UnaryOperator<SamplerOptions> cut) {
    Seeds.check(
        random -> {
          for (int i = 0; i < 60; i++) {
            int vocabulary = random.nextInt(1, 130);
            float[] logits = logits(vocabulary, random);
            int[] history = random.ints(random.nextInt(200), 0, vocabulary).toArray();
            SamplerOptions options = cut.apply(PLAIN).withSeed(random.nextLong());
            Sampler sampler = new Sampler(vocabulary);
            float[] before = logits.clone();
            int token = sampler.sample(options, logits, history, history.length);
            assertThat(logits).isEqualTo(before);
            compare(sampler, token, options, logits, history);
          }
        });
  }

  private static void compare(
      Sampler sampler, int token, SamplerOptions options, float[] logits, int[] history) {
    Map<Integer, Double> expected = softmax(law(options, logits, history), options.temp());
    int[] kept = new int[sampler.kept()];
    Arrays.setAll(kept, sampler::keptId);
    assertThat(kept)
        .as(options.settings())
        .isEqualTo(expected.keySet().stream().mapToInt(id -> id).toArray());
    double total = 0;
    for (int i = 0; i < kept.length; i++) {
      total += sampler.keptWeight(i);
    }
    double cumulative = 0;
    double random = Sampler.uniform(options.seed(), history.length);
    int drawn = -1;
    for (int i = 0; i < kept.length; i++) {
      double p = expected.get(kept[i]);
      assertThat(sampler.keptWeight(i) / total).isCloseTo(p, within(1e-12));
      cumulative += p;
      if (drawn < 0 && random < cumulative) {
        drawn = kept[i];
      }
    }
    assertThat(token).isEqualTo(drawn);
  }

  /** With an outlier now and then, and neighbours far apart and close together. */
  private static float[] logits(int vocabulary, RandomGenerator random) {
    float[] logits = new float[vocabulary];
    double spread = Math.exp(random.nextDouble(-2, 3));
    for (int id = 0; id < vocabulary; id++) {
      logits[id] = (float) (spread * random.nextGaussian());
    }
    if (random.nextInt(4) == 0) {
      logits[random.nextInt(vocabulary)] = random.nextBoolean() ? 300 : -3e38f;
    }
    return logits;
  }

  @Test
  void tiesGoToTheLowerId() {
    float[] logits = {1, 3, 3, 0, 3, 3};
    Sampler sampler = new Sampler(logits.length);
    assertThat(sampler.sample(SamplerOptions.greedy(), logits, NOTHING, 0)).isEqualTo(1);
    assertThat(kept(sampler, PLAIN.withTopK(3), logits)).containsExactly(1, 2, 4);
    assertThat(kept(sampler, PLAIN.withTopP(0.4), logits)).containsExactly(1, 2);
    assertThat(kept(sampler, PLAIN.withMinP(1), logits)).containsExactly(1, 2, 4, 5);
    assertThat(kept(sampler, PLAIN.withTypical(0.4), logits)).containsExactly(1, 2);
    float[] zeros = {-0f, 0f, -0f};
    assertThat(new Sampler(3).sample(SamplerOptions.greedy(), zeros, NOTHING, 0)).isEqualTo(0);
  }

  private static List<Integer> kept(Sampler sampler, SamplerOptions options, float[] logits) {
    sampler.sample(options, logits, NOTHING, 0);
    List<Integer> ids = new ArrayList<>();
    for (int i = 0; i < sampler.kept(); i++) {
      ids.add(sampler.keptId(i));
    }
    return ids;
  }

  @Test
  void temperatureZeroTakesTheLargestAfterPenalties() {
    float[] logits = {2, 5, 4.5f, -1};
    int[] history = {1, 3, 1};
    SamplerOptions greedy = SamplerOptions.greedy().withTypical(0.01).withTopK(1);
    assertThat(sample(greedy, logits, history)).isEqualTo(1);
    assertThat(sample(greedy.withPresencePenalty(0.4), logits, history)).isEqualTo(1);
    assertThat(sample(greedy.withPresencePenalty(0.6), logits, history)).isEqualTo(2);
    assertThat(sample(greedy.withFrequencyPenalty(0.2), logits, history)).isEqualTo(1);
    assertThat(sample(greedy.withFrequencyPenalty(0.3), logits, history)).isEqualTo(2);
    assertThat(sample(greedy.withRepeatPenalty(1.2), logits, history)).isEqualTo(2);
    assertThat(sample(greedy.withRepeatPenalty(1.2).withRepeatLastN(0), logits, history))
        .isEqualTo(1);
  }

  private static int sample(SamplerOptions options, float[] logits, int[] history) {
    return new Sampler(logits.length).sample(options, logits, history, history.length);
  }

  /** The first numbers of SplitMix64 with seed 0, as published with its source. */
  @Test
  void theGeneratorIsSplitMix64() {
    assertThat(Sampler.uniform(0, 0)).isEqualTo((0xe220a8397b1dcdafL >>> 11) * 0x1p-53);
    assertThat(Sampler.uniform(0, 1)).isEqualTo((0x6e789e6aa1b965f4L >>> 11) * 0x1p-53);
    assertThat(Sampler.uniform(0, 2)).isEqualTo((0x06c45d188009454fL >>> 11) * 0x1p-53);
  }

  /** Neighbouring seeds and indices give numbers that look alike in nothing. */
  @Test
  void seedsAreIndependent() {
    double sum = 0;
    double products = 0;
    int n = 100_000;
    for (int seed = 0; seed < n; seed++) {
      double here = Sampler.uniform(seed, 5) - 0.5;
      sum += here;
      products += here * (Sampler.uniform(seed + 1, 5) - 0.5);
    }
    assertThat(sum / n).isCloseTo(0, within(0.005)); // 5 deviations of 0.289 / sqrt(n)
    assertThat(products / n).isCloseTo(0, within(0.0014)); // 5 deviations of 1 / 12 / sqrt(n)
  }

  /** Written down once: another value means that old seeds no longer repeat. */
  @Test
  void seedsRepeatForEver() {
    float[] logits = new float[100];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (i * 37 % 100) / 10f;
    }
    int[] tokens = new int[12];
    Sampler sampler = new Sampler(logits.length);
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = sampler.sample(SamplerOptions.defaults().withSeed(42), logits, tokens, i);
    }
    assertThat(tokens).containsExactly(54, 16, 16, 8, 97, 27, 27, 16, 75, 27, 75, 86);
  }

  @ParameterizedTest
  @ValueSource(ints = {320, 150_001})
  void allocatesNothing(int vocabulary) {
    Seeds.check(
        random -> {
          float[] logits = new float[vocabulary];
          for (int i = 0; i < vocabulary; i++) {
            logits[i] = (float) random.nextGaussian();
          }
          int[] history = random.ints(1100, 0, vocabulary).toArray();
          SamplerOptions options =
              SamplerOptions.defaults()
                  .withRepeatPenalty(1.1)
                  .withTopK(vocabulary < 1000 ? 0 : 40)
                  .withTypical(0.9)
                  .withSeed(random.nextLong());
          Sampler sampler = new Sampler(vocabulary);
          int steps = vocabulary < 1000 ? 1000 : 20;
          for (int i = 0; i < 100; i++) {
            sampler.sample(options, logits, history, i);
            sampler.sample(SamplerOptions.greedy(), logits, history, i);
          }
          SamplerOptions greedy = SamplerOptions.greedy();
          long before = Allocations.bytes();
          for (int i = 0; i < steps; i++) {
            sampler.sample(options, logits, history, 100 + i);
            sampler.sample(greedy, logits, history, 100 + i);
          }
          assertThat(Allocations.bytes() - before).isZero();
        });
  }
}
