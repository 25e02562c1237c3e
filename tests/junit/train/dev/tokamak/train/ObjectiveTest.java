// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.train.TrainingBatch;
import dev.tokamak.backend.train.TrainingShape;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.testing.Golden;
import dev.tokamak.testing.Seeds;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

class ObjectiveTest {
  /** Coefficients are the loss's slopes. */
  @ParameterizedTest
  @ValueSource(strings = {"cross-entropy", "preference", "likely preference", "policy", "wide"})
  void coefficientsAreSlopes(String name) {
    Seeds.check(
        random -> {
          try (Arena arena = Arena.ofConfined()) {
            List<Example> part = part(random);
            TrainingBatch batch = batch(part, arena);
            Map<Long, float[]> reference = logProbabilities(part, random);
            Objective objective = objective(name, reference, logProbabilities(part, random), part);
            double total = 7;
            fill(batch, random);
            objective.loss(part, batch, total);
            float[] slopes = batch.arrays().coefficients().toArray(JAVA_FLOAT);
            for (int o = 0; o < batch.outputs(); o++) {
              float h = 1f / 256;
              double at = lossAt(objective, part, batch, total, o, 0);
              double up = (lossAt(objective, part, batch, total, o, h) - at) / h;
              double down = (at - lossAt(objective, part, batch, total, o, -h)) / h;
              // Where a clip begins within h there are two slopes, and a curve is bent a little.
              double bend = 1e-5 + h * Math.abs(slopes[o]);
              assertThat((double) slopes[o])
                  .as(name + " output " + o)
                  .isBetween(Math.min(up, down) - bend, Math.max(up, down) + bend);
              assertThat(slopes[o] != 0 || up == 0 || down == 0).isTrue();
            }
          }
        });
  }

  /** Loss and coefficients of each objective, as PyTorch's autograd has them. */
  @ParameterizedTest
  @ValueSource(strings = {"cross_entropy", "dpo", "dpo_nll", "grpo", "grpo_kl"})
  void torchAgrees(String name) {
    JsonNode golden = Golden.json("train/objectives.json");
    JsonNode expected = golden.get("cases").get(name);
    List<Example> part = new ArrayList<>();
    for (JsonNode e : golden.get("examples")) {
      int targets = e.get("targets").asInt();
      part.add(
          Example.answer(
              part.size(), new int[targets + 2], 2, e.get(weightOf(name)).asDouble()));
    }
    Objective objective =
        switch (name) {
          case "cross_entropy" -> new CrossEntropy();
          case "dpo" -> new DirectPreference(0.3, 0, golden(golden, "reference", part));
          case "dpo_nll" -> new DirectPreference(0.3, 0.5, golden(golden, "reference", part));
          case "grpo" -> new PolicyGradient(0.2, 0, 2);
          default -> new PolicyGradient(0.2, 0.1, 2);
        };
    try (Arena arena = Arena.ofConfined()) {
      TrainingBatch batch = batch(part, arena);
      double total = objective.size(part);
      if (objective instanceof PolicyGradient policy) {
        policy.begin(golden(golden, "reference", part), Map.of());
        set(batch, golden.get("old"));
        policy.loss(part, batch, total);
      }
      set(batch, golden.get("now"));
      assertThat(objective.loss(part, batch, total))
          .isEqualTo(expected.get("loss").asDouble(), within(1e-6));
      for (int o = 0; o < batch.outputs(); o++) {
        assertThat((double) batch.arrays().coefficients().getAtIndex(JAVA_FLOAT, o))
            .as("output " + o)
            .isEqualTo(expected.get("coefficients").get(o).asDouble(), within(1e-6));
      }
    }
  }

  /** The advantages that the golden losses were made with. */
  @Test
  void advantagesAreThoseOfTorch() {
    JsonNode golden = Golden.json("train/objectives.json");
    int example = 0;
    for (JsonNode group : golden.get("rewards")) {
      double[] rewards = {group.get(0).asDouble(), group.get(1).asDouble()};
      for (double advantage : Rollouts.advantages(rewards)) {
        assertThat(advantage)
            .isEqualTo(
                golden.get("examples").get(example++).get("advantage").asDouble(), within(1e-12));
      }
    }
    assertThat(Rollouts.advantages(new double[] {1, 1, 1})).containsOnly(0);
    double[] three = Rollouts.advantages(new double[] {1, 0, 0});
    assertThat(three[0]).isEqualTo(Math.sqrt(2), within(1e-12));
    assertThat(three[1]).isEqualTo(-Math.sqrt(0.5), within(1e-12));
  }

  private static String weightOf(String name) {
    return switch (name) {
      case "cross_entropy" -> "weight";
      case "grpo", "grpo_kl" -> "advantage";
      default -> "one";
    };
  }

  private static Map<Long, float[]> golden(JsonNode golden, String key, List<Example> part) {
    Map<Long, float[]> all = new HashMap<>();
    int output = 0;
    for (Example e : part) {
      float[] values = new float[e.outputs()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) golden.get(key).get(output++).asDouble();
      }
      all.put(e.id(), values);
    }
    return all;
  }

  private static void set(TrainingBatch batch, JsonNode values) {
    assertThat(values.size()).isEqualTo(batch.outputs());
    for (int o = 0; o < batch.outputs(); o++) {
      batch.arrays().logProbabilities().setAtIndex(JAVA_FLOAT, o, (float) values.get(o).asDouble());
    }
  }

  @Test
  void preferenceCountsWhatIsRanked() {
    try (Arena arena = Arena.ofConfined()) {
      List<Example> part =
          List.of(
              Example.answer(0, new int[3], 2, 1),
              Example.answer(1, new int[3], 2, 1),
              Example.answer(2, new int[3], 2, 1),
              Example.answer(3, new int[3], 2, 1));
      TrainingBatch batch = batch(part, arena);
      float[] values = {-1, -2, -4, -3};
      for (int o = 0; o < 4; o++) {
        batch.arrays().logProbabilities().setAtIndex(JAVA_FLOAT, o, values[o]);
      }
      Map<Long, float[]> zero = new HashMap<>();
      part.forEach(e -> zero.put(e.id(), new float[1]));
      DirectPreference preference = new DirectPreference(0.5, 0, zero);
      preference.loss(part, batch, 2);
      assertThat(preference.takeMeasures()).containsEntry("accuracy", 0.5);
      assertThat(preference.takeMeasures()).containsEntry("accuracy", 0.0);
    }
  }

  private static double lossAt(
      Objective objective, List<Example> part, TrainingBatch batch, double total, int o, float by) {
    float before = batch.logProbability(o);
    var values = batch.arrays().logProbabilities();
    values.setAtIndex(JAVA_FLOAT, o, before + by);
    double loss = objective.loss(part, batch, total);
    values.setAtIndex(JAVA_FLOAT, o, before);
    return loss;
  }

  private static Objective objective(
      String name, Map<Long, float[]> reference, Map<Long, float[]> old, List<Example> part) {
    return switch (name) {
      case "cross-entropy" -> new CrossEntropy();
      case "preference" -> new DirectPreference(0.3, 0, reference);
      case "likely preference" -> new DirectPreference(0.3, 0.7, reference);
      case "policy" -> policy(new PolicyGradient(0.2, 0.4, 1), reference, old, part);
      case "wide" -> policy(new PolicyGradient(0.9, 0, 1), reference, old, part);
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** One that has seen answers with other log probabilities before. */
  private static PolicyGradient policy(
      PolicyGradient policy,
      Map<Long, float[]> reference,
      Map<Long, float[]> old,
      List<Example> part) {
    policy.begin(reference, Map.of());
    try (Arena arena = Arena.ofConfined()) {
      TrainingBatch batch = batch(part, arena);
      int output = 0;
      for (Example e : part) {
        for (float value : old.get(e.id())) {
          batch.arrays().logProbabilities().setAtIndex(JAVA_FLOAT, output++, value);
        }
      }
      policy.loss(part, batch, 1);
    }
    return policy;
  }

  private static List<Example> part(RandomGenerator random) {
    List<Example> part = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      int tokens = random.nextInt(3, 7);
      part.add(Example.answer(i, new int[tokens], 2, random.nextDouble(-1, 1)));
    }
    return part;
  }

  private static TrainingBatch batch(List<Example> part, Arena arena) {
    int rows = part.stream().mapToInt(Example::rows).sum();
    TrainingBatch batch = new TrainingBatch(new TrainingShape(rows, rows, Arithmetic.F32), arena);
    part.forEach(e -> e.addTo(batch));
    return batch;
  }

  private static Map<Long, float[]> logProbabilities(List<Example> part, RandomGenerator random) {
    Map<Long, float[]> all = new HashMap<>();
    for (Example e : part) {
      float[] values = new float[e.outputs()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) -random.nextDouble(1, 1.5);
      }
      all.put(e.id(), values);
    }
    return all;
  }

  private static void fill(TrainingBatch batch, RandomGenerator random) {
    for (int o = 0; o < batch.outputs(); o++) {
      float value = (float) -random.nextDouble(1, 1.5);
      batch.arrays().logProbabilities().setAtIndex(JAVA_FLOAT, o, value);
    }
  }
}
