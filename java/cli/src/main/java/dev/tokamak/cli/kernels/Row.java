// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Work;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;

/** A kernel and what came of it. */
public record Row(Kernel kernel, Outcome outcome) {
  /** What came of a kernel. */
  public sealed interface Outcome {}

  /**
   * It is right, and was timed.
   *
   * @param seconds of one run, the median of the repetitions
   * @param spread of the repetitions: largest less smallest, by the median
   * @param repeats times that it ran in one program
   * @param limit what the machine allows, where that was measured
   * @param yardstickSeconds that the maker's library takes, where there is one
   */
  public record Measured(
      double seconds,
      double spread,
      Work work,
      int repeats,
      Optional<Limit> limit,
      OptionalDouble yardstickSeconds)
      implements Outcome {}

  /** Its result is not the reference's, or it has none; it was not timed. */
  public record Failed(String reason) implements Outcome {}

  /** It does not fit this machine. */
  public record Skipped(String reason) implements Outcome {}

  /**
   * The time below which the machine does not let it be done.
   *
   * @param memorySeconds to move its bytes
   * @param arithmetic that it is made of
   * @param arithmeticSeconds to do its operations
   */
  public record Limit(double memorySeconds, Arithmetic arithmetic, double arithmeticSeconds) {
    /** Whichever takes longer. */
    public double seconds() {
      return Math.max(memorySeconds, arithmeticSeconds);
    }

    /** What takes that time: memory, or the kind of arithmetic. */
    public String bound() {
      return memorySeconds >= arithmeticSeconds ? "memory" : name(arithmetic);
    }
  }

  /** For example {@code float32}. */
  public static String name(Arithmetic arithmetic) {
    return arithmetic.name().toLowerCase(Locale.ROOT);
  }

  /** The measurement, if there is one. */
  public Optional<Measured> measured() {
    return outcome instanceof Measured measured ? Optional.of(measured) : Optional.empty();
  }
}
