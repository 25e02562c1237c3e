// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.backend.machine.Libc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The processor and memory of this machine, as Linux tells of them; elsewhere what Java knows.
 *
 * @param name of the processor
 * @param online processors of the machine
 * @param usable processors that this process may run on
 * @param quota processors' worth of time that the control group allows, if it limits it
 * @param features of the instruction set that the kernels care for
 * @param memory bytes of the machine; 0 if unknown
 * @param available bytes of it that a program can have now; 0 if unknown
 * @param memoryLimit bytes that the control group allows, if it limits them
 * @param cache bytes of the last-level caches together; 0 if unknown
 */
record Processor(
    String name,
    int online,
    int usable,
    Optional<Double> quota,
    List<String> features,
    long memory,
    long available,
    Optional<Long> memoryLimit,
    long cache) {
  private static final Set<String> KERNEL_FEATURES =
      Set.of(
          "sse4_2", "avx", "f16c", "fma", "avx2", "bmi2", "avx_vnni", "avx512f", "avx512bw",
          "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx512_vbmi",
          "amx_tile", "amx_int8", "amx_bf16");
  private static final Path CPUS = Path.of("/sys/devices/system/cpu");
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");

  static Processor ofMachine() {
    List<String> info = lines(Path.of("/proc/cpuinfo"));
    List<String> memory = lines(Path.of("/proc/meminfo"));
    int java = Runtime.getRuntime().availableProcessors();
    long online = info.stream().filter(line -> line.startsWith("processor")).count();
    return new Processor(
        field(info, "model name").orElse(System.getProperty("os.arch")),
        online == 0 ? java : (int) online,
        Libc.affinity().map(cpus -> cpus.length).orElse(java),
        readQuota(),
        field(info, "flags").map(Processor::kernelFeatures).orElse(List.of()),
        kilobytes(memory, "MemTotal"),
        kilobytes(memory, "MemAvailable"),
        readMemoryLimit(),
        readCache());
  }

  /** Bytes that this process can have now. */
  long free() {
    long free = available == 0 ? Long.MAX_VALUE : available;
    return Math.min(free, memoryLimit.orElse(Long.MAX_VALUE));
  }

  /** Each last-level cache once, however many processors share it. */
  private static long readCache() {
    Map<String, Long> caches = new HashMap<>();
    for (int cpu = 0; Files.isDirectory(CPUS.resolve("cpu" + cpu)); cpu++) {
      Path levels = CPUS.resolve("cpu" + cpu).resolve("cache");
      int level = 0;
      while (Files.isDirectory(levels.resolve("index" + (level + 1)))) {
        level++;
      }
      Path last = levels.resolve("index" + level);
      List<String> size = lines(last.resolve("size"));
      List<String> shared = lines(last.resolve("shared_cpu_list"));
      if (!size.isEmpty() && !shared.isEmpty() && size.getFirst().matches("\\d{1,12}K")) {
        caches.put(shared.getFirst(), 1024 * Long.parseLong(size.getFirst().replace("K", "")));
      }
    }
    return caches.values().stream().mapToLong(Long::longValue).sum();
  }

  private static List<String> kernelFeatures(String flags) {
    return Arrays.stream(flags.split(" ")).filter(KERNEL_FEATURES::contains).toList();
  }

  /** {@code cpu.max} of version 2: "QUOTA PERIOD" or "max PERIOD"; the tightest one counts. */
  private static Optional<Double> readQuota() {
    Stream<Double> second =
        groups()
            .flatMap(group -> lines(group.resolve("cpu.max")).stream().limit(1))
            .map(line -> line.split(" "))
            .filter(parts -> parts.length == 2 && isNumber(parts[0]) && isNumber(parts[1]))
            .map(parts -> Double.parseDouble(parts[0]) / Double.parseDouble(parts[1]));
    Stream<Double> first =
        Stream.of(CGROUPS.resolve("cpu"))
            .filter(group -> number(group.resolve("cpu.cfs_quota_us")).isPresent())
            .flatMap(
                group ->
                    number(group.resolve("cpu.cfs_period_us")).stream()
                        .map(period ->
                            (double) number(group.resolve("cpu.cfs_quota_us")).get() / period));
    return Stream.concat(second, first).min(Double::compare);
  }

  private static Optional<Long> readMemoryLimit() {
    Stream<Optional<Long>> limits =
        Stream.concat(
            groups().map(group -> number(group.resolve("memory.max"))),
            Stream.of(number(CGROUPS.resolve("memory/memory.limit_in_bytes"))));
    // Version 1 writes a number near 2^63 where there is no limit.
    return limits.flatMap(Optional::stream).filter(limit -> limit < 1L << 60).min(Long::compare);
  }

  /** This process's control group of version 2 and those above it. */
  private static Stream<Path> groups() {
    String own =
        lines(Path.of("/proc/self/cgroup")).stream()
            .filter(line -> line.startsWith("0::/"))
            .map(line -> line.substring("0::/".length()))
            .findFirst()
            .orElse("");
    return Stream.iterate(
        CGROUPS.resolve(own).normalize(), group -> group.startsWith(CGROUPS), Path::getParent);
  }

  private static Optional<Long> number(Path file) {
    return lines(file).stream().findFirst().filter(Processor::isNumber).map(Long::parseLong);
  }

  private static boolean isNumber(String text) {
    return text.matches("\\d{1,18}");
  }

  private static Optional<String> field(List<String> lines, String name) {
    return lines.stream()
        .filter(line -> line.startsWith(name))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .findFirst();
  }

  private static long kilobytes(List<String> lines, String name) {
    return field(lines, name)
        .map(value -> value.replace(" kB", ""))
        .filter(Processor::isNumber)
        .map(value -> 1024 * Long.parseLong(value))
        .orElse(0L);
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException _) { // not there: not Linux, or another version of control groups
      return List.of();
    }
  }
}
