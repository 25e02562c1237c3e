// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Work;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/**
 * Rows beside others of the same operation and shape whose types are of about the same size. Types
 * of a size cost about the same to read and to compute, so that what is much slower than the best
 * of them is a kernel that lacks something. A token of one sequence is judged by bytes per second,
 * a piece of a prompt by operations per second.
 */
public final class SameSize {
  private static final double SLOW = 0.75;

  private SameSize() {}

  /**
   * Where a row stands.
   *
   * @param share of the best's speed
   * @param best the fastest type of its size
   */
  public record Place(double share, QuantType best) {
    /** Whether it lacks more than a quarter of the best's speed. */
    public boolean slow() {
      return share < SLOW;
    }
  }

  private enum Size {
    BITS_32,
    BITS_16,
    BITS_8,
    BITS_4;

    static Size of(QuantType type) {
      return switch (type) {
        case F32 -> BITS_32;
        case F16, BF16 -> BITS_16;
        case Q8_0, Q6_K, Q5_K -> BITS_8;
        case Q4_0, Q4_K -> BITS_4;
      };
    }
  }

  private record Group(String operation, String shape, Size size) {}

  private record Speed(Kernel kernel, double value) {}

  /** The places of those rows that have others to be compared with, by their names. */
  public static Map<String, Place> places(List<Row> rows) {
    Map<Group, List<Speed>> groups = new LinkedHashMap<>();
    for (Row row : rows) {
      Kernel kernel = row.kernel();
      OptionalDouble speed = speed(row);
      if (speed.isPresent()) {
        groups
            .computeIfAbsent(
                new Group(kernel.operation(), kernel.shape(), Size.of(kernel.type())),
                _ -> new ArrayList<>())
            .add(new Speed(kernel, speed.getAsDouble()));
      }
    }
    Map<String, Place> places = new HashMap<>();
    for (List<Speed> group : groups.values()) {
      Speed best = group.stream().max(Comparator.comparingDouble(Speed::value)).orElseThrow();
      for (Speed speed : group.size() > 1 ? group : List.<Speed>of()) {
        places.put(
            speed.kernel.name(),
            new Place(speed.value / best.value, best.kernel.type()));
      }
    }
    return places;
  }

  private static OptionalDouble speed(Row row) {
    Kernel kernel = row.kernel();
    boolean judged =
        switch (kernel.operation()) {
          case "matmul", "attention" ->
              kernel.rows() == 1 || kernel.rows() > Kernel.MOST_SEQUENCES;
          default -> false;
        };
    if (!judged || row.measured().isEmpty()) {
      return OptionalDouble.empty();
    }
    Row.Measured measured = row.measured().get();
    Work work = measured.work();
    return OptionalDouble.of(
        (kernel.rows() == 1 ? work.bytes() : work.operations()) / measured.seconds());
  }
}
