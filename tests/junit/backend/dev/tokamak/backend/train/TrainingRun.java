// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Operation.Rope.Pairing;
import dev.tokamak.backend.train.TrainingReplay.State;
import dev.tokamak.backend.train.TrainingShape.Arithmetic;
import dev.tokamak.backend.train.Update.Optimizer;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Function;

/** A whole training of a few steps of a tiny program, on any backend. */
public record TrainingRun(
    String name,
    Function<Arena, TinyTraining> program,
    boolean recompute,
    Arithmetic arithmetic,
    Optimizer optimizer) {
  public static final long SEED = Long.getLong("seed", 11);
  private static final int STEPS = 3;

  /** Every kind of program, arithmetic and optimiser. */
  public static List<TrainingRun> all() {
    List<TrainingRun> runs = new ArrayList<>();
    for (Arithmetic arithmetic : Arithmetic.values()) {
      for (Optimizer optimizer : Optimizer.values()) {
        String how = ", " + arithmetic + ", " + optimizer;
        runs.add(
            new TrainingRun(
                "interleaved" + how,
                a -> TinyTraining.transformer(a, Pairing.INTERLEAVED, 4, 2, false),
                false,
                arithmetic,
                optimizer));
        runs.add(
            new TrainingRun(
                "split in halves, made again" + how,
                a -> TinyTraining.transformer(a, Pairing.HALF_SPLIT, 3, 1, false),
                true,
                arithmetic,
                optimizer));
        runs.add(
            new TrainingRun(
                "adapters" + how,
                a -> TinyTraining.transformer(a, Pairing.HALF_SPLIT, 2, 2, true),
                false,
                arithmetic,
                optimizer));
      }
    }
    return runs;
  }

  /** All that a training leaves behind. */
  public record Trained(
      float[] logProbabilities, float[] gradients, float[] weights, double norm) {

    /** Wants values off by at most a share of the largest, weights by a quarter of that. */
    public void assertCloseTo(Trained expected, double share) {
      close("log probabilities", logProbabilities, expected.logProbabilities, share);
      close("gradients", gradients, expected.gradients, share);
      close("weights", weights, expected.weights, share / 4);
      assertThat(norm).isCloseTo(expected.norm, within(share * expected.norm));
    }

    public void assertSameBitsAs(Trained other) {
      assertThat(logProbabilities).as("log probabilities").isEqualTo(other.logProbabilities);
      assertThat(gradients).as("gradients").isEqualTo(other.gradients);
      assertThat(weights).as("weights").isEqualTo(other.weights);
    }

    private static void close(String what, float[] got, float[] expected, double share) {
      double largest = 0;
      for (float value : expected) {
        largest = Math.max(largest, Math.abs(value));
      }
      assertThat(largest).as(what).isPositive();
      for (int i = 0; i < expected.length; i++) {
        assertThat(Math.abs(got[i] - expected[i]))
            .as("%s %d: %s, expected %s, seed %d", what, i, got[i], expected[i], SEED)
            .isLessThanOrEqualTo((float) (share * largest));
      }
    }
  }

  /** Trains; closes the backend. */
  public Trained train(Backend backend) {
    Random random = new Random(SEED);
    try (Arena arena = Arena.ofConfined();
        backend) {
      TrainingProgram made = program.apply(arena).training(recompute);
      Parameters parameters = made.parameters();
      int trainable = (int) parameters.trainableSize();
      try (TrainingReplay replay = backend.prepare(made, TinyTraining.shape(arithmetic))) {
        TinyTraining.write(replay, State.WEIGHTS, TinyTraining.weights(parameters, random));
        float[] logProbabilities = null;
        float[] gradients = null;
        double norm = 0;
        for (int step = 1; step <= STEPS; step++) {
          for (int part = 0; part < 2; part++) {
            TinyTraining.fill(replay.batch(), random);
            replay.forward();
            TinyTraining.coefficients(replay.batch(), random);
            replay.backward();
          }
          if (step == 1) {
            logProbabilities = new float[replay.batch().outputs()];
            for (int o = 0; o < logProbabilities.length; o++) {
              logProbabilities[o] = replay.batch().logProbability(o);
            }
            gradients = TinyTraining.read(replay, State.GRADIENTS, trainable);
          }
          double now =
              replay.update(new Update(optimizer, step, 0.002, 0.1, 1.0, 0.9, 0.95, 1e-4));
          norm = step == 1 ? now : norm;
        }
        assertThat(TinyTraining.read(replay, State.GRADIENTS, trainable)).containsOnly(0);
        return new Trained(
            logProbabilities,
            gradients,
            TinyTraining.read(replay, State.WEIGHTS, parameters.size()),
            norm);
      }
    }
  }
}
