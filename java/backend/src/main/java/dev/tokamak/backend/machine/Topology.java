// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import dev.tokamak.backend.BackendException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;

/** The processors that this process may use, and the cores that they belong to. */
public final class Topology {
  private static final Path CPUS = Path.of("/sys/devices/system/cpu");

  private Topology() {}

  /**
   * Cores that this process may use, each once however many processors it shows as, and not more
   * than the time that the control group allows (or {@code -XX:ActiveProcessorCount}).
   */
  public static int cores() {
    int processors = Runtime.getRuntime().availableProcessors();
    return Libc.affinity()
        .map(allowed -> Math.min(processors, cores(CPUS, allowed)))
        .orElse(processors);
  }

  /** A processor of which Linux tells nothing counts as a core. */
  static int cores(Path cpus, int[] allowed) {
    return (int)
        Arrays.stream(allowed)
            .mapToObj(
                cpu ->
                    firstLine(cpus.resolve("cpu" + cpu).resolve("topology/thread_siblings_list"))
                        .orElse(Integer.toString(cpu)))
            .distinct()
            .count();
  }

  /**
   * Makes sure that threads can run on these processors.
   *
   * @throws BackendException if one is not there, or not for this process
   */
  public static void require(CpuList wanted) {
    Libc.affinity().ifPresent(allowed -> require(wanted, CpuList.of(allowed)));
  }

  private static void require(CpuList wanted, CpuList allowed) {
    for (int cpu : wanted.cpus()) {
      if (!allowed.cpus().contains(cpu)) {
        Optional<String> online = firstLine(CPUS.resolve("online"));
        boolean there = online.isPresent() && CpuList.parse(online.get()).cpus().contains(cpu);
        throw new BackendException(
            "processor " + cpu + " is not "
                + (there ? "for this process" : "there")
                + ": this process may use " + allowed);
      }
    }
  }

  private static Optional<String> firstLine(Path file) {
    try {
      return Files.readAllLines(file).stream().findFirst();
    } catch (IOException _) { // not Linux
      return Optional.empty();
    }
  }
}
