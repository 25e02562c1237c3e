// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.backend.QuantType;
import dev.tokamak.testing.TestData;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/** Logits and greedy tokens of real and made models, against what float64 implementations give. */
class GoldenLogitsTest {
  private static final List<String> BACKENDS =
      Backends.probe(Backends.Options.defaults()).stream()
          .filter(probe -> probe.obstacle().isEmpty())
          .map(Backends.Probe::name)
          .toList();

  /** Families with random weights: every trait of theirs shows in the logits. */
  @TestFactory
  List<DynamicTest> tinyFamilies() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String family : List.of("llama3", "llama-mha-bias-linear", "qwen2", "qwen3")) {
      for (String backend : BACKENDS) {
        tests.add(DynamicTest.dynamicTest(family + " on " + backend, () -> tiny(family, backend)));
      }
    }
    return tests;
  }

  private static void tiny(String family, String backend) {
    Path file = TestData.path("golden/tiny/" + family + "/model.gguf");
    JsonNode golden = TestData.json("golden/tiny/" + family + "/golden.json");
    boolean exact = family.equals("llama-mha-bias-linear") || backend.equals("reference");
    try (Model model = open(file, backend)) {
      for (JsonNode test : golden.get("cases")) {
        int[] ids = ints(test.get("ids"));
        float[][] logits = logits(model, ids, 64);
        compare(logits, test.get("logits"), exact ? 3e-4 : 2e-2);
        int[] greedy = ints(test.get("greedy"));
        if (exact) {
          assertThat(greedy(model, ids, greedy.length)).isEqualTo(greedy);
        }
      }
    }
  }

  /** The story model: a trained one. Quantised weights leave room for quantised activations. */
  @TestFactory
  List<DynamicTest> stories() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String type : List.of("F32", "F16", "Q8_0")) {
      for (String backend : BACKENDS) {
        tests.add(DynamicTest.dynamicTest(type + " on " + backend, () -> story(type, backend)));
      }
    }
    return tests;
  }

  private static void story(String type, String backend) {
    Path file = TestData.path("models/stories260K-" + type + ".gguf");
    JsonNode golden = TestData.json("golden/stories260K-" + type + ".json");
    boolean exact = backend.equals("reference") || type.equals("F32");
    // The cache of half precision that F16 and Q8_0 files use by default costs accuracy of its own.
    try (Model model = open(file, backend)) {
      for (JsonNode test : golden.get("cases")) {
        int[] prompt = ints(test.get("prompt_ids"));
        int[] greedy = ints(test.get("greedy_ids"));
        double gap = test.get("smallest_top2_gap").doubleValue();
        if (exact || gap > 0.2) {
          assertThat(greedy(model, prompt, greedy.length)).isEqualTo(greedy);
        }
        compare(
            logits(model, prompt, 64),
            test.get("logits"),
            exact ? 1e-4 : type.equals("F16") ? 1e-3 : 2e-2);
      }
    }
  }

  private static void compare(float[][] logits, JsonNode rows, double bound) {
    int compared = 0;
    for (JsonNode row : rows) {
      int position = row.get("position").intValue();
      if (position >= logits.length) {
        continue;
      }
      double largest = 0;
      double worst = 0;
      for (int i = 0; i < logits[position].length; i++) {
        double expected = row.get("values").get(i).doubleValue();
        largest = Math.max(largest, Math.abs(expected));
        worst = Math.max(worst, Math.abs(logits[position][i] - expected));
      }
      assertThat(worst / largest).as("position %d", position).isLessThan(bound);
      compared++;
    }
    assertThat(compared).isPositive();
  }

  private static Model open(Path file, String backend) {
    return Model.open(
        file,
        new ModelOptions(
            new Backends.Options(backend, OptionalInt.of(2), Optional.empty()),
            Backend.Progress.none()));
  }

  /** Logits after each token, in steps of at most {@code chunk} rows. */
  private static float[][] logits(Model model, int[] ids, int chunk) {
    try (Inference inference = model.prepare(shape(model, chunk))) {
      float[][] logits = new float[ids.length][model.architecture().vocabulary()];
      int sequence = inference.begin();
      for (int from = 0; from < ids.length; from += chunk) {
        int to = Math.min(ids.length, from + chunk);
        for (int i = from; i < to; i++) {
          inference.add(sequence, ids[i]);
          inference.wantLogits();
        }
        inference.step();
        for (int i = from; i < to; i++) {
          inference.logits(i - from, logits[i]);
        }
      }
      return logits;
    }
  }

  private static int[] greedy(Model model, int[] prompt, int count) {
    try (Inference inference = model.prepare(shape(model, 64))) {
      int[] tokens = new int[count];
      float[] logits = new float[model.architecture().vocabulary()];
      int sequence = inference.begin();
      for (int i = 0; i < prompt.length; i++) {
        inference.add(sequence, prompt[i]);
        if (inference.room() == 0 && i + 1 < prompt.length) {
          inference.step();
        }
      }
      for (int n = 0; n < count; n++) {
        inference.wantLogits();
        inference.step();
        inference.logits(0, logits);
        for (int i = 0; i < logits.length; i++) {
          if (logits[i] > logits[tokens[n]]) {
            tokens[n] = i;
          }
        }
        inference.add(sequence, tokens[n]);
      }
      return tokens;
    }
  }

  private static Inference.Shape shape(Model model, int chunk) {
    return new Inference.Shape(512, chunk, chunk, 1, QuantType.F32);
  }

  private static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).intValue();
    }
    return values;
  }
}
