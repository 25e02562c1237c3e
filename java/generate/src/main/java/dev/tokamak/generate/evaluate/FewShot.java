// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import dev.tokamak.generate.Batcher;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * In-context learning: a model sees some examples of a task and then a new input, and is to write
 * its output (Brown et al. 2020). How accuracy grows with the number of examples shows what is
 * learnt from the context alone.
 *
 * <p>A prompt is a line {@code input -> output} for each example and a last line that stops after
 * the arrow; the answer is what the model writes greedily up to the end of the line, blanks at its
 * ends left out.
 */
public final class FewShot {
  /** Between an input and its output. */
  private static final String ARROW = " ->";

  /** An answer ends with its line; one longer than this is wrong. */
  private static final int ANSWER_TOKENS = 32;

  private FewShot() {}

  /** An input and the output that the task makes of it. */
  public record Example(String input, String output) {}

  /**
   * A task.
   *
   * @param name for reports
   * @param examples at least two; which are shown and which asked is drawn
   */
  public record Task(String name, List<Example> examples) {
    public Task {
      examples = List.copyOf(examples);
      if (examples.size() < 2) {
        throw new IllegalArgumentException(
            name + ": expected 2 examples or more, found " + examples.size());
      }
    }
  }

  /**
   * How often the model was right at one task with one number of examples.
   *
   * @param examples shown before the question
   */
  public record Accuracy(String task, int examples, int right, int n) {
    public double value() {
      return (double) right / n;
    }
  }

  /**
   * Asks a model.
   *
   * @param shown numbers of examples; a number that a task has not enough examples for is left out
   * @param questions for each task and number
   * @param seed of what is drawn: the same seed, the same prompts
   * @throws dev.tokamak.generate.PromptException if a prompt is longer than the context
   */
  public static List<Accuracy> measure(
      Batcher batcher,
      List<Task> tasks,
      List<Integer> shown,
      int questions,
      long seed,
      Progress progress) {
    GenerateOptions options =
        GenerateOptions.of(SamplerOptions.greedy())
            .withMaxTokens(ANSWER_TOKENS)
            .withStop(List.of("\n"));
    List<Accuracy> results = new ArrayList<>();
    int cases = tasks.size() * shown.size();
    for (Task task : tasks) {
      for (int count : shown) {
        if (count < task.examples.size()) {
          results.add(
              new Accuracy(
                  task.name, count, ask(batcher, task, count, questions, seed, options),
                  questions));
        }
        progress.at(results.size(), cases);
      }
    }
    return results;
  }

  private static int ask(
      Batcher batcher, Task task, int count, int questions, long seed, GenerateOptions options) {
    // The same questions for every number of examples, and each set of examples begins the next.
    int[] right = new int[1];
    for (int question = 0; question < questions; question++) {
      var random = new SplittableRandom(seed * 1_000_003 + question);
      List<Example> drawn = draw(task.examples, count + 1, random);
      Example asked = drawn.getFirst();
      batcher.submit(
          prompt(drawn.subList(1, drawn.size()), asked),
          options,
          event -> {
            switch (event) {
              case Event.Token _ -> {}
              case Event.Refused refused ->
                  throw new dev.tokamak.generate.PromptException(
                      task.name + " with " + count + " examples: " + refused.problem());
              case Event.Finished answer -> {
                if (answer.text().strip().equals(asked.output())) {
                  right[0]++;
                }
              }
            }
          });
    }
    batcher.run();
    return right[0];
  }

  /** Distinct examples, in random order; the first ones are the same for any count. */
  private static List<Example> draw(List<Example> from, int count, SplittableRandom random) {
    List<Example> rest = new ArrayList<>(from);
    List<Example> drawn = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      drawn.add(rest.remove(random.nextInt(rest.size())));
    }
    return drawn;
  }

  private static String prompt(List<Example> shown, Example asked) {
    var prompt = new StringBuilder();
    for (Example example : shown) {
      prompt.append(example.input).append(ARROW).append(' ').append(example.output).append('\n');
    }
    return prompt.append(asked.input).append(ARROW).toString();
  }
}
