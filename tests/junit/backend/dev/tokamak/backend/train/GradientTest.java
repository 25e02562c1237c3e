// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.Value;
import dev.tokamak.backend.reference.ReferenceBackend;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Random;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The gradient rule of each operation against differences of the loss. */
class GradientTest {
  private static final long SEED = Long.getLong("seed", 5);
  private static final double STEP = 0.03;

  /** A small program around an operation. */
  private record Case(String name, Function<Arena, TinyTraining> program) {
    @Override
    public String toString() {
      return name;
    }
  }

  static List<Case> cases() {
    return List.of(
        around("embedding and product", 1, 8, (t, x) -> x),
        around("norm", 1, 8, (t, x) -> t.norm("n", x)),
        around(
            "norm of heads",
            2,
            4,
            (t, x) -> {
              t.headNorm("n", x);
              return x;
            }),
        around("product with bias", 1, 8, (t, x) -> t.product("w", x, 5, true)),
        around(
            "two products of one value",
            1,
            8,
            (t, x) -> {
              Value y = t.product("w", x, 6, false);
              t.add(y, t.product("u", x, 6, true));
              return y;
            }),
        around(
            "rope, interleaved",
            2,
            4,
            (t, x) -> {
              t.rope(x, Pairing.INTERLEAVED);
              return x;
            }),
        around(
            "rope, split in halves",
            1,
            8,
            (t, x) -> {
              t.rope(x, Pairing.HALF_SPLIT);
              return x;
            }),
        around("attention", 2, 4, (t, x) -> attention(t, x, 2, 2, 4)),
        around("attention, shared keys", 2, 4, (t, x) -> attention(t, x, 4, 2, 4)),
        around("attention, one key head", 1, 4, (t, x) -> attention(t, x, 3, 1, 4)),
        around(
            "gate",
            1,
            8,
            (t, x) -> t.gate(t.product("g", x, 6, false), t.product("u", x, 6, false))),
        around("gate of itself", 1, 8, (t, x) -> t.gate(x, x)),
        around(
            "add, twice the same",
            1,
            8,
            (t, x) -> {
              Value y = t.product("w", x, 8, false);
              t.add(x, y);
              t.add(x, y);
              return x;
            }),
        around(
            "adapter",
            1,
            8,
            (t, x) -> {
              t.adapt("w", 3);
              return t.product("w", x, 6, true);
            }),
        new Case(
            "transformer, interleaved",
            a -> TinyTraining.transformer(a, Pairing.INTERLEAVED, 4, 2, false)),
        new Case(
            "transformer, split in halves, adapters",
            a -> TinyTraining.transformer(a, Pairing.HALF_SPLIT, 3, 1, true)));
  }

  private interface Body {
    Value record(TinyTraining t, Value x);
  }

  private static Case around(String name, int kvHeads, int headDim, Body body) {
    return new Case(
        name,
        arena -> {
          TinyTraining t = new TinyTraining(arena, 8, kvHeads, headDim);
          return t.end(body.record(t, t.embed()));
        });
  }

  private static Value attention(TinyTraining t, Value x, int heads, int kvHeads, int headDim) {
    Value q = t.product("q", x, heads * headDim, false);
    Value k = t.product("k", x, kvHeads * headDim, false);
    Value v = t.product("v", x, kvHeads * headDim, false);
    return t.attention(0, q, k, v);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void equalsDifferencesOfTheLoss(Case one) {
    RandomGenerator random = new Random(SEED);
    try (Arena arena = Arena.ofConfined();
        var backend = new ReferenceBackend(Backends.Options.defaults())) {
      TrainingProgram program = one.program.apply(arena).training(false);
      Parameters parameters = program.parameters();
      try (TrainingReplay replay =
          backend.prepare(program, TinyTraining.shape(Arithmetic.F32))) {
        TinyTraining.fill(replay.batch(), random);
        TinyTraining.coefficients(replay.batch(), random);
        float[] weights = TinyTraining.weights(parameters, random);
        TinyTraining.write(replay, State.WEIGHTS, weights);
        replay.forward();
        replay.backward();
        float[] gradients =
            TinyTraining.read(replay, State.GRADIENTS, parameters.trainableSize());
        for (Parameter p : parameters.trainable()) {
          compare(replay, weights, gradients, p, random);
        }
      }
    }
  }

  /** Up to 24 weights of each parameter, the largest gradient among them. */
  private static void compare(
      TrainingReplay replay, float[] weights, float[] gradients, Parameter p, RandomGenerator r) {
    int at = (int) p.offset();
    int largest = at;
    for (int i = at; i < at + p.size(); i++) {
      if (Math.abs(gradients[i]) > Math.abs(gradients[largest])) {
        largest = i;
      }
    }
    double scale = Math.abs(gradients[largest]);
    assertThat(scale).as("largest gradient of %s, seed %d", p, SEED).isPositive();
    for (int probe = 0; probe < Math.min(24, p.size()); probe++) {
      int i = probe == 0 ? largest : at + r.nextInt((int) p.size());
      assertThat((double) gradients[i])
          .as("gradient %d of %s, seed %d", i - at, p, SEED)
          .isCloseTo(difference(replay, weights, i), within(1e-3 * scale + 1e-5));
    }
  }

  /** The derivative to the fourth order in the step. */
  private static double difference(TrainingReplay replay, float[] weights, int i) {
    return (8 * (loss(replay, weights, i, STEP) - loss(replay, weights, i, -STEP))
            - (loss(replay, weights, i, 2 * STEP) - loss(replay, weights, i, -2 * STEP)))
        / (12 * STEP);
  }

  private static double loss(TrainingReplay replay, float[] weights, int i, double step) {
    float[] moved = weights.clone();
    moved[i] += (float) step;
    TinyTraining.write(replay, State.WEIGHTS, moved);
    replay.forward();
    TrainingBatch batch = replay.batch();
    double loss = 0;
    for (int o = 0; o < batch.outputs(); o++) {
      loss +=
          (double) batch.logProbability(o)
              * batch.arrays().coefficients().getAtIndex(
                  JAVA_FLOAT, o);
    }
    return loss;
  }
}
