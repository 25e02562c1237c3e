// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.generate.verify.Verifier;
import java.math.BigDecimal;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.LongStream;

/** Questions whose answers code can judge. The same index gives the same problem. */
public sealed interface Problems {
  /** A question, and the rule that its answer must satisfy. */
  record Problem(String question, Verifier rule) {}

  /** One to learn from; there are as many as are asked for. */
  Problem training(long index);

  /** Some that are never learnt from, {@code most} at most. */
  List<Problem> heldOut(int most);

  /**
   * Sums of two numbers: "What is 12 + 7?". With a the larger one, a + b and b + a are held out
   * where a (a + 1) / 2 + b leaves 7 when divided by 10. With a largest number below 3 no sum is,
   * and those that are learnt from are looked at.
   *
   * @param largest number
   */
  record Sums(int largest, long seed) implements Problems {
    private static final int EVERY = 10;
    private static final int HELD_OUT = 7;
    private static final int FEWEST = 3;

    @Override
    public Problem training(long index) {
      return draw(index, false);
    }

    @Override
    public List<Problem> heldOut(int most) {
      return LongStream.range(0, most)
          .mapToObj(index -> draw(~index, largest >= FEWEST))
          .toList();
    }

    private Problem draw(long index, boolean heldOut) {
      var random = new SplittableRandom(mix(seed, index));
      while (true) {
        long a = random.nextInt(largest + 1);
        long b = random.nextInt(largest + 1);
        if (isHeldOut(a, b) == heldOut) {
          return new Problem(
              "What is " + a + " + " + b + "?", new Verifier.Number(BigDecimal.valueOf(a + b)));
        }
      }
    }

    private static boolean isHeldOut(long a, long b) {
      long larger = Math.max(a, b);
      return (larger * (larger + 1) / 2 + Math.min(a, b)) % EVERY == HELD_OUT;
    }
  }

  /**
   * Questions of files, in their order, again and again.
   *
   * @param training one at least
   */
  record Listed(List<Problem> training, List<Problem> heldOut) implements Problems {
    public Listed {
      training = List.copyOf(training);
      heldOut = List.copyOf(heldOut);
    }

    @Override
    public Problem training(long index) {
      return training.get((int) (index % training.size()));
    }

    @Override
    public List<Problem> heldOut(int most) {
      return heldOut.subList(0, Math.min(most, heldOut.size()));
    }
  }

  /** A seed that follows from another and a number. */
  static long mix(long seed, long number) {
    return new SplittableRandom(seed ^ number * 0x9e3779b97f4a7c15L).nextLong();
  }
}
