// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.Limits;
import dev.tokamak.backend.Program;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Replay;
import dev.tokamak.backend.Roofline;
import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.machine.CpuList;
import dev.tokamak.backend.machine.Topology;
import dev.tokamak.backend.nativelib.NativeLibrary;
import dev.tokamak.backend.nativelib.TokamakNative;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The native kernels of {@code tokamak.h}: a program becomes a tape, a step is one native call. The
 * backend owns a team of threads; steps of several replays take turns on it.
 */
public final class CpuBackend implements Backend {
  private final int threads;
  private final Optional<CpuList> cpus;
  private final int level;
  private final boolean lockMemory;
  private final StepThread stepThread = new StepThread();
  private long team;

  /**
   * Opens it; {@link #obstacle} must have found none.
   *
   * @throws BackendException if its threads cannot run on the processors asked for
   */
  public CpuBackend(Backends.Options options) {
    cpus = options.cpus();
    cpus.ifPresent(Topology::require);
    threads =
        options.threads().orElse(cpus.map(list -> list.cpus().size()).orElseGet(Topology::cores));
    level = options.cpuLevel().map(CpuBackend::levelOf).orElse(TokamakNative.tk_cpu_level());
    lockMemory = options.lockMemory();
    team = createTeam();
    if (team == 0) {
      throw new BackendException("cpu: " + NativeLibrary.lastError());
    }
  }

  private long createTeam() {
    if (cpus.isEmpty()) {
      return TokamakNative.tk_cpu_team_create(level, threads, 0);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment numbers =
          arena.allocateFrom(JAVA_INT, cpus.get().cpus().stream().mapToInt(cpu -> cpu).toArray());
      return TokamakNative.tk_cpu_team_create(level, threads, numbers.address());
    }
  }

  /** Why it cannot run with these options; empty: it can. */
  public static Optional<String> obstacle(Backends.Options options) {
    Optional<String> missing = NativeLibrary.obstacle();
    if (missing.isPresent() || options.cpuLevel().isEmpty()) {
      return missing;
    }
    String wanted = options.cpuLevel().get();
    int best = TokamakNative.tk_cpu_level();
    if (levelOf(wanted) < 0) {
      return Optional.of(
          "level '" + wanted + "' is not known: expected " + String.join(", ", levels()));
    }
    return levelOf(wanted) <= best
        ? Optional.empty()
        : Optional.of(
            "this processor does not reach level " + wanted + ", its best is " + name(best));
  }

  /** The instruction-set levels, in rising order; empty where the native library is missing. */
  public static List<String> levels() {
    List<String> levels = new ArrayList<>();
    if (NativeLibrary.obstacle().isEmpty()) {
      for (int level = 0; !name(level).isEmpty(); level++) {
        levels.add(name(level));
      }
    }
    return levels;
  }

  private static int levelOf(String name) {
    return levels().indexOf(name);
  }

  private static String name(int level) {
    return NativeLibrary.string(TokamakNative.tk_cpu_level_name(level));
  }

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public String variant() {
    return name() + "/" + level();
  }

  @Override
  public String description() {
    return name(level)
        + ", "
        + threads
        + (threads == 1 ? " thread" : " threads")
        + cpus.map(list -> ", pinned to processors " + list).orElse("");
  }

  /** Threads of the team, the caller of a step included. */
  public int threads() {
    return threads;
  }

  /** The instruction-set level of its kernels. */
  public String level() {
    return name(level);
  }

  /** What this machine can do with these threads and this level. */
  @Override
  public Optional<Roofline> roofline() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_DOUBLE, 4);
      check(TokamakNative.tk_cpu_roofline(team, out.address()), "roofline");
      return Optional.of(
          new Roofline(
              out.getAtIndex(JAVA_DOUBLE, 0),
              out.getAtIndex(JAVA_DOUBLE, 1),
              out.getAtIndex(JAVA_DOUBLE, 2),
              out.getAtIndex(JAVA_DOUBLE, 3)));
    }
  }

  @Override
  public Arithmetic arithmetic(QuantType weights) {
    return switch (weights) {
      case F32, F16 -> Arithmetic.FLOAT32;
      case BF16 -> Arithmetic.BFLOAT16;
      case Q4_0, Q8_0, Q4_K, Q5_K, Q6_K -> Arithmetic.INT8;
    };
  }

  @Override
  public Weights load(List<Tensor> matrices, Progress progress) {
    return new PackedWeights(team, matrices, lockMemory, progress);
  }

  @Override
  public Replay prepare(Program program, Weights weights, Limits limits) {
    return new CpuReplay(team, stepThread, program, (PackedWeights) weights, limits);
  }

  @Override
  public TrainingReplay prepare(TrainingProgram program, TrainingShape shape) {
    return new CpuTraining(team, program, shape);
  }

  @Override
  public void close() {
    stepThread.close();
    if (team != 0) {
      TokamakNative.tk_cpu_team_free(team);
      team = 0;
    }
  }

  /** Throws what the native library said, if a call failed. */
  static void check(int status, String what) {
    if (status != TokamakNative.TK_OK) {
      throw new BackendException("cpu: " + what + ": " + NativeLibrary.lastError());
    }
  }
}
