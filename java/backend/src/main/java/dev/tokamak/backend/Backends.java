// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import dev.tokamak.backend.cpu.CpuBackend;
import dev.tokamak.backend.cuda.CudaBackend;
import dev.tokamak.backend.cuda.CudaObstacle;
import dev.tokamak.backend.machine.CpuList;
import dev.tokamak.backend.reference.ReferenceBackend;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.BiFunction;
import java.util.function.Function;

/** The backends, best first. One is chosen once, at start, and the reason is said. */
public final class Backends {
  /** One row a backend: what stands in its way on this machine, and how it is opened. */
  private record Entry(
      String name,
      BiFunction<Options, List<Tensor>, Optional<String>> obstacle,
      Function<Options, Backend> open) {}

  private static final List<Entry> ALL =
      List.of(
          new Entry(
              "cuda",
              (options, weights) ->
                  CudaBackend.obstacle(options, weights).map(CudaObstacle::message),
              options -> new CudaBackend()),
          new Entry("cpu", (options, weights) -> CpuBackend.obstacle(options), CpuBackend::new),
          new Entry("reference", (options, weights) -> Optional.empty(), ReferenceBackend::new));

  /** Takes the best that there is. */
  public static final String AUTO = "auto";

  private Backends() {}

  /**
   * What a user may choose.
   *
   * @param backend a backend's name, or {@link #AUTO}
   * @param threads of the CPU backend; empty: one for each of {@code cpus}, or for each core that
   *     the process may use
   * @param cpus processors that these threads stay on, the first on the first; empty: wherever the
   *     system puts them
   * @param cpuLevel instruction-set level of the CPU backend, such as {@code avx2}; empty: the best
   * @param lockMemory whether weights are kept from being swapped out
   */
  public record Options(
      String backend,
      OptionalInt threads,
      Optional<CpuList> cpus,
      Optional<String> cpuLevel,
      boolean lockMemory) {
    public Options {
      if (threads.isPresent() && (threads.getAsInt() < 1 || threads.getAsInt() > 1024)) {
        throw new BackendException("threads=" + threads.getAsInt() + ": expected 1 to 1024");
      }
      if (threads.isPresent() && cpus.isPresent() && threads.getAsInt() > cpus.get().cpus().size()) {
        throw new BackendException(
            "threads=" + threads.getAsInt() + ": expected at most one for each of the processors "
                + cpus.get());
      }
    }

    /** With threads wherever the system puts them. */
    public Options(
        String backend, OptionalInt threads, Optional<String> cpuLevel, boolean lockMemory) {
      this(backend, threads, Optional.empty(), cpuLevel, lockMemory);
    }

    /** The same for another backend. */
    Options with(String name) {
      return new Options(name, threads, cpus, cpuLevel, lockMemory);
    }

    public static Options defaults() {
      return new Options(AUTO, OptionalInt.empty(), Optional.empty(), false);
    }
  }

  /**
   * An open backend.
   *
   * @param reason why this one, in one line
   */
  public record Choice(Backend backend, String reason) {}

  /**
   * What was found about one backend.
   *
   * @param obstacle why it cannot run here; empty: it can
   */
  public record Probe(String name, Optional<String> obstacle) {}

  /** The names, best first. */
  public static List<String> names() {
    return ALL.stream().map(Entry::name).toList();
  }

  /** Looks at every backend, as if it were the one asked for. */
  public static List<Probe> probe(Options options) {
    return ALL.stream()
        .map(
            entry ->
                new Probe(entry.name, entry.obstacle.apply(options.with(entry.name), List.of())))
        .toList();
  }

  /** As below, for no model in particular. */
  public static Choice open(Options options) {
    return open(options, List.of());
  }

  /**
   * Opens the backend asked for, or the best one that can run.
   *
   * @param weights that a model will use: a device that has no room for them cannot run
   * @throws BackendException if the one asked for cannot run, with the reason
   */
  public static Choice open(Options options, List<Tensor> weights) {
    List<String> reasons = new ArrayList<>();
    boolean auto = options.backend.equals(AUTO);
    for (Entry entry : ALL) {
      if (!auto && !entry.name.equals(options.backend)) {
        continue;
      }
      Optional<String> obstacle = entry.obstacle.apply(options, weights);
      if (obstacle.isEmpty()) {
        String reason =
            !auto ? "asked for" : reasons.isEmpty() ? "the best there is" : String.join("; ", reasons);
        return new Choice(entry.open.apply(options), reason);
      }
      reasons.add(entry.name + " cannot run: " + obstacle.get());
    }
    throw new BackendException(
        reasons.isEmpty()
            ? "backend '" + options.backend + "' is not known: expected auto, "
                + String.join(", ", names())
            : String.join("; ", reasons));
  }
}
