// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/**
 * What a backend's machine can do at best, measured (Williams, Waterman and Patterson 2009): nothing
 * is faster than the bytes that it moves by the bandwidth, or its operations by the peak.
 *
 * @param bytesPerSecond read bandwidth of the memory
 * @param floatOps float32 multiplications and additions per second
 * @param int8Ops the same of int8 dot products; 0 if the machine has none, or no kernel uses them
 * @param bf16Ops the same of bfloat16 dot products; 0 if the machine has none
 */
public record Roofline(double bytesPerSecond, double floatOps, double int8Ops, double bf16Ops) {
  /** Kinds of arithmetic, each with a peak of its own. */
  public enum Arithmetic {
    FLOAT32,
    INT8,
    BFLOAT16,
    /** float32 by what is exact in bfloat16: two bfloat16 products each, so half of their peak. */
    BFLOAT16_X2,
    /** float32 by float32, of 16 bits each: three bfloat16 products, so a third of their peak. */
    BFLOAT16_X3
  }

  /** The median of each part; empty of none. */
  public static Optional<Roofline> median(List<Roofline> measured) {
    return measured.isEmpty()
        ? Optional.empty()
        : Optional.of(
            new Roofline(
                median(measured, Roofline::bytesPerSecond),
                median(measured, Roofline::floatOps),
                median(measured, Roofline::int8Ops),
                median(measured, Roofline::bf16Ops)));
  }

  private static double median(List<Roofline> measured, ToDoubleFunction<Roofline> part) {
    double[] sorted = measured.stream().mapToDouble(part).sorted().toArray();
    int n = sorted.length;
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }

  /** Operations per second of one kind; of float32 where the machine has none of that kind. */
  public double peak(Arithmetic arithmetic) {
    double peak =
        switch (arithmetic) {
          case FLOAT32 -> floatOps;
          case INT8 -> int8Ops;
          case BFLOAT16 -> bf16Ops;
          case BFLOAT16_X2 -> bf16Ops / 2;
          case BFLOAT16_X3 -> bf16Ops / 3;
        };
    return peak > 0 ? peak : floatOps;
  }

  /** Seconds below which the memory does not let the work be done. */
  public double memorySeconds(Work work) {
    return work.bytes() / bytesPerSecond;
  }

  /** Seconds below which the arithmetic does not let the work be done. */
  public double arithmeticSeconds(Work work, Arithmetic arithmetic) {
    return work.operations() / peak(arithmetic);
  }
}
