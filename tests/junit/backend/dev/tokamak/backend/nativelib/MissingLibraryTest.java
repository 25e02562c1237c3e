// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.nativelib;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.tokamak.backend.Backends;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process of its own for each way in which the native library can be missing. */
class MissingLibraryTest {
  private static final Path LIBRARY =
      Path.of("dev/tokamak/backend/nativelib/linux-x86_64/libjnitokamak.so");

  @TempDir Path folder;

  /** What the child process runs: the choice of a backend, printed. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      Backends.Choice choice = Backends.open(Backends.Options.defaults());
      System.out.println(choice.backend().name() + ": " + choice.reason());
    }
  }

  @BeforeEach
  void copyTheClasses() throws IOException {
    Path classes = placeOf(NativeLibrary.class);
    try (Stream<Path> files = Files.walk(classes)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        Path copy = folder.resolve("classes").resolve(classes.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(copy);
        } else {
          Files.copy(file, copy);
        }
      }
    }
  }

  @Test
  void deleted() throws IOException, InterruptedException {
    Files.deleteIfExists(library());
    assertThat(run()).startsWith("reference: cpu cannot run: ").contains("jnitokamak");
  }

  @Test
  void notALibrary() throws IOException, InterruptedException {
    Files.createDirectories(library().getParent());
    Files.writeString(library(), "this is no library");
    assertThat(run()).startsWith("reference: cpu cannot run: the native library is damaged: ");
  }

  @Test
  void cutShort() throws IOException, InterruptedException {
    assumeThat(library()).exists();
    byte[] whole = Files.readAllBytes(library());
    for (int length : new int[] {0, 63, 64, whole.length / 2, whole.length - 1}) {
      Files.write(library(), Arrays.copyOf(whole, length));
      assertThat(run())
          .as("the first %d bytes", length)
          .startsWith("reference: cpu cannot run: the native library is damaged: ");
    }
  }

  @Test
  void ofAnotherPlatform() throws IOException, InterruptedException {
    assertThat(run("-Dos.arch=riscv64"))
        .startsWith("reference: cpu cannot run: native kernels are made for Linux amd64");
  }

  private Path library() {
    return folder.resolve("classes").resolve(LIBRARY);
  }

  /** The child's last line of output; the JVM may have warned of a damaged file before it. */
  private String run(String... options) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache")));
    command.addAll(List.of(options));
    String path =
        Stream.of(placeOf(Child.class), placeOf(Loader.class), placeOf(com.sun.jna.Native.class))
            .map(Path::toString)
            .reduce(folder.resolve("classes").toString(), (a, b) -> a + ":" + b);
    command.addAll(List.of("-cp", path, Child.class.getName()));
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    return output.lines().toList().getLast();
  }

  private static Path placeOf(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }
}
