// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.tokamak.testing.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/**
 * The whole way from a file to logits on the models of {@code tests/golden}, which travel with the
 * sources: every family, weight type and kind of vocabulary, on every backend of this machine,
 * against float64 numbers that another program computed.
 */
class CommittedGoldenTest {
  /**
   * A model, and what the cpu backend may differ by. Its activations are rounded as its weights
   * are, to BF16 or to 8 bits; a quantised model is therefore held to the tokens it prefers and to
   * its perplexity, and the bound on its logits only catches what is plainly wrong. The reference
   * backend always keeps {@link #EXACT}, cuda {@link #PARTS}.
   *
   * @param error of a logit, relative to the largest of its position
   * @param perplexity its relative error
   */
  private record Case(String name, double error, double perplexity) {
    JsonNode golden() {
      return Golden.json(name + ".json");
    }

    Model open(String backend) {
      return Logits.open(Golden.path(golden().get("file").stringValue()), backend);
    }

    boolean exactOn(String backend) {
      return !backend.equals("cpu") || error <= EXACT;
    }

    double errorOn(String backend) {
      return !exactOn(backend) ? error : backend.equals("cuda") ? PARTS : EXACT;
    }

    double perplexityOn(String backend) {
      return !exactOn(backend) ? perplexity : backend.equals("cuda") ? PARTS : EXACT;
    }
  }

  /** What float32 arithmetic in another order may differ by. */
  private static final double EXACT = 2e-5;

  /** What products of pairs of bfloat16 parts may differ by, whatever the type. */
  private static final double PARTS = 3e-4;

  /** A lead of the likeliest token, in logits, that quantised activations leave it. */
  private static final double CLEAR = 0.2;

  private static final List<Case> CASES =
      List.of(
          new Case("llama-f32", EXACT, EXACT),
          new Case("llama-f16", EXACT, EXACT),
          new Case("qwen2-bf16", 2e-2, 5e-3),
          new Case("qwen3-q8_0", 8e-2, 5e-3),
          new Case("llama-q4_0", 8e-2, 1e-2),
          new Case("llama-q4_k", 8e-2, 1e-2),
          new Case("qwen2-q5_k", 8e-2, 5e-3),
          new Case("llama-q6_k", 8e-2, 5e-3),
          new Case("qwen3-q4_k_m", 8e-2, 1e-2));

  @TestFactory
  List<DynamicTest> textsBecomeTheTokens() {
    return CASES.stream()
        .map(c -> DynamicTest.dynamicTest(c.name, () -> checkTokens(c)))
        .toList();
  }

  private static void checkTokens(Case c) {
    JsonNode golden = c.golden();
    List<JsonNode> texts = new ArrayList<>();
    golden.get("prompts").forEach(texts::add);
    texts.add(golden.get("sampled"));
    try (Model model = c.open("reference")) {
      for (JsonNode text : texts) {
        String string = text.get("text").stringValue();
        int[] ids = Logits.ints(text.get("ids"));
        assertThat(model.tokenizer().encode(string, true, false)).as(string).isEqualTo(ids);
        assertThat(model.tokenizer().decode(ids)).isEqualTo(string);
      }
    }
  }

  @TestFactory
  List<DynamicTest> logits() {
    return onEveryBackend(CommittedGoldenTest::checkLogits);
  }

  private static void checkLogits(Case c, String backend) {
    try (Model model = c.open(backend)) {
      for (JsonNode prompt : c.golden().get("prompts")) {
        int[] ids = Logits.ints(prompt.get("ids"));
        // In one step; and in steps that end in the middle of pages of the cache.
        for (int chunk : new int[] {64, 7}) {
          float[][] logits = Logits.of(model, ids, chunk);
          for (int i = 0; i < ids.length; i++) {
            assertThat(Logits.error(logits[i], prompt.get("logits").get(i)))
                .as("'%s' position %d in steps of %d", prompt.get("text").stringValue(), i, chunk)
                .isLessThan(c.errorOn(backend));
          }
        }
      }
    }
  }

  @TestFactory
  List<DynamicTest> greedyTokens() {
    return onEveryBackend(CommittedGoldenTest::checkGreedy);
  }

  private static void checkGreedy(Case c, String backend) {
    try (Model model = c.open(backend)) {
      for (JsonNode prompt : c.golden().get("prompts")) {
        if (c.exactOn(backend) || prompt.get("smallest_top2_gap").doubleValue() > CLEAR) {
          int[] greedy = Logits.ints(prompt.get("greedy"));
          int[] ids = Logits.ints(prompt.get("ids"));
          assertThat(Logits.greedy(model, ids, greedy.length)).isEqualTo(greedy);
        }
      }
    }
  }

  /** A text that the model itself drew, as one long sequence: clear choices and likelihoods. */
  @TestFactory
  List<DynamicTest> longSequences() {
    return onEveryBackend(CommittedGoldenTest::checkLongSequence);
  }

  private static void checkLongSequence(Case c, String backend) {
    JsonNode sampled = c.golden().get("sampled");
    int[] ids = Logits.ints(sampled.get("ids"));
    int[] top = Logits.ints(sampled.get("top"));
    double clear = c.exactOn(backend) ? 1e-3 : CLEAR;
    try (Model model = c.open(backend)) {
      float[][] logits = Logits.of(model, ids, 64);
      int compared = 0;
      for (int i = 0; i < ids.length; i++) {
        if (sampled.get("top2_gap").get(i).doubleValue() > clear) {
          assertThat(Logits.top(logits[i])).as("likeliest after position %d", i).isEqualTo(top[i]);
          compared++;
        }
      }
      assertThat(compared).isGreaterThan(ids.length / 2);
      double expected = sampled.get("mean_nll").doubleValue();
      assertThat(meanNll(logits, ids, 0))
          .isCloseTo(expected, within(c.perplexityOn(backend) * expected));
    }
  }

  /** Not on cuda, where the device may be an emulated one: its logits are compared one by one. */
  @TestFactory
  List<DynamicTest> perplexity() {
    return on(List.of("reference", "cpu"), CommittedGoldenTest::checkPerplexity);
  }

  private static void checkPerplexity(Case c, String backend) {
    JsonNode sampled = c.golden().get("sampled");
    JsonNode perplexity = sampled.get("perplexity");
    double expected = perplexity.get("value").doubleValue();
    try (Model model = c.open(backend)) {
      int[] ids = Logits.ints(sampled.get("ids"));
      assertThat(perplexity(model, ids, perplexity.get("context").intValue()))
          .isCloseTo(expected, within(c.perplexityOn(backend) * expected));
    }
  }

  /** A file of version 2 and one in pieces are among them. */
  @Test
  void filesOfAllKinds() {
    try (Model older = CASES.get(0).open("reference");
        Model pieces = CASES.get(1).open("reference")) {
      assertThat(older.file().gguf().version()).isEqualTo(2);
      assertThat(pieces.file().gguf().version()).isEqualTo(3);
      assertThat(pieces.file().gguf().paths()).hasSize(3);
    }
  }

  private static List<DynamicTest> onEveryBackend(BiConsumer<Case, String> check) {
    return on(Logits.backends(), check);
  }

  private static List<DynamicTest> on(List<String> wanted, BiConsumer<Case, String> check) {
    List<DynamicTest> tests = new ArrayList<>();
    List<String> backends = Logits.backends().stream().filter(wanted::contains).toList();
    for (Case c : CASES) {
      for (String backend : backends) {
        tests.add(
            DynamicTest.dynamicTest(
                c.name + " on " + backend, () -> check.accept(c, backend)));
      }
    }
    return tests;
  }

  /** Mean of −log p over the tokens after position {@code first}. */
  private static double meanNll(float[][] logits, int[] ids, int first) {
    double sum = 0;
    for (int i = first; i + 1 < ids.length; i++) {
      sum += Logits.negativeLogLikelihood(logits[i], ids[i + 1]);
    }
    return sum / (ids.length - 1 - first);
  }

  /**
   * As llama-perplexity defines it: whole chunks, each from an empty cache, its first token BOS
   * where the model wants one, scored from the middle on.
   */
  private static double perplexity(Model model, int[] ids, int context) {
    double sum = 0;
    int chunks = ids.length / context;
    for (int i = 0; i < chunks; i++) {
      int[] chunk = Arrays.copyOfRange(ids, i * context, (i + 1) * context);
      if (model.tokenizer().addBos()) {
        chunk[0] = model.tokenizer().bos().getAsInt();
      }
      sum += meanNll(Logits.of(model, chunk, 64), chunk, context / 2);
    }
    return Math.exp(sum / chunks);
  }
}
