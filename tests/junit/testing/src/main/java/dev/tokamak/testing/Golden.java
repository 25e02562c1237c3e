// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Finds the tiny models of {@code tests/golden} and what they must compute. They are part of the
 * checkout, so a test never skips for want of them.
 */
public final class Golden {
  private static final JsonMapper JSON = new JsonMapper();
  private static final Path FOLDER = folder();

  private Golden() {}

  /**
   * The path of a file.
   *
   * @throws AssertionError if it is missing
   */
  public static Path path(String name) {
    Path path = FOLDER.resolve(name);
    if (!Files.exists(path)) {
      throw new AssertionError("missing from the checkout: " + path);
    }
    return path;
  }

  /** The content of a JSON file. */
  public static JsonNode json(String name) {
    return JSON.readTree(path(name).toFile());
  }

  /** Maven runs the tests of a module in the module's own folder: the checkout is above it. */
  private static Path folder() {
    Path start = Path.of("").toAbsolutePath();
    for (Path at = start; at != null; at = at.getParent()) {
      Path folder = at.resolve("tests").resolve("golden");
      if (Files.isDirectory(folder)) {
        return folder;
      }
    }
    throw new AssertionError("no tests/golden in or above " + start);
  }
}
