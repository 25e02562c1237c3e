// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.bundle;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The tiny models of {@code tests/golden} through the command line, against their float64 numbers:
 * the logits at every position of each prompt, with a cache of float32, and the likeliest tokens
 * that follow.
 */
final class GoldenModels {
  /** A prompt in steps that end in the middle of the cache's pages. */
  private static final String CHUNK = "7";

  private final Path launcher;
  private final String backend;
  private final double bound;
  private final double clear;

  /**
   * Where a model stands.
   *
   * @param worst the largest difference of a logit, relative to the largest of its position
   * @param problem empty: as it should be
   */
  record Result(String model, double worst, int positions, String problem) {
    Map<String, Object> json() {
      Map<String, Object> object = new LinkedHashMap<>();
      object.put("model", model);
      object.put("largest_relative_error", worst);
      object.put("positions", positions);
      object.put("passed", problem.isEmpty());
      if (!problem.isEmpty()) {
        object.put("problem", problem);
      }
      return object;
    }
  }

  /**
   * @param bound on the relative error of a logit; what the backend promises
   * @param clear a lead of the likeliest token, in logits, that the backend must keep
   */
  GoldenModels(Path launcher, String backend, double bound, double clear) {
    this.launcher = launcher;
    this.backend = backend;
    this.bound = bound;
    this.clear = clear;
  }

  /** All models of a folder; what the programs say goes to the log. */
  List<Result> check(Path folder, Path log) throws IOException, InterruptedException {
    List<Path> expected;
    try (Stream<Path> files = Files.list(folder)) {
      expected = files.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
    List<Result> results = new ArrayList<>();
    for (Path file : expected) {
      results.add(check(file, log, Json.object(Json.read(Files.readString(file)))));
    }
    return results;
  }

  private Result check(Path file, Path log, Map<?, ?> golden) throws InterruptedException {
    String name = file.getFileName().toString().replace(".json", "");
    String model = file.resolveSibling((String) golden.get("file")).toString();
    double worst = 0;
    int positions = 0;
    String problem = "";
    for (Object prompt : Json.array(golden.get("prompts"))) {
      int[] ids = Json.ints(Json.object(prompt).get("ids"));
      Map<?, ?> predicted = tokamak(log, ids, "predict", "-m", model, "--all", "--every-position");
      List<?> logits =
          predicted.containsKey("logits") ? Json.array(predicted.get("logits")) : List.of();
      List<?> rows = Json.array(Json.object(prompt).get("logits"));
      if (logits.size() != rows.size()) {
        return new Result(name, worst, positions, "predict failed: see " + log.getFileName());
      }
      for (int i = 0; i < rows.size(); i++) {
        double error = error(Json.doubles(logits.get(i)), Json.doubles(rows.get(i)));
        worst = Math.max(worst, error);
        positions++;
      }
      int[] greedy = Json.ints(Json.object(prompt).get("greedy"));
      double gap = ((Number) Json.object(prompt).get("smallest_top2_gap")).doubleValue();
      Map<?, ?> run =
          tokamak(
              log, ids, "run", "-m", model, "-n", String.valueOf(greedy.length), "--temp", "0",
              "--ignore-eos");
      if (gap > clear && !(run.containsKey("tokens")
          && Arrays.equals(greedy, Json.ints(run.get("tokens"))))) {
        problem = "other tokens than the golden ones follow";
      }
    }
    if (!(worst <= bound)) {
      problem = "a logit is off by %.2g, at most %.2g is right".formatted(worst, bound);
    }
    return new Result(name, worst, positions, problem);
  }

  private Map<?, ?> tokamak(Path log, int[] ids, String... arguments) throws InterruptedException {
    List<String> words = new ArrayList<>(List.of(launcher.toString()));
    words.addAll(List.of(arguments));
    words.addAll(
        List.of(
            "--tokens",
            Arrays.stream(ids).mapToObj(String::valueOf).collect(Collectors.joining(",")),
            "--backend", backend, "--kv-type", "f32", "--chunk", CHUNK, "--quiet", "--json"));
    Command.Outcome outcome = new Command(words, Duration.ofMinutes(2)).run(log);
    return outcome.status() == 0 ? Json.object(Json.read(outcome.output())) : Map.of();
  }

  /** The largest difference, relative to the largest of the expected; NaN stays. */
  private static double error(double[] actual, double[] expected) {
    if (actual.length != expected.length) {
      return Double.NaN;
    }
    double largest = 0;
    double worst = 0;
    for (int i = 0; i < expected.length; i++) {
      largest = Math.max(largest, Math.abs(expected[i]));
      worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
    }
    return worst / largest;
  }
}
