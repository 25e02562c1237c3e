// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.AssertionFailedError;
import org.opentest4j.TestAbortedException;

class TestDataTest {
  private static final String FOLDER = "tokamak.testdata";
  private static final String REQUIRED = "tokamak.testdata.required";

  private final String folderBefore = System.getProperty(FOLDER);
  private final String requiredBefore = System.getProperty(REQUIRED);

  @BeforeEach
  void pointAtAnEmptyFolder(@TempDir Path folder) {
    System.setProperty(FOLDER, folder.toString());
    System.clearProperty(REQUIRED);
  }

  @AfterEach
  void restore() {
    restore(FOLDER, folderBefore);
    restore(REQUIRED, requiredBefore);
  }

  @Test
  void findsAFileInTheFolderThatThePropertyNames(@TempDir Path folder) throws Exception {
    System.setProperty(FOLDER, folder.toString());
    Path file = Files.createFile(folder.resolve("a.gguf"));
    assertThat(TestData.path("a.gguf")).isEqualTo(file);
  }

  @Test
  void skipsAndNamesWhatIsMissing() {
    assertThatThrownBy(() -> TestData.path("models/none.gguf"))
        .isInstanceOf(TestAbortedException.class)
        .hasMessageContaining("test data missing")
        .hasMessageContaining("models/none.gguf");
  }

  @Test
  void failsWhereTestDataIsRequired() {
    System.setProperty(REQUIRED, "true");
    assertThatThrownBy(() -> TestData.path("models/none.gguf"))
        .isInstanceOf(AssertionFailedError.class)
        .hasMessageContaining("models/none.gguf");
  }

  @Test
  void aRandomTestThatFailsNamesItsSeed() {
    assertThatThrownBy(
            () ->
                Seeds.check(
                    random -> {
                      throw new IllegalStateException("odd");
                    }))
        .isInstanceOf(AssertionFailedError.class)
        .hasMessage("odd (replay with -Dseed=" + Seeds.seed() + ")")
        .hasCauseInstanceOf(IllegalStateException.class);
  }

  private static void restore(String property, String before) {
    if (before == null) {
      System.clearProperty(property);
    } else {
      System.setProperty(property, before);
    }
  }
}
