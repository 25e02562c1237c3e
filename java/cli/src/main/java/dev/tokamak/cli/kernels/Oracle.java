// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Batch;
import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.reference.ReferenceBackend;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Compares what a backend computes with what the reference does. A row of a step depends on no other
 * row but through the cache, so the reference need not compute them all.
 */
final class Oracle {
  private static final int FEW_ROWS = 4;
  private static final int FILL_ROWS = 64;

  private final Backend reference = new ReferenceBackend(Backends.Options.defaults());
  private final SplittableRandom random;

  Oracle(long seed) {
    random = new SplittableRandom(~seed);
  }

  /** Bytes of the Java heap that a comparison takes: results, the reference's values and cache. */
  static long heapBytes(Kernel kernel) {
    long values = 6L * kernel.rows() * kernel.width() * Float.BYTES;
    long tokens =
        (long) Math.min(FEW_ROWS, kernel.sequences()) * kernel.pages() * CacheShape.PAGE_TOKENS;
    return values + kernel.cache().map(c -> 2 * tokens * c.width() * Float.BYTES).orElse(0L);
  }

  /** What is wrong with the result of a replay; empty: nothing. */
  Optional<String> difference(Kernel kernel, Program program, Replay tested) {
    boolean four = kernel.check() == Kernel.Check.FOUR_TOKENS;
    Steps.fill(tested, kernel, Steps.allSequences(kernel));
    Batch batch = tested.batch();
    batch.clear();
    for (int row = 0; row < kernel.rows(); row++) {
      Steps.add(batch, kernel, row, kernel.sequenceOf(row), four);
      batch.wantLogits();
    }
    int[] rows = rows(kernel, batch);
    float[] expected = expected(kernel, program, rows);
    tested.step();
    return compare(kernel, program.logits().width(), tested, rows, expected);
  }

  /** The rows that the reference computes. */
  private int[] rows(Kernel kernel, Batch batch) {
    int n = kernel.rows();
    return switch (kernel.check()) {
      case EVERY_ROW -> IntStream.range(0, n).toArray();
      case FOUR_TOKENS -> {
        // The first row of each token; compare() finds the others' by their token.
        int[] first = new int[FEW_ROWS];
        Arrays.fill(first, -1);
        for (int row = n - 1; row >= 0; row--) {
          first[batch.token(row)] = row;
        }
        yield Arrays.stream(first).filter(row -> row >= 0).toArray();
      }
      case FOUR_ROWS -> {
        if (n <= FEW_ROWS) {
          yield IntStream.range(0, n).toArray();
        }
        int middle = 1 + random.nextInt(n - 3);
        yield new int[] {0, middle, middle + 1 + random.nextInt(n - 2 - middle), n - 1};
      }
    };
  }

  /** What the reference computes of these rows. */
  private float[] expected(Kernel kernel, Program program, int[] rows) {
    // Rows that are sequences of their own are so here too.
    boolean apart = kernel.sequences() > 1;
    int[] sequences = apart ? rows : new int[] {0};
    int most = Math.max(rows.length, kernel.cache().isPresent() ? FILL_ROWS : 0);
    try (Backend.Weights weights = reference.load(List.of(), Backend.Progress.none());
        Replay replay =
            reference.prepare(program, weights, Steps.limits(kernel, most, sequences.length))) {
      Steps.fill(replay, kernel, sequences);
      Batch batch = replay.batch();
      batch.clear();
      for (int i = 0; i < rows.length; i++) {
        Steps.add(
            batch, kernel, rows[i], apart ? i : 0, kernel.check() == Kernel.Check.FOUR_TOKENS);
        batch.wantLogits();
      }
      replay.step();
      return floats(replay.logits(), rows.length * program.logits().width());
    }
  }

  private static float[] floats(MemorySegment from, int count) {
    float[] floats = new float[count];
    MemorySegment.copy(from, JAVA_FLOAT, 0, floats, 0, count);
    return floats;
  }

  private static Optional<String> compare(
      Kernel kernel, int width, Replay tested, int[] rows, float[] expected) {
    float[] found = floats(tested.logits(), kernel.rows() * width);
    float largest = 0;
    for (float value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    double allowed = kernel.allowed() * largest;
    for (int row = 0; row < kernel.rows(); row++) {
      int same = same(kernel, tested.batch(), rows, row);
      for (int i = 0; i < width && same >= 0; i++) {
        float right = expected[same * width + i];
        float value = found[row * width + i];
        if (!(Math.abs((double) value - right) <= allowed)) { // NaN is wrong too
          return Optional.of(
              String.format(
                  Locale.ROOT,
                  "wrong: value %d of row %d is %s, the reference has %s, %.2g off is allowed",
                  i, row, value, right, allowed));
        }
      }
    }
    return Optional.empty();
  }

  /** Which of the reference's rows this one equals; -1: none. */
  private static int same(Kernel kernel, Batch batch, int[] rows, int row) {
    for (int i = 0; i < rows.length; i++) {
      boolean equal =
          kernel.check() == Kernel.Check.FOUR_TOKENS
              ? batch.token(rows[i]) == batch.token(row)
              : rows[i] == row;
      if (equal) {
        return i;
      }
    }
    return -1;
  }
}
