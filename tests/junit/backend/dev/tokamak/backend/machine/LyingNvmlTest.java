// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.machine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.tokamak.backend.Backends;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the management library says of GPUs is shown, and decides nothing. */
class LyingNvmlTest {
  /** A library that counts millions of devices, each named without an end, two with handles. */
  private static final String LIAR =
      """
      #include <string.h>
      int nvmlInit_v2(void) { return 0; }
      int nvmlDeviceGetCount_v2(int* count) { *count = 2000000000; return 0; }
      int nvmlDeviceGetHandleByIndex_v2(int index, void** device) {
        *device = (void*)(long)(index + 1);
        return index < 2 ? 0 : 999;
      }
      int nvmlDeviceGetName(void* device, char* name, int length) {
        memset(name, 'L', length);
        return 0;
      }
      int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* bytes) {
        bytes[0] = bytes[1] = 1ull << 50;
        return device == (void*)1 ? 0 : 15;
      }
      """;

  /** What the child process runs: the choice of a backend and the GPUs, printed. */
  static final class Child {
    private Child() {}

    public static void main(String[] arguments) {
      Backends.Choice choice = Backends.open(Backends.Options.defaults());
      System.out.println(choice.backend().name() + ": " + choice.reason());
      System.out.println(Nvml.gpus());
    }
  }

  @Test
  void itsLiesAreShownAndDecideNothing(@TempDir Path folder)
      throws IOException, InterruptedException {
    List<String> honest = run(folder);
    Path source = Files.writeString(folder.resolve("liar.c"), LIAR);
    Path library = folder.resolve("libnvidia-ml.so");
    assumeTrue(compiles(source, library), "no C compiler on this machine");
    List<String> lied = run(folder, "-Djna.library.path=" + folder);
    assertThat(lied.get(0)).isEqualTo(honest.get(0));
    assertThat(lied.get(1))
        .isEqualTo(
            new Nvml.Answer(
                    List.of(
                        new Nvml.Gpu(0, "L".repeat(96), 1L << 50, 1L << 50),
                        new Nvml.Gpu(1, "L".repeat(96), 0, 0)),
                    "")
                .toString());
  }

  private static boolean compiles(Path source, Path library) throws InterruptedException {
    try {
      return new ProcessBuilder(
                  "cc", "-shared", "-fPIC", "-o", library.toString(), source.toString())
              .inheritIO()
              .start()
              .waitFor()
          == 0;
    } catch (IOException e) { // no such program
      return false;
    }
  }

  /** The child's last two lines of output. */
  private static List<String> run(Path folder, String... options)
      throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache")));
    command.addAll(List.of(options));
    String path = System.getProperty("jdk.module.path", "");
    path = path.isEmpty() ? "" : path + ":";
    command.addAll(
        List.of(
            "-cp",
            placeOf(Child.class) + ":" + placeOf(Nvml.class) + ":" + path
                + System.getProperty("java.class.path"),
            Child.class.getName()));
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    List<String> lines = output.lines().toList();
    return lines.subList(lines.size() - 2, lines.size());
  }

  private static Path placeOf(Class<?> type) {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().getPath());
  }
}
