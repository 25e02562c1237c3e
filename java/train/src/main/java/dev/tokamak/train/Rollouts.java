// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.generate.Batcher;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.FinishReason;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.Model;
import dev.tokamak.train.data.Question;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/**
 * The examples of GRPO (Shao et al. 2024): a model answers each problem several times, each answer
 * is rewarded or not, and its advantage is how far its reward lies above the mean of its group, in
 * standard deviations; in a group of equals all have none. Answers are drawn from the model as it
 * is at that step, without any cuts; one that does not end by itself is wrong. Whatever the
 * temperature of answers, what is learnt are probabilities at temperature 1.
 */
public final class Rollouts implements Source {
  /** Answers that are written side by side, at most. */
  private static final int TOGETHER = 64;

  private final TrainConfig config;
  private final Workshop shop;
  private final Problems problems;
  private final PolicyGradient policy;
  private final Optional<Reference> reference;

  /**
   * @param arena of the reference, where the configuration asks for one; the weights are those to
   *     be held to
   */
  public Rollouts(
      TrainConfig config,
      Workshop shop,
      Problems problems,
      PolicyGradient policy,
      Arena arena) {
    this.config = config;
    this.shop = shop;
    this.problems = problems;
    this.policy = policy;
    reference =
        config.grpo().kl() > 0
            ? Optional.of(new Reference(shop.parameters(), shop.replay(), arena))
            : Optional.empty();
  }

  /** An answer to a problem, with its prompt. */
  private record Answer(int[] prompt, Event.Finished end, boolean right) {
    int[] tokens() {
      return IntStream.concat(
              IntStream.of(prompt), end.tokens().stream().mapToInt(Event.Token::id))
          .toArray();
    }
  }

  @Override
  public List<List<Example>> step(long step) {
    int group = config.grpo().group();
    int sequences = config.batch().sequences();
    int answers = sequences * config.batch().accumulate();
    List<Question> asked =
        IntStream.range(0, answers)
            .mapToObj(i -> problems.training(step * (answers / group) + i / group))
            .toList();
    List<Answer> given = answer(asked, config.grpo().temperature(), step * answers);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < answers; i++) {
      Answer answer = given.get(i);
      double[] advantages = advantages(given.subList(i - i % group, i - i % group + group));
      examples.add(
          Example.answer(
              step * answers + i,
              answer.tokens(),
              answer.prompt.length,
              advantages[i % group]));
    }
    List<List<Example>> parts =
        IntStream.range(0, config.batch().accumulate())
            .mapToObj(part -> examples.subList(part * sequences, (part + 1) * sequences))
            .toList();
    policy.begin(
        reference.map(r -> r.logProbabilities(parts.stream())).orElse(Map.of()),
        measures(given));
    return parts;
  }

  private static double[] advantages(List<Answer> group) {
    return advantages(group.stream().mapToDouble(answer -> answer.right ? 1 : 0).toArray());
  }

  /** How many standard deviations each reward of a group is above the mean. */
  static double[] advantages(double[] rewards) {
    double mean = Arrays.stream(rewards).average().orElseThrow();
    double variance =
        Arrays.stream(rewards).map(r -> (r - mean) * (r - mean)).average().orElseThrow();
    double scale = variance == 0 ? 0 : 1 / Math.sqrt(variance);
    return Arrays.stream(rewards).map(reward -> (reward - mean) * scale).toArray();
  }

  /** The share of right ones. */
  private static double right(List<Answer> answers) {
    return (double) answers.stream().filter(Answer::right).count() / answers.size();
  }

  private static Map<String, Double> measures(List<Answer> answers) {
    Map<String, Double> measures = new LinkedHashMap<>();
    measures.put("reward", right(answers));
    measures.put(
        "answer_tokens",
        answers.stream().mapToInt(a -> a.end.tokens().size()).average().orElseThrow());
    return measures;
  }

  /** From now on the likeliest answers to held-out problems are looked at every so often. */
  public void validate() {
    List<Question> heldOut =
        problems.heldOut(config.evaluate().batches() * config.batch().sequences());
    if (!heldOut.isEmpty()) {
      shop.watch(
          config.evaluate().every(),
          step -> {
            List<Answer> answers = answer(heldOut, 0, 0);
            double right = right(answers);
            return List.of(
                new TrainEvent.Validated(
                    step, 1 - right, OptionalDouble.empty(), Map.of("reward", right)));
          });
    }
  }

  /**
   * Lets the model as it is answer.
   *
   * @param first number of the first answer, which its random numbers follow from
   */
  private List<Answer> answer(List<Question> asked, double temperature, long first) {
    SamplerOptions sampler =
        SamplerOptions.defaults().withTemp(temperature).withTopK(0).withTopP(1).withMinP(0);
    Answer[] answers = new Answer[asked.size()];
    try (Model model = shop.copy();
        var batcher = new Batcher(model, capacity(model, asked.size()))) {
      for (int i = 0; i < asked.size(); i++) {
        int number = i;
        Question question = asked.get(i);
        int[] prompt = shop.prompt(question.messages());
        if (prompt.length >= config.batch().tokens()) {
          throw new TrainException(
              "batch.tokens: found " + config.batch().tokens() + ", but a question has "
                  + prompt.length + " tokens: " + question.text());
        }
        GenerateOptions options =
            GenerateOptions.of(sampler.withSeed(Problems.mix(config.seed(), first + i)))
                .withMaxTokens(config.grpo().tokens());
        batcher.submit(
            prompt,
            options,
            event -> take(event, question, answer -> answers[number] = answer, prompt));
      }
      batcher.run();
    }
    return List.of(answers);
  }

  private void take(
      Event event, Question question, Consumer<Answer> to, int[] prompt) {
    switch (event) {
      case Event.Token _ -> {}
      case Event.Finished end -> {
        boolean ended = end.reason() == FinishReason.EOS;
        to.accept(new Answer(prompt, end, ended && question.rule().accepts(end.text())));
      }
      case Event.Refused refused ->
          throw new TrainException(
              "a question cannot be answered: " + refused.problem());
    }
  }

  private Capacity capacity(Model model, int answers) {
    return Capacity.of(model)
        .withContext(config.batch().tokens())
        .withSequences(Math.min(TOGETHER, answers));
  }
}
