// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/** Logits and greedy tokens of real and made models, against what float64 implementations give. */
class GoldenLogitsTest {
  /** Families with random weights: every trait of theirs shows in the logits. */
  @TestFactory
  List<DynamicTest> tinyFamilies() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String family : List.of("llama3", "llama-mha-bias-linear", "qwen2", "qwen3")) {
      for (String backend : Logits.backends()) {
        tests.add(DynamicTest.dynamicTest(family + " on " + backend, () -> tiny(family, backend)));
      }
    }
    return tests;
  }

  private static void tiny(String family, String backend) {
    Path file = TestData.path("golden/tiny/" + family + "/model.gguf");
    JsonNode golden = TestData.json("golden/tiny/" + family + "/golden.json");
    boolean exact = family.equals("llama-mha-bias-linear") || !backend.equals("cpu");
    try (Model model = Logits.open(file, backend)) {
      for (JsonNode test : golden.get("cases")) {
        int[] ids = Logits.ints(test.get("ids"));
        float[][] logits = Logits.of(model, ids, 64);
        compare(logits, test.get("logits"), exact ? 3e-4 : 2e-2);
        int[] greedy = Logits.ints(test.get("greedy"));
        if (exact) {
          assertThat(Logits.greedy(model, ids, greedy.length)).isEqualTo(greedy);
        }
      }
    }
  }

  /** The story model: a trained one. Quantised weights leave room for quantised activations. */
  @TestFactory
  List<DynamicTest> stories() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String type : List.of("F32", "F16", "Q8_0")) {
      for (String backend : Logits.backends()) {
        tests.add(DynamicTest.dynamicTest(type + " on " + backend, () -> story(type, backend)));
      }
    }
    return tests;
  }

  private static void story(String type, String backend) {
    Path file = TestData.path("models/stories260K-" + type + ".gguf");
    JsonNode golden = TestData.json("golden/stories260K-" + type + ".json");
    boolean exact = !backend.equals("cpu") || type.equals("F32");
    // The cache of half precision that F16 and Q8_0 files use by default costs accuracy of its own.
    try (Model model = Logits.open(file, backend)) {
      for (JsonNode test : golden.get("cases")) {
        int[] prompt = Logits.ints(test.get("prompt_ids"));
        int[] greedy = Logits.ints(test.get("greedy_ids"));
        double gap = test.get("smallest_top2_gap").doubleValue();
        if (exact || gap > 0.2) {
          assertThat(Logits.greedy(model, prompt, greedy.length)).isEqualTo(greedy);
        }
        compare(
            Logits.of(model, prompt, 64),
            test.get("logits"),
            backend.equals("cuda") ? 3e-4 : exact ? 1e-4 : type.equals("F16") ? 1e-3 : 2e-2);
      }
    }
  }

  private static void compare(float[][] logits, JsonNode rows, double bound) {
    int compared = 0;
    for (JsonNode row : rows) {
      int position = row.get("position").intValue();
      if (position < logits.length) {
        assertThat(Logits.error(logits[position], row.get("values")))
            .as("position %d", position)
            .isLessThan(bound);
        compared++;
      }
    }
    assertThat(compared).isPositive();
  }
}
