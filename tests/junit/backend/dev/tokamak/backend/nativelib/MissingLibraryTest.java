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

/**
 * A process of its own for each way in which a native library can be missing. What stands in the way
 * of each backend is in the reason for the one that runs.
 */
class MissingLibraryTest {
  private static final Path LIBRARIES = Path.of("dev/tokamak/backend/nativelib/linux-x86_64");
  private static final String NO_CUDA =
      "cuda cannot run: this build has no CUDA kernels, since it was made without nvcc";

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
    Files.deleteIfExists(cudaLibrary());
  }

  @Test
  void deleted() throws IOException, InterruptedException {
    Files.deleteIfExists(library());
    assertThat(run()).startsWith("reference: " + NO_CUDA + "; cpu cannot run: ").contains("jnitokamak");
  }

  @Test
  void notALibrary() throws IOException, InterruptedException {
    Files.createDirectories(library().getParent());
    Files.writeString(library(), "this is no library");
    assertThat(run()).startsWith("reference: " + NO_CUDA + "; cpu cannot run: the native library is damaged: ");
  }

  @Test
  void cutShort() throws IOException, InterruptedException {
    assumeThat(library()).exists();
    byte[] whole = Files.readAllBytes(library());
    for (int length : new int[] {0, 63, 64, whole.length / 2, whole.length - 1}) {
      Files.write(library(), Arrays.copyOf(whole, length));
      assertThat(run())
          .as("the first %d bytes", length)
          .startsWith("reference: " + NO_CUDA + "; cpu cannot run: the native library is damaged: ");
    }
  }

  @Test
  void ofAnotherPlatform() throws IOException, InterruptedException {
    assertThat(run("-Dos.arch=riscv64"))
        .startsWith("reference: " + NO_CUDA + "; cpu cannot run: native kernels are made for Linux amd64");
  }

  @Test
  void withoutCuda() throws IOException, InterruptedException {
    assumeThat(library()).exists();
    assertThat(run()).isEqualTo("cpu: " + NO_CUDA);
  }

  @Test
  void cudaLibraryIsNoLibrary() throws IOException, InterruptedException {
    Files.createDirectories(cudaLibrary().getParent());
    Files.writeString(cudaLibrary(), "this is no library");
    assertThat(run()).contains("cuda cannot run: the CUDA library is damaged: ");
  }

  /** Another library under its name: the right functions are not in it. */
  @Test
  void cudaLibraryIsAnotherLibrary() throws IOException, InterruptedException {
    assumeThat(library()).exists();
    Files.copy(library(), cudaLibrary());
    assertThat(run())
        .contains("cuda cannot run: the CUDA library does not load: ")
        .contains("tk_cuda_abi_version");
  }

  private Path library() {
    return folder.resolve("classes").resolve(LIBRARIES).resolve("libjnitokamak.so");
  }

  private Path cudaLibrary() {
    return folder.resolve("classes").resolve(LIBRARIES).resolve("libjniCudaNative.so");
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
