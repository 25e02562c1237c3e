// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Work;
import dev.tokamak.cli.Quantity;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;

/**
 * Measures kernels on one backend: first each result is compared with the reference's, then what is
 * right is timed.
 *
 * <p>The time of one run is that of a program in which the operation runs r times, less that of a
 * program in which it runs once, by r − 1: what a step costs beside the operation falls out, and
 * what a backend gains by running neighbours together stays. Each run has weights, or a layer of the
 * cache, of its own; r is such that these are {@code coldBytes} together, too much for the caches.
 * Where that takes more than {@value #PROGRAM_SECONDS} seconds, r is smaller: there it is not reading
 * them that takes the time. No r is above {@value #MOST_REPEATS}. Activations are, as in a model, what
 * was written just before: in a cache, if they fit one. So operations without weights may beat the
 * memory's bandwidth.
 */
public final class KernelBench {
  private static final double PROGRAM_SECONDS = 0.1;
  private static final double SAMPLE_SECONDS = 0.01;
  private static final double ROOFLINE_SECONDS = 20;

  /** After so long no more than the fewest repetitions are made. */
  private static final double PATIENCE_SECONDS = 1;

  private static final int FEWEST_REPETITIONS = 3;

  /** Runs in a program of an operation that has no weights. */
  private static final int WARM_REPEATS = 256;

  private static final int MOST_REPEATS = 1024;

  /** Values of a kernel, and as many again for whatever its backend needs. */
  private static final int VALUES = 8;

  private final Backend backend;
  private final Oracle oracle;
  private final long memory;
  private final long coldBytes;
  private final int repetitions;
  private final SplittableRandom random;
  private final List<Roofline> rooflines = new ArrayList<>();
  private long rooflineAt;

  /**
   * @param memory bytes that may be used
   * @param coldBytes of weights that are too much for the processor's caches
   * @param repetitions of each measurement
   * @param seed of all random operands
   */
  public KernelBench(
      Backend backend, long memory, long coldBytes, int repetitions, long seed) {
    this.backend = backend;
    this.memory = Math.min(memory, backend.freeBytes().orElse(memory));
    this.coldBytes = coldBytes;
    this.repetitions = repetitions;
    random = new SplittableRandom(seed);
    oracle = new Oracle(seed);
  }

  /** Measures all, and tells how many are done. */
  public List<Row> run(List<Kernel> kernels, IntConsumer done) {
    List<Row> rows = new ArrayList<>();
    int at = 0;
    while (at < kernels.size()) {
      // Kernels on one matrix stand side by side: it is made once for them.
      Optional<Kernel.Matrix> matrix = kernels.get(at).matrix();
      int end = at + 1;
      while (end < kernels.size() && kernels.get(end).matrix().equals(matrix)) {
        end++;
      }
      for (Row row : run(matrix, kernels.subList(at, end), rows.size(), done)) {
        rows.add(row);
      }
      at = end;
    }
    return rows;
  }

  /** What the machine can do, the medians of what was measured between the kernels. */
  public Optional<Roofline> roofline() {
    return Roofline.median(rooflines);
  }

  private List<Row> run(
      Optional<Kernel.Matrix> matrix, List<Kernel> kernels, int before, IntConsumer done) {
    List<Row> rows = new ArrayList<>();
    Optional<Matrices> matrices = Optional.empty();
    try {
      for (Kernel kernel : kernels) {
        if (mostRepeats(kernel) < 2 || Oracle.heapBytes(kernel) > heap()) {
          rows.add(new Row(kernel, new Row.Skipped(shortage(kernel))));
        } else {
          Row.Outcome outcome;
          try {
            if (matrices.isEmpty()) {
              matrices = Optional.of(new Matrices(backend, matrix, random));
            }
            outcome = measure(kernel, matrices.get());
          } catch (BackendException e) {
            outcome = new Row.Failed(e.getMessage());
          }
          rows.add(new Row(kernel, outcome));
        }
        done.accept(before + rows.size());
      }
    } finally {
      matrices.ifPresent(Matrices::close);
    }
    return rows;
  }

  private Row.Outcome measure(Kernel kernel, Matrices matrices) {
    try (Operands operands = new Operands(kernel, matrices, random)) {
      Program once = new Recording(kernel, operands, 1, 1).program();
      double seconds;
      try (Replay replay = backend.prepare(once, matrices.weights(), limits(kernel))) {
        Optional<String> wrong = oracle.difference(kernel, once, replay);
        if (wrong.isPresent()) {
          return new Row.Failed(wrong.get());
        }
        seconds = sample(replay, 1);
      }
      return time(kernel, matrices, operands, repeats(kernel, seconds));
    }
  }

  private static Limits limits(Kernel kernel) {
    return Steps.limits(kernel, kernel.rows(), kernel.sequences());
  }

  /** Runs of the operation in a program, given the seconds of a step that has one. */
  private int repeats(Kernel kernel, double seconds) {
    long bytes = repeatBytes(kernel);
    long wanted = bytes == 0 ? WARM_REPEATS : 1 + coldBytes / bytes;
    long most = Math.min(mostRepeats(kernel), 1 + (long) (PROGRAM_SECONDS / seconds));
    return (int) Math.max(2, Math.min(Math.min(wanted, most), MOST_REPEATS));
  }

  private static long repeatBytes(Kernel kernel) {
    return kernel.matrix().map(Kernel.Matrix::bytes).orElse(0L) + kernel.cacheBytes();
  }

  /** Runs that there is memory for: two programs with a cache each, and the weights of the runs. */
  private long mostRepeats(Kernel kernel) {
    return Math.max(0, memory - fixedBytes(kernel))
        / Math.max(1, repeatBytes(kernel) + kernel.cacheBytes());
  }

  /** Bytes that are needed however often the operation runs. */
  private static long fixedBytes(Kernel kernel) {
    long tables = (long) VALUES * kernel.width() * Float.BYTES * Operands.TOKENS;
    long values = (long) VALUES * kernel.width() * Float.BYTES * kernel.rows();
    return kernel.matrix().map(Kernel.Matrix::bytes).orElse(0L)
        + tables
        + 2 * values
        + Oracle.heapBytes(kernel);
  }

  /** Bytes that the reference may have, some being kept for everything else. */
  private static long heap() {
    return Runtime.getRuntime().maxMemory() / 4 * 3;
  }

  private String shortage(Kernel kernel) {
    if (Oracle.heapBytes(kernel) > heap()) {
      return "the reference needs " + Quantity.bytes(Oracle.heapBytes(kernel))
          + " of Java heap, " + Quantity.bytes(heap()) + " may be used";
    }
    long needed = fixedBytes(kernel) + 2 * (repeatBytes(kernel) + kernel.cacheBytes());
    return "needs " + Quantity.bytes(needed) + " of memory, " + Quantity.bytes(memory)
        + " may be used";
  }

  private Row.Outcome time(Kernel kernel, Matrices matrices, Operands operands, int repeats) {
    matrices.grow(repeats);
    Program many = new Recording(kernel, operands, repeats, repeats).program();
    Program once = new Recording(kernel, operands, 1, repeats).program();
    Optional<Roofline> roofline = freshRoofline();
    try (Replay manyTimes = backend.prepare(many, matrices.weights(), limits(kernel));
        Replay onlyOnce = backend.prepare(once, matrices.weights(), limits(kernel))) {
      for (Replay replay : List.of(manyTimes, onlyOnce)) {
        Steps.fill(replay, kernel, Steps.allSequences(kernel));
        Steps.lastOutput(replay, kernel);
        replay.step(); // warms up
      }
      int steps = (int) Math.ceil(SAMPLE_SECONDS / sample(manyTimes, 1));
      double[] seconds = new double[repetitions];
      int done = 0;
      long start = System.nanoTime();
      while (done < repetitions
          && (done < FEWEST_REPETITIONS || System.nanoTime() - start < PATIENCE_SECONDS * 1e9)) {
        double all = sample(manyTimes, steps);
        seconds[done++] = (all - sample(onlyOnce, steps)) / (repeats - 1);
      }
      Arrays.sort(seconds, 0, done);
      double median = (seconds[(done - 1) / 2] + seconds[done / 2]) / 2;
      if (median <= 0) {
        return new Row.Skipped("lost in the noise of the steps that it is part of");
      }
      Operation operation =
          many.operations().stream().filter(kernel::measures).findFirst().orElseThrow();
      Work work = Work.of(operation, many.cache(), manyTimes.batch());
      return new Row.Measured(
          median,
          (seconds[done - 1] - seconds[0]) / median,
          work,
          repeats,
          roofline.map(r -> limit(r, work, backend.arithmetic(operation, many.cache()))),
          yardstick(operation, kernel));
    }
  }

  /** Seconds of a step. */
  private static double sample(Replay replay, int steps) {
    long start = System.nanoTime();
    for (int i = 0; i < steps; i++) {
      replay.step();
    }
    return (System.nanoTime() - start) / 1e9 / steps;
  }

  private OptionalDouble yardstick(Operation operation, Kernel kernel) {
    return operation instanceof Operation.MatMul product
        ? backend.yardstickSeconds(
            kernel.type(), kernel.rows(), product.weight().cols(), product.weight().rows())
        : OptionalDouble.empty();
  }

  private static Row.Limit limit(
      Roofline roofline, Work work, Roofline.Arithmetic arithmetic) {
    return new Row.Limit(
        roofline.memorySeconds(work), arithmetic, roofline.arithmeticSeconds(work, arithmetic));
  }

  /** The machine's speed drifts: what it can do is measured again now and then. */
  private Optional<Roofline> freshRoofline() {
    if (rooflines.isEmpty() || (System.nanoTime() - rooflineAt) / 1e9 > ROOFLINE_SECONDS) {
      backend.roofline().ifPresent(rooflines::add);
      rooflineAt = System.nanoTime();
    }
    return rooflines.isEmpty() ? Optional.empty() : Optional.of(rooflines.getLast());
  }
}
