// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.model.Inference;
import dev.tokamak.model.Model;
import dev.tokamak.testing.TinyModel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScorerTest {
  private static Model model;

  @BeforeAll
  static void open() {
    model = Models.tiny("auto");
  }

  @AfterAll
  static void close() {
    model.close();
  }

  /** The logits after some tokens, each token in a step of its own. */
  private static float[] slowly(int... tokens) {
    try (Inference inference =
        model.prepare(new Inference.Shape(tokens.length, 1, 1, 1, model.defaultCacheType()))) {
      int sequence = inference.begin();
      float[] logits = new float[TinyModel.VOCABULARY];
      for (int token : tokens) {
        inference.add(sequence, token);
        inference.wantLogits();
        inference.step();
      }
      inference.logits(0, logits);
      return logits;
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 64})
  void everyPositionHasItsDistribution(int chunk) {
    int[] tokens = {1, 270, 4, 319, 0, 2, 300};
    try (Scorer scorer = new Scorer(model, Capacity.of(model).withChunk(chunk))) {
      List<Prediction> predictions = new ArrayList<>();
      scorer.predict(tokens, 0, 5, predictions::add);
      assertThat(predictions).hasSize(tokens.length);
      for (int i = 0; i < tokens.length; i++) {
        Prediction prediction = predictions.get(i);
        float[] expected = slowly(Arrays.copyOf(tokens, i + 1));
        assertThat(prediction.position()).isEqualTo(i);
        assertThat(prediction.logits()).isEqualTo(expected);
        compare(prediction, expected);
      }
      Prediction last = scorer.predict(tokens, 5);
      assertThat(last.logits()).isEqualTo(predictions.getLast().logits());
      assertThat(last.position()).isEqualTo(6);
    }
  }

  private static void compare(Prediction prediction, float[] logits) {
    double total = 0;
    for (float logit : logits) {
      total += Math.exp(logit);
    }
    double entropy = 0;
    int better = 0;
    for (float logit : logits) {
      double p = Math.exp(logit) / total;
      entropy -= p * Math.log(p) / Math.log(2);
      better += logit > logits[prediction.top().get(4).id()] ? 1 : 0;
    }
    assertThat(prediction.entropyBits()).isCloseTo(entropy, within(1e-9));
    assertThat(better).isEqualTo(4);
    for (Choice choice : prediction.top()) {
      assertThat(choice.probability())
          .isCloseTo(Math.exp(logits[choice.id()]) / total, within(1e-12));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 8, 33})
  void perplexityIsItsDefinition(int context) {
    String text = "The cat sat on the mat, and “said” nothing at all.\n";
    int[] ids = model.tokenizer().encode(text.strip(), true, false);
    double sum = 0;
    int scores = 0;
    for (int chunk = 0; (chunk + 1) * context <= ids.length; chunk++) {
      int[] part = Arrays.copyOfRange(ids, chunk * context, (chunk + 1) * context);
      part[0] = 1;
      for (int position = context / 2; position <= context - 2; position++) {
        float[] logits = slowly(Arrays.copyOf(part, position + 1));
        double total = 0;
        for (float logit : logits) {
          total += Math.exp(logit);
        }
        sum += Math.log(total) - logits[part[position + 1]];
        scores++;
      }
    }
    try (Scorer scorer = new Scorer(model, Capacity.of(model).withContext(context))) {
      List<Integer> done = new ArrayList<>();
      Perplexity result = scorer.perplexity(text, (chunk, chunks) -> done.add(chunk));
      assertThat(result.perplexity())
          .isCloseTo(Math.exp(sum / scores), within(1e-6 * result.perplexity()));
      assertThat(result.tokens()).isEqualTo(ids.length);
      assertThat(result.scores()).isEqualTo(scores);
      assertThat(result.chunks()).isEqualTo(ids.length / context).isEqualTo(done.size());
      int bytes = text.strip().getBytes(StandardCharsets.UTF_8).length;
      assertThat(result.bitsPerByte())
          .isCloseTo(sum / scores / Math.log(2) * (ids.length - 1) / bytes, within(1e-6));
    }
  }

  @Test
  void saysWhatIsWrong() {
    try (Scorer scorer = new Scorer(model, Capacity.of(model).withContext(20))) {
      assertThatThrownBy(() -> scorer.perplexity("short", Scorer.Progress.none()))
          .isInstanceOf(PromptException.class)
          .hasMessage(
              "text: 7 tokens are fewer than one chunk of 20; "
                  + "give a longer text or a smaller context (--ctx)");
      assertThatThrownBy(() -> scorer.predict(new int[0], 3)).isInstanceOf(PromptException.class);
      assertThatThrownBy(() -> scorer.predict(new int[21], 3))
          .isInstanceOf(PromptException.class)
          .hasMessageContaining("21 tokens do not fit into the context of 20");
    }
    try (Scorer scorer = new Scorer(model, Capacity.of(model).withContext(2))) {
      assertThatThrownBy(() -> scorer.perplexity("a text", Scorer.Progress.none()))
          .hasMessage("ctx: expected 3 or more for a perplexity, found 2");
    }
  }
}
