// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Finds test data that is too large for the repository: models, golden outputs, tokenizer vectors.
 *
 * <p>The data folder is, in this order: the system property {@code tokamak.testdata}, the
 * environment variable {@code TOKAMAK_TEST_DATA}, or {@code shared/data} beside the checkout. A test
 * whose data is missing is skipped with a line that names it; with {@code
 * -Dtokamak.testdata.required=true} it fails, so that a build which should have the data cannot pass
 * without it.
 */
public final class TestData {
  private static final JsonMapper JSON = new JsonMapper();

  private TestData() {}

  /**
   * The path of a file or folder in the test data.
   *
   * @param relative from the data folder, for example {@code models/stories260K-F32.gguf}
   * @throws org.opentest4j.TestAbortedException if it is missing and not required: the test is
   *     skipped
   * @throws AssertionError if it is missing and required
   */
  public static Path path(String relative) {
    Optional<Path> folder = folder();
    Optional<Path> found = folder.map(f -> f.resolve(relative)).filter(Files::exists);
    if (found.isPresent()) {
      return found.get();
    }
    String missing =
        folder
            .map(f -> "test data missing: " + f.resolve(relative))
            .orElse(
                "test data missing: "
                    + relative
                    + " (no shared/data beside the checkout; TOKAMAK_TEST_DATA names the folder)");
    return Boolean.getBoolean("tokamak.testdata.required")
        ? Assertions.fail(missing)
        : Assumptions.abort(missing);
  }

  /** The content of a JSON file in the test data; missing data is treated as by {@link #path}. */
  public static JsonNode json(String relative) {
    return JSON.readTree(path(relative).toFile());
  }

  /** The data folder, or empty where there is none. */
  public static Optional<Path> folder() {
    String named =
        System.getProperty("tokamak.testdata", System.getenv().get("TOKAMAK_TEST_DATA"));
    if (named != null && !named.isBlank()) {
      return Optional.of(Path.of(named).toAbsolutePath().normalize());
    }
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path beside = at.resolve("shared").resolve("data");
      if (Files.isDirectory(beside)) {
        return Optional.of(beside);
      }
    }
    return Optional.empty();
  }
}
