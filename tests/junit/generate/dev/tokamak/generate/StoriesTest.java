// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.backend.QuantType;
import dev.tokamak.generate.Event.Finished;
import dev.tokamak.generate.Event.Token;
import dev.tokamak.model.Model;
import dev.tokamak.testing.TestData;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/** The greedy stories of a trained model, token by token and letter by letter. */
class StoriesTest {
  @TestFactory
  List<DynamicTest> stories() {
    List<DynamicTest> tests = new ArrayList<>();
    for (String backend : Models.backends()) {
      tests.add(DynamicTest.dynamicTest("F32 on " + backend, () -> story("F32", backend)));
    }
    // Elsewhere activations are rounded as the weights are, and a near tie may go the other way.
    for (String type : List.of("F16", "Q8_0")) {
      tests.add(DynamicTest.dynamicTest(type + " on reference", () -> story(type, "reference")));
    }
    return tests;
  }

  private static void story(String type, String backend) {
    Path file = TestData.path("models/stories260K-" + type + ".gguf");
    JsonNode golden = TestData.json("golden/stories260K-" + type + ".json");
    try (Model model = Models.open(file, backend);
        Batcher batcher =
            new Batcher(model, Capacity.of(model).withSequences(7).withCacheType(QuantType.F32))) {
      for (JsonNode story : golden.get("cases")) {
        List<Integer> expected =
            StreamSupport.stream(story.get("greedy_ids").spliterator(), false)
                .map(JsonNode::intValue)
                .toList();
        GenerateOptions options =
            GenerateOptions.of(SamplerOptions.greedy())
                .withIgnoreEos(true)
                .withMaxTokens(expected.size());
        List<Integer> prompt =
            StreamSupport.stream(story.get("prompt_ids").spliterator(), false)
                .map(JsonNode::intValue)
                .toList();
        String text = story.get("prompt").stringValue();
        // Golden texts are of prompt and answer, with the space that the tokenizer puts in front.
        String before = text.isEmpty() ? "" : " " + text;
        batcher.submit(
            text,
            options,
            event -> {
              if (event instanceof Finished end) {
                assertThat(end.prompt()).isEqualTo(prompt);
                assertThat(end.tokens()).extracting(Token::id).isEqualTo(expected);
                assertThat(before + end.text()).isEqualTo(story.get("text").stringValue());
              }
            });
      }
      batcher.run();
    }
  }
}
