// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.testing;

import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.function.ThrowingConsumer;

/** Random tests that any failure can be replayed from: {@code -Dseed=N} repeats a run. */
public final class Seeds {
  private static final long SEED = Long.getLong("seed", System.nanoTime());

  private Seeds() {}

  /** This run's seed. */
  public static long seed() {
    return SEED;
  }

  /**
   * Runs a test body with a fresh generator made from this run's seed.
   *
   * @throws AssertionError if the body throws: its message ends with the property that replays it,
   *     its cause is what was thrown
   */
  public static void check(ThrowingConsumer<RandomGenerator> body) {
    try {
      body.accept(new SplittableRandom(SEED));
    } catch (org.opentest4j.TestAbortedException skipped) {
      throw skipped;
    } catch (Throwable failure) {
      Assertions.fail(failure.getMessage() + " (replay with -Dseed=" + SEED + ")", failure);
    }
  }
}
