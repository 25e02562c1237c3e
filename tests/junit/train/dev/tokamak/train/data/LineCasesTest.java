// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.tokamak.model.format.FormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Every row of {@code tests/cases/train/lines.cases} is refused with one clear line. */
class LineCasesTest {
  @TempDir private static Path folder;

  @TestFactory
  List<DynamicTest> rows() throws IOException {
    List<DynamicTest> tests = new ArrayList<>();
    for (String row : Files.readAllLines(cases())) {
      if (row.isBlank() || row.startsWith("#")) {
        continue;
      }
      String[] columns = row.split(" +\\| +", 3);
      tests.add(DynamicTest.dynamicTest(row, () -> check(columns)));
    }
    assertThat(tests).hasSizeGreaterThan(30);
    return tests;
  }

  private static void check(String[] columns) throws IOException {
    String right =
        switch (columns[0]) {
          case "text" -> "{\"text\": \"a\"}";
          case "question" -> "{\"prompt\": \"a\", \"exact\": \"b\"}";
          case "chat" -> "{\"instruction\": \"a\", \"output\": \"b\"}";
          default -> "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}";
        };
    Path file =
        Files.writeString(folder.resolve("a.jsonl"), right + "\n" + columns[1] + "\n" + right);
    assertThatThrownBy(() -> read(columns[0], file))
        .isInstanceOf(FormatException.class)
        .hasMessage(file + ": " + columns[2]);
  }

  private static void read(String kind, Path file) {
    if (kind.equals("text")) {
      Documents.read(file, (_, _) -> {});
      return;
    }
    if (kind.equals("question")) {
      Question.read(file);
      return;
    }
    try (var lines = new TextLines(file)) {
      for (var line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonObject object = JsonObject.parse(lines.place(), line.get());
        if (kind.equals("chat")) {
          Conversation.of(object);
        } else {
          PreferencePair.of(object);
        }
      }
    }
  }

  private static Path cases() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve("tests/cases/train/lines.cases");
      if (Files.exists(file)) {
        return file;
      }
    }
    throw new AssertionError("tests/cases/train is not above the working directory");
  }
}
