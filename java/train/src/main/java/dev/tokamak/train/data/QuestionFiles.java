// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import dev.tokamak.generate.verify.Verifier;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.train.ConfigKey.Weighted;
import dev.tokamak.train.Problems;
import dev.tokamak.train.Problems.Problem;
import dev.tokamak.train.TrainConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Questions for a model to answer and code to judge, as JSON lines: {@code prompt}, and {@code
 * words}, a list, where the answer must have these.
 */
public final class QuestionFiles {
  private QuestionFiles() {}

  /**
   * Reads the files of a configuration, in the order of their lines.
   *
   * @throws FormatException if a line lacks what the task needs, or there is no question
   */
  public static Problems read(TrainConfig config) {
    List<Problem> training = new ArrayList<>();
    List<Problem> heldOut = new ArrayList<>();
    Split split = Split.of(config.data().heldOut(), config.seed());
    for (Weighted file : config.data().train()) {
      List<Problem> problems = read(file.file(), config.grpo());
      for (int i = 0; i < problems.size(); i++) {
        (split.holds(i) ? heldOut : training).add(problems.get(i));
      }
    }
    for (Path file : config.data().valid()) {
      heldOut.addAll(read(file, config.grpo()));
    }
    return new Problems.Listed(training, heldOut);
  }

  private static List<Problem> read(Path file, TrainConfig.Grpo grpo) {
    List<Problem> problems = new ArrayList<>();
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonObject object = JsonObject.parse(lines.place(), line.get());
        problems.add(new Problem(object.text("prompt"), rule(object, grpo)));
      }
    }
    if (problems.isEmpty()) {
      throw new FormatException(file + ": no questions: expected JSON lines with \"prompt\"");
    }
    return problems;
  }

  private static Verifier rule(JsonObject object, TrainConfig.Grpo grpo) {
    return switch (grpo.task()) {
      case PATTERN -> new Verifier.Matches(Pattern.compile(grpo.pattern().orElseThrow()));
      case WORDS -> new Verifier.Contains(words(object));
      case ARITHMETIC -> throw new IllegalArgumentException("arithmetic has no files");
    };
  }

  private static List<String> words(JsonObject object) {
    List<?> words = object.has("words") ? object.list("words") : List.of();
    if (words.isEmpty() || !words.stream().allMatch(w -> w instanceof String s && !s.isBlank())) {
      throw object.wrong("expected \"words\", a list of one word or more");
    }
    return words.stream().map(String.class::cast).toList();
  }
}
