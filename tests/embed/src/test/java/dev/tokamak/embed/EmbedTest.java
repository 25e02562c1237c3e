// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.embed;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Hello.java, compiled and run as a stranger would: the jars, a model file, and nothing else. */
class EmbedTest {
  private static final Path JAVA_BIN = Path.of(System.getProperty("java.home"), "bin");

  @TempDir Path folder;

  @Test
  void aTenLineProgramTellsAStory() throws Exception {
    Path model = TestData.path("models/stories260K-F32.gguf");
    String fresh = "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("unpacked");
    String classPath = folder + File.pathSeparator + jars();
    run("javac", "-cp", classPath, "-d", folder.toString(), System.getProperty("embed.program"));
    String story = run("java", "-cp", classPath, fresh, "Hello", model.toString());
    assertThat(story)
        .startsWith(", there was a little girl named Lily. She loved to play outside in the park.");
    if (platform().equals("Linux amd64")) {
      try (Stream<Path> unpacked = Files.walk(folder.resolve("unpacked"))) {
        assertThat(unpacked).anyMatch(file -> file.endsWith("libjnitokamak.so"));
      }
    }
  }

  private static String platform() {
    return System.getProperty("os.name") + " " + System.getProperty("os.arch");
  }

  private static String jars() throws IOException {
    try (Stream<Path> jars = Files.list(Path.of(System.getProperty("embed.jars")))) {
      return jars.map(Path::toString).sorted().collect(Collectors.joining(File.pathSeparator));
    }
  }

  /** Standard output of a JDK program in an empty folder, without what the build has set up. */
  private String run(String program, String... arguments) throws Exception {
    Path errors = folder.resolve("errors.txt");
    List<String> command = new ArrayList<>();
    command.add(JAVA_BIN.resolve(program).toString());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().keySet().removeIf(name -> name.startsWith("TOKAMAK_"));
    Process process = builder.redirectError(errors.toFile()).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes());
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(errors)).isZero();
    return output;
  }
}
