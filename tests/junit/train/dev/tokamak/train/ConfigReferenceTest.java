// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The table of keys in {@code java/train/README.md} is that of {@link ConfigKeys}. */
class ConfigReferenceTest {
  @Test
  void theTableIsComplete() throws IOException {
    List<String> expected = new ArrayList<>();
    expected.add("| key | value | left out | |");
    expected.add("|---|---|---|---|");
    for (ConfigKey key : ConfigKeys.all()) {
      expected.add(
          "| `%s` | %s | %s | %s |"
              .formatted(
                  key.path(),
                  key.kind().expected().replaceFirst("^an? ", ""),
                  key.standardText(),
                  key.about().replaceAll("<\\|(\\w+)\\|>", "`<\\\\|$1\\\\|>`")));
    }
    List<String> found =
        Files.readAllLines(readme()).stream()
            .filter(line -> line.startsWith("| key |") || line.startsWith("| `") || line.equals("|---|---|---|---|"))
            .filter(line -> !line.startsWith("| `.gz`"))
            .toList();
    assertThat(found).as("java/train/README.md:\n" + String.join("\n", expected)).isEqualTo(expected);
  }

  private static Path readme() {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve("java/train/README.md");
      if (Files.exists(file)) {
        return file;
      }
    }
    throw new AssertionError("java/train/README.md is not above the working directory");
  }
}
