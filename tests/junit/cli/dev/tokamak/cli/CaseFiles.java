// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import java.nio.file.Files;
import java.nio.file.Path;

/** Finds the checkout's {@code tests/cases}, from the module's folder or any other within it. */
final class CaseFiles {
  private CaseFiles() {}

  static Path path(String relative) {
    for (Path at = Path.of("").toAbsolutePath(); at != null; at = at.getParent()) {
      Path file = at.resolve("tests/cases").resolve(relative);
      if (Files.exists(file)) {
        return file;
      }
    }
    throw new AssertionError("tests/cases/" + relative + " is not above the working directory");
  }
}
