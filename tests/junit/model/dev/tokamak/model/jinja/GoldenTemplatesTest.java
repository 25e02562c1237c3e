// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.tokamak.testing.TestData;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;

/** Chat templates of real models, over twelve conversations, to the letter. */
class GoldenTemplatesTest {
  @TestFactory
  Stream<DynamicTest> templates() throws IOException {
    Map<String, Map<String, Object>> conversations = new HashMap<>();
    for (JsonNode conversation : TestData.json("templates/conversations.json")) {
      Map<String, Object> variables =
          new HashMap<>(TemplateCasesTest.variables(conversation.get("context")));
      variables.put("bos_token", "<BOS>");
      variables.put("eos_token", "<EOS>");
      conversations.put(conversation.get("name").asString(), variables);
    }
    List<Path> files;
    try (Stream<Path> all = Files.list(TestData.path("templates"))) {
      files = all.filter(file -> file.toString().endsWith(".jinja")).sorted().toList();
    }
    assertThat(files).hasSize(27);
    return files.stream()
        .flatMap(
            file -> {
              String name = file.getFileName().toString();
              String answers = name.replace(".jinja", ".json");
              JsonNode golden = TestData.json("templates/golden/" + answers);
              return golden.get("cases").valueStream()
                  .map(
                      expected -> {
                        String conversation = expected.get("conversation").asString();
                        return DynamicTest.dynamicTest(
                            name + " " + conversation,
                            () -> check(file, conversations.get(conversation), expected));
                      });
            });
  }

  private static void check(Path file, Map<String, Object> variables, JsonNode expected)
      throws IOException {
    Template template = Template.parse(file.getFileName().toString(), Files.readString(file));
    if (expected.has("output")) {
      assertThat(template.render(variables, TemplateCasesTest.CLOCK).text())
          .isEqualTo(expected.get("output").asString());
    } else {
      TemplateException error =
          catchThrowableOfType(
              TemplateException.class,
              () -> template.render(variables, TemplateCasesTest.CLOCK));
      assertThat(error).isNotNull();
      assertThat(error.raised()).isTrue();
      assertThat(error.problem()).isEqualTo(expected.get("message").asString());
    }
  }
}
