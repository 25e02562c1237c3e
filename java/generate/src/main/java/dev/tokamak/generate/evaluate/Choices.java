// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate.evaluate;

import dev.tokamak.generate.Likelihood;
import dev.tokamak.generate.Likelihood.Request;
import java.util.ArrayList;
import java.util.List;

/**
 * Multiple choice by log-likelihood, as in EleutherAI's lm-evaluation-harness: the model chooses the
 * continuation that it holds for the likeliest. A blank stands between question and choice unless
 * one of them has it. Questions too long for the context lose their first tokens.
 */
public final class Choices {
  private Choices() {}

  /**
   * A question.
   *
   * @param group that it is counted in
   * @param context text before the choices
   * @param choices continuations, one of them right
   * @param gold number of the right one, from 0
   */
  public record Item(String group, String context, List<String> choices, int gold) {
    public Item {
      choices = List.copyOf(choices);
      if (choices.size() < 2) {
        throw new IllegalArgumentException("choices: expected 2 or more, found " + choices.size());
      }
      if (choices.contains("")) {
        throw new IllegalArgumentException("choices: found an empty one");
      }
      if (gold < 0 || gold >= choices.size()) {
        throw new IllegalArgumentException(
            "answer: expected 0 to " + (choices.size() - 1) + ", found " + gold);
      }
    }
  }

  /**
   * What the model chose.
   *
   * @param chosen the likeliest choice, ties to the first
   * @param chosenByLength the same with each log probability divided by the choice's characters
   * @param cut whether the question was too long and lost its beginning
   */
  public record Answer(int chosen, int chosenByLength, boolean cut) {}

  /** One choice of one item. */
  private record Candidate(int item, int choice) {}

  /** The answers to items, in order. */
  public static List<Answer> answer(Likelihood likelihood, List<Item> items, Progress progress) {
    List<Candidate> candidates = new ArrayList<>();
    List<Request> requests = new ArrayList<>();
    boolean[] cut = new boolean[items.size()];
    double[][] scores = new double[items.size()][];
    for (int i = 0; i < items.size(); i++) {
      Item item = items.get(i);
      scores[i] = new double[item.choices.size()];
      for (int c = 0; c < item.choices.size(); c++) {
        Request whole = likelihood.request(item.context, joined(item.context, item.choices.get(c)));
        Request request = likelihood.fit(whole);
        cut[i] |= request != whole;
        candidates.add(new Candidate(i, c));
        requests.add(request);
      }
    }
    int[] done = new int[1];
    likelihood.score(
        requests,
        (number, logProbability) -> {
          Candidate candidate = candidates.get(number);
          scores[candidate.item][candidate.choice] = logProbability;
          progress.at(++done[0], requests.size());
        });
    List<Answer> answers = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      List<String> choices = items.get(i).choices;
      double[] byLength = new double[choices.size()];
      for (int c = 0; c < byLength.length; c++) {
        String choice = choices.get(c);
        byLength[c] = scores[i][c] / choice.codePointCount(0, choice.length());
      }
      answers.add(new Answer(largest(scores[i]), largest(byLength), cut[i]));
    }
    return answers;
  }

  private static String joined(String context, String choice) {
    boolean apart =
        context.isEmpty()
            || Character.isWhitespace(context.charAt(context.length() - 1))
            || Character.isWhitespace(choice.charAt(0));
    return apart ? choice : " " + choice;
  }

  private static int largest(double[] values) {
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      if (values[i] > values[best]) {
        best = i;
      }
    }
    return best;
  }
}
