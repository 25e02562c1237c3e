// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.train;

import dev.tokamak.backend.Value;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * Where each value of a training program lies in one float32 array of activations. Values that are
 * alive at the same time, from their first writing to their last use over the forward and the
 * backward pass, share nothing; others may. The largest are placed first, each in the smallest gap
 * that is there for its whole life (greedy by size, Pisarchyk and Lee 2020).
 */
public final class Placement {
  /** Operations, by number over both passes, between which a value is alive, both included. */
  record Life(int first, int last) {
    boolean overlaps(Life other) {
      return first <= other.last && other.first <= last;
    }
  }

  private record Placed(Life life, long offset, long end) {}

  private final long[] offsets;
  private final long size;

  private Placement(long[] offsets, long size) {
    this.offsets = offsets;
    this.size = size;
  }

  /** Places the values of a program for steps of that many rows. */
  public static Placement of(TrainingProgram program, TrainingShape shape) {
    Life[] lives = lives(program);
    long[] offsets = new long[lives.length];
    List<Value> used =
        program.values().stream()
            .filter(v -> lives[v.id()] != null)
            .sorted(Comparator.comparingLong((Value v) -> -floats(v, shape)))
            .toList();
    List<Placed> placed = new ArrayList<>();
    long size = 0;
    for (Value value : used) {
      long floats = Parameters.aligned(floats(value, shape));
      Life life = lives[value.id()];
      long offset = gap(placed, life, floats);
      insert(placed, new Placed(life, offset, offset + floats));
      offsets[value.id()] = offset;
      size = Math.max(size, offset + floats);
    }
    return new Placement(offsets, size);
  }

  /** The first float of a value, a multiple of {@link Parameter#ALIGNMENT}; 0 if nothing uses it. */
  public long offset(Value value) {
    return offsets[value.id()];
  }

  /** Floats of the array. */
  public long size() {
    return size;
  }

  /** By value; null for those that no operation uses. */
  static Life[] lives(TrainingProgram program) {
    Life[] lives = new Life[program.values().size()];
    int at = 0;
    for (TrainingOperation operation :
        Stream.concat(program.forward().stream(), program.backward().stream()).toList()) {
      for (Value value :
          Stream.concat(operation.reads().stream(), operation.writes().stream()).toList()) {
        Life before = lives[value.id()];
        lives[value.id()] = new Life(before == null ? at : before.first, at);
      }
      at++;
    }
    return lives;
  }

  static long floats(Value value, TrainingShape shape) {
    long rows = value.rows() == Value.Rows.STEP ? shape.rows() : shape.outputs();
    return Math.multiplyExact(rows, (long) value.width());
  }

  /** The start of the smallest gap of so many floats, among those that are placed, by offset. */
  private static long gap(List<Placed> placed, Life life, long floats) {
    long best = -1;
    long bestSize = Long.MAX_VALUE;
    long end = 0;
    for (Placed other : placed) {
      if (other.life.overlaps(life)) {
        long free = other.offset - end;
        if (free >= floats && free < bestSize) {
          best = end;
          bestSize = free;
        }
        end = Math.max(end, other.end);
      }
    }
    return best >= 0 ? best : end;
  }

  private static void insert(List<Placed> placed, Placed one) {
    int at = placed.size();
    while (at > 0 && placed.get(at - 1).offset > one.offset) {
      at--;
    }
    placed.add(at, one);
  }
}
