// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.bundle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Checks that Tokamak computes rightly on this machine's GPU, and measures how fast:
 *
 * <pre>check [--out FOLDER] [--no-bench] [MODEL.gguf ...]</pre>
 *
 * <p>One folder of results: {@code summary.txt} and {@code summary.json}, and for each step what it
 * wrote. Without a GPU that can be used, the same steps run where they can: kernels in emulation,
 * models on the CPU. Exit status: 0 all right on a GPU; 1 something is wrong; 2 the command line;
 * 3 no GPU was used, and what ran was right.
 */
public final class Check {
  private static final int WRONG = 1;
  private static final int USAGE = 2;
  private static final int NO_GPU = 3;

  /** On the device products are of float32's precision; the CPU rounds activations to 8 bits. */
  private static final double DEVICE_BOUND = 3e-4;

  private static final Duration SANITIZER_LIMIT = Duration.ofMinutes(15);

  /** Cases of at most so many multiplications. */
  private static final String SMALL_CASES = "5000";

  private static final double DEVICE_CLEAR = 0.01;
  private static final double CPU_BOUND = 8e-2;
  private static final double CPU_CLEAR = 0.2;

  private final Path home;
  private final Path results;
  private final boolean bench;
  private final List<Path> models;
  private final List<Map<String, Object>> steps = new ArrayList<>();

  private Check(Path home, Path results, boolean bench, List<Path> models) {
    this.home = home;
    this.results = results;
    this.bench = bench;
    this.models = models;
  }

  /** The first argument is the distribution's folder; the others are the user's. */
  public static void main(String[] arguments) throws IOException, InterruptedException {
    Path home = Path.of(arguments[0]).toAbsolutePath();
    Optional<Path> out = Optional.empty();
    boolean bench = true;
    List<Path> models = new ArrayList<>();
    for (int i = 1; i < arguments.length; i++) {
      if (arguments[i].equals("--out") && i + 1 < arguments.length) {
        out = Optional.of(Path.of(arguments[++i]));
      } else if (arguments[i].equals("--no-bench")) {
        bench = false;
      } else if (Files.isRegularFile(Path.of(arguments[i]))) {
        models.add(Path.of(arguments[i]).toAbsolutePath());
      } else {
        System.err.println(
            "check: " + arguments[i] + " is neither an option nor a file; usage: "
                + "check [--out FOLDER] [--no-bench] [MODEL.gguf ...]");
        System.exit(USAGE);
      }
    }
    String now = LocalDateTime.now().format(DateTimeFormatter.ofPattern("uuuu-MM-dd-HHmmss"));
    Path results = out.orElse(Path.of("tokamak-check-" + now)).toAbsolutePath();
    Files.createDirectories(results);
    System.exit(new Check(home, results, bench, models).run());
  }

  private int run() throws IOException, InterruptedException {
    Map<?, ?> devices = devices();
    boolean gpu = "cuda".equals(devices.get("selected"));
    String reason = gpu ? String.valueOf(devices.get("description")) : obstacle(devices);
    say(gpu ? "GPU: " + reason : "no GPU is used: " + reason);
    driver();
    kernels(gpu);
    golden(gpu);
    if (gpu) {
      sanitizers();
    } else {
      skip("compute-sanitizer", "no GPU");
    }
    if (gpu && bench) {
      benches();
    } else {
      skip("benches", gpu ? "--no-bench" : "no GPU");
    }
    return finish(gpu, reason);
  }

  private Map<?, ?> devices() throws IOException, InterruptedException {
    Command.Outcome outcome =
        step("devices", Duration.ofMinutes(2), launcher(), "devices", "--json");
    return outcome.status() == 0 ? Json.object(Json.read(outcome.output())) : Map.of();
  }

  private static String obstacle(Map<?, ?> devices) {
    if (devices.get("backends") instanceof List<?> backends) {
      for (Object backend : backends) {
        if ("cuda".equals(Json.object(backend).get("name"))) {
          return String.valueOf(Json.object(backend).get("obstacle"));
        }
      }
    }
    return "tokamak devices does not tell";
  }

  /** What NVIDIA's own tool says, where it is. */
  private void driver() throws IOException, InterruptedException {
    if (find("nvidia-smi").isPresent()) {
      step("nvidia-smi", Duration.ofMinutes(1), "nvidia-smi", "-q");
    } else {
      skip("nvidia-smi", "it is not on PATH");
    }
  }

  private void kernels(boolean gpu) throws IOException, InterruptedException {
    String program = gpu ? "tokamak_cuda_device_tests" : "tokamak_cuda_kernel_tests";
    step(
        gpu ? "kernels" : "kernels-emulated",
        Duration.ofMinutes(20),
        checks(program),
        checks("cases"));
  }

  private void golden(boolean gpu) throws IOException, InterruptedException {
    String backend = gpu ? "cuda" : "cpu";
    String name = "golden-" + backend;
    long start = System.nanoTime();
    var golden =
        gpu
            ? new GoldenModels(Path.of(launcher()), backend, DEVICE_BOUND, DEVICE_CLEAR)
            : new GoldenModels(Path.of(launcher()), backend, CPU_BOUND, CPU_CLEAR);
    List<GoldenModels.Result> models =
        golden.check(Path.of(checks("golden")), results.resolve(name + ".log"));
    Files.writeString(
        results.resolve(name + ".json"),
        Json.write(models.stream().map(GoldenModels.Result::json).toList()));
    boolean passed = !models.isEmpty();
    for (GoldenModels.Result model : models) {
      passed &= model.problem().isEmpty();
      say(
          "  %-14s %3d positions, largest error %.1e %s"
              .formatted(model.model(), model.positions(), model.worst(), model.problem()));
    }
    record(name, passed ? "passed" : "FAILED", (System.nanoTime() - start) * 1e-9, "");
  }

  /**
   * NVIDIA's checkers of memory accesses and races, on the cases that they finish in minutes. Some
   * virtual machines refuse them: that says nothing of the kernels.
   */
  private void sanitizers() throws IOException, InterruptedException {
    Optional<Path> sanitizer = find("compute-sanitizer");
    if (sanitizer.isEmpty()) {
      skip("compute-sanitizer", "it is not on PATH; the CUDA toolkit has it");
      return;
    }
    for (String tool : List.of("memcheck", "racecheck", "synccheck")) {
      Command.Outcome outcome =
          run(
              tool,
              SANITIZER_LIMIT,
              sanitizer.get().toString(), "--tool", tool, "--error-exitcode", "9",
              checks("tokamak_cuda_device_tests"), checks("cases"), "--most", SMALL_CASES);
      if (outcome.status() == Command.TIMED_OUT) {
        skip(tool, "not done in " + SANITIZER_LIMIT.toMinutes() + " minutes");
      } else if (outcome.output().contains("Device not supported")) {
        skip(tool, "compute-sanitizer: Device not supported");
      } else {
        record(tool, SANITIZER_LIMIT, outcome);
      }
    }
  }

  private void benches() throws IOException, InterruptedException {
    step(
        "bench-kernels", Duration.ofMinutes(30),
        launcher(), "bench", "kernels", "--backend", "cuda", "--json");
    if (models.isEmpty()) {
      skip("bench", "name GGUF files to measure whole models");
    }
    for (Path model : models) {
      step(
          "bench-" + model.getFileName(), Duration.ofMinutes(15),
          launcher(), "bench", "-m", model.toString(), "--backend", "cuda", "--json");
    }
  }

  /** Runs a program, keeps what it wrote, and says how it went. */
  private Command.Outcome step(String name, Duration limit, String... words)
      throws IOException, InterruptedException {
    Command.Outcome outcome = run(name, limit, words);
    record(name, limit, outcome);
    return outcome;
  }

  private Command.Outcome run(String name, Duration limit, String... words)
      throws IOException, InterruptedException {
    Path log = results.resolve(name + ".log");
    Command.Outcome outcome = new Command(List.of(words), limit).run(log);
    boolean json = outcome.output().startsWith("{");
    Files.writeString(results.resolve(name + (json ? ".json" : ".txt")), outcome.output());
    if (Files.exists(log) && Files.size(log) == 0) {
      Files.delete(log);
    }
    return outcome;
  }

  private void record(String name, Duration limit, Command.Outcome outcome) {
    record(
        name,
        outcome.status() == 0 ? "passed" : "FAILED",
        outcome.seconds(),
        switch (outcome.status()) {
          case 0 -> "";
          case Command.TIMED_OUT -> "not done in " + limit.toMinutes() + " minutes";
          case Command.NOT_STARTED -> "not started: see " + name + ".log";
          default -> "exit status " + outcome.status();
        });
  }

  private void skip(String name, String reason) {
    record(name, "skipped", 0, reason);
  }

  private void record(String name, String result, double seconds, String remark) {
    Map<String, Object> step = new LinkedHashMap<>();
    step.put("step", name);
    step.put("result", result);
    step.put("seconds", seconds);
    step.put("remark", remark);
    steps.add(step);
    say(line(step));
  }

  private static String line(Map<String, Object> step) {
    return "%-7s  %-22s %7.1f s  %s"
        .formatted(step.get("result"), step.get("step"), step.get("seconds"), step.get("remark"))
        .stripTrailing();
  }

  private int finish(boolean gpu, String reason) throws IOException {
    boolean failed = steps.stream().anyMatch(step -> step.get("result").equals("FAILED"));
    int status = failed ? WRONG : gpu ? 0 : NO_GPU;
    String verdict =
        failed
            ? "something is wrong: see above"
            : gpu ? "all right on this GPU" : "what ran is right; no GPU was used";
    Map<String, Object> summary = new LinkedHashMap<>();
    summary.put("date", LocalDateTime.now().withNano(0).toString());
    summary.put("gpu", gpu);
    summary.put(gpu ? "device" : "obstacle", reason);
    summary.put("verdict", verdict);
    summary.put("exit_status", status);
    summary.put("steps", steps);
    Files.writeString(results.resolve("summary.json"), Json.write(summary));
    List<String> lines = new ArrayList<>();
    lines.add((gpu ? "GPU: " : "no GPU is used: ") + reason);
    steps.forEach(step -> lines.add(line(step)));
    lines.add(verdict);
    Files.write(results.resolve("summary.txt"), lines);
    say(verdict);
    say("results: " + results);
    return status;
  }

  private String launcher() {
    return home.resolve("tokamak").toString();
  }

  private String checks(String name) {
    return home.resolve("checks").resolve(name).toString();
  }

  private static Optional<Path> find(String program) {
    String path = Optional.ofNullable(System.getenv("PATH")).orElse("");
    return Stream.of((path + ":/usr/local/cuda/bin").split(":"))
        .filter(folder -> !folder.isEmpty())
        .map(folder -> Path.of(folder, program))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private static void say(String line) {
    System.out.println(line);
  }
}
