// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.generate.Likelihood.Request;
import dev.tokamak.generate.evaluate.BitsPerByte;
import dev.tokamak.generate.evaluate.Choices;
import dev.tokamak.generate.evaluate.Pairs;
import dev.tokamak.generate.evaluate.Progress;
import dev.tokamak.model.Model;
import dev.tokamak.testing.Seeds;
import dev.tokamak.testing.TinyModel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LikelihoodTest {
  private static Model model;

  @BeforeAll
  static void open() {
    model = Models.tiny("auto");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** The same by the distributions after each token. */
  private static double slowly(Request request) {
    double sum = 0;
    List<Prediction> predictions = new ArrayList<>();
    try (var scorer = new Scorer(model, Capacity.of(model))) {
      scorer.predict(request.tokens(), 0, TinyModel.VOCABULARY, predictions::add);
    }
    for (int i = request.from(); i < request.tokens().length; i++) {
      int token = request.tokens()[i];
      List<Choice> top = predictions.get(i - 1).top();
      sum += top.stream().filter(c -> c.id() == token).findFirst().orElseThrow().logProbability();
    }
    return sum;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 5, 64, 512})
  void manyRequestsInAStepScoreAsOneAlone(int chunk) {
    long seed = Seeds.seed();
    var random = new Random(seed);
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      int[] tokens = random.ints(2 + random.nextInt(30), 0, TinyModel.VOCABULARY).toArray();
      requests.add(new Request(tokens, 1 + random.nextInt(tokens.length - 1)));
    }
    double[] scores = new double[requests.size()];
    try (var likelihood = new Likelihood(model, Capacity.of(model).withChunk(chunk))) {
      likelihood.score(requests, (number, sum) -> scores[number] = sum);
    }
    for (int i = 0; i < scores.length; i++) {
      assertThat(scores[i]).as("request %d, seed %d", i, seed).isEqualTo(slowly(requests.get(i)));
    }
  }

  @Test
  void blanksBetweenContextAndContinuationBelongToTheContinuation() {
    try (var likelihood = new Likelihood(model, Capacity.of(model))) {
      Request apart = likelihood.request("ab ", "cd");
      Request joined = likelihood.request("ab", " cd");
      assertThat(apart.tokens()).isEqualTo(joined.tokens());
      assertThat(apart.from()).isEqualTo(joined.from());
      assertThat(likelihood.request("", "x").from()).isEqualTo(1); // after BOS
      assertThatThrownBy(() -> likelihood.request("ab", ""))
          .isInstanceOf(PromptException.class)
          .hasMessageContaining("continuation");
    }
  }

  @Test
  void aDocumentLongerThanTheContextIsScoredOnceInOverlappingWindows() {
    String text = "the quick brown fox jumps over the lazy dog. ".repeat(4).strip();
    try (var whole = new Likelihood(model, Capacity.of(model));
        var windows = new Likelihood(model, Capacity.of(model).withContext(16))) {
      BitsPerByte exact = BitsPerByte.of(whole, List.of(text), Progress.none()).getFirst();
      BitsPerByte cut = BitsPerByte.of(windows, List.of(text), Progress.none()).getFirst();
      int[] tokens = whole.request("", text).tokens();
      assertThat(tokens.length).as("longer than a window").isGreaterThan(32);
      assertThat(cut.tokens()).isEqualTo(exact.tokens()).isEqualTo(tokens.length - 1);
      assertThat(cut.bytes()).isEqualTo(text.length());
      // By hand: tokens 1 to 15 in the first window, then 8 at a time after 8 others.
      double nats = 0;
      for (int from = 1; from < tokens.length; ) {
        int start = from == 1 ? 0 : from - 8;
        int end = Math.min(tokens.length, start + 16);
        nats -= slowly(new Request(Arrays.copyOfRange(tokens, start, end), from - start));
        from = end;
      }
      assertThat(cut.bits()).isEqualTo(nats / StrictMath.log(2));
    }
  }

  @Test
  void choicesAndPairsTakeTheLikelier() {
    try (var likelihood = new Likelihood(model, Capacity.of(model))) {
      double[] sums = new double[3];
      List<String> words = List.of("cat", "a", "horses");
      likelihood.score(
          words.stream().map(word -> likelihood.request("the", " " + word)).toList(),
          (number, sum) -> sums[number] = sum);
      int best = 0;
      int bestByLength = 0;
      for (int i = 1; i < 3; i++) {
        best = sums[i] > sums[best] ? i : best;
        bestByLength =
            sums[i] / words.get(i).length() > sums[bestByLength] / words.get(bestByLength).length()
                ? i
                : bestByLength;
      }
      Choices.Answer answer =
          Choices.answer(
                  likelihood, List.of(new Choices.Item("g", "the", words, 0)), Progress.none())
              .getFirst();
      assertThat(answer).isEqualTo(new Choices.Answer(best, bestByLength, false));

      double[] sentences = new double[2];
      likelihood.score(
          List.of(likelihood.request("", "a cat"), likelihood.request("", "cat a")),
          (number, sum) -> sentences[number] = sum);
      BitSet right =
          Pairs.right(
              likelihood,
              List.of(
                  new Pairs.Item("g", "a cat", "cat a"),
                  new Pairs.Item("g", "cat a", "a cat"),
                  new Pairs.Item("g", "cat", "cat")),
              Progress.none());
      assertThat(right.get(0)).isEqualTo(sentences[0] > sentences[1]);
      assertThat(right.get(1)).isEqualTo(!right.get(0));
      assertThat(right.get(2)).as("a tie is not right").isFalse();
    }
  }

  @Test
  void questionsTooLongLoseTheirBeginning() {
    try (var likelihood = new Likelihood(model, Capacity.of(model).withContext(8))) {
      String context = "one two three four five six seven";
      var item = new Choices.Item("g", context, List.of("a", "b"), 0);
      assertThat(Choices.answer(likelihood, List.of(item), Progress.none()).getFirst().cut())
          .isTrue();
      Request whole = likelihood.request(context, " a");
      Request fitted = likelihood.fit(whole);
      assertThat(fitted.tokens()).hasSize(8).endsWith(whole.tokens()[whole.tokens().length - 1]);
      assertThatThrownBy(() -> likelihood.score(List.of(whole), (_, _) -> {}))
          .isInstanceOf(PromptException.class)
          .hasMessageContaining("do not fit into 8");
    }
  }
}
