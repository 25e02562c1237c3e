// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Templates of one idea each do what Jinja2 makes of them: {@code tests/cases/jinja}. */
class TemplateCasesTest {
  private static final JsonMapper JSON = new JsonMapper();
  static final Clock CLOCK =
      Clock.fixed(Instant.parse("2026-01-15T12:30:45Z"), ZoneOffset.UTC);

  @TestFactory
  Stream<DynamicTest> cases() throws IOException {
    List<String> lines = Files.readAllLines(file());
    Map<String, ?> variables = variables(JSON.readTree(lines.getFirst()));
    assertThat(lines).hasSizeGreaterThan(400);
    return lines.stream()
        .skip(1)
        .map(JSON::readTree)
        .map(
            line ->
                DynamicTest.dynamicTest(
                    line.get("template").toString(),
                    () -> check(line, variables)));
  }

  private static void check(JsonNode line, Map<String, ?> variables) {
    String source = line.get("template").asString();
    if (line.has("output")) {
      assertThat(Template.parse("t", source).render(variables, CLOCK).text())
          .isEqualTo(line.get("output").asString());
      return;
    }
    TemplateException error =
        catchThrowableOfType(
            TemplateException.class,
            () -> Template.parse("t", source).render(variables, CLOCK));
    assertThat(error).as(line.toString()).isNotNull();
    assertThat(error.getMessage()).startsWith("t: line ").doesNotContain("\n");
    assertThat(error.raised()).isEqualTo(line.get("error").asString().equals("TemplateError"));
    if (line.has("message")) {
      assertThat(error.problem()).isEqualTo(line.get("message").asString());
    }
  }

  /** A JSON object's fields as a template takes them. */
  @SuppressWarnings("unchecked")
  static Map<String, ?> variables(JsonNode object) {
    return JSON.convertValue(object, Map.class);
  }

  private static Path file() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path cases = at.resolve("tests/cases/jinja/templates.jsonl");
      if (Files.exists(cases)) {
        return cases;
      }
    }
    throw new IllegalStateException("tests/cases/jinja is not above the working directory");
  }
}
