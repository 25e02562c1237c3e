// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Ctrl-C, in a process of its own. */
@EnabledOnOs(OS.LINUX)
class InterruptTest {
  @TempDir private Path folder;

  private Process start(String... arguments) throws IOException {
    String classes =
        System.getProperty("jdk.module.path", "")
            + File.pathSeparator
            + System.getProperty("java.class.path");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    var command =
        new ArrayList<>(
            List.of(
                java, "--enable-native-access=ALL-UNNAMED", "-cp", classes,
                "dev.tokamak.cli.Main"));
    command.addAll(Arrays.asList(arguments));
    return new ProcessBuilder(command)
        .redirectError(folder.resolve("err.txt").toFile())
        .redirectOutput(folder.resolve("out.txt").toFile())
        .start();
  }

  private String written(String file) throws IOException {
    return Files.readString(folder.resolve(file));
  }

  /** Waits until a file has something in it, then sends the signal; the exit status. */
  private int interrupt(Process process, String file) throws Exception {
    try {
      for (int i = 0; i < 600 && written(file).isEmpty() && process.isAlive(); i++) {
        Thread.sleep(100);
      }
      assertThat(process.isAlive()).as(written("err.txt")).isTrue();
      String pid = Long.toString(process.pid());
      assertThat(new ProcessBuilder("kill", "-INT", pid).start().waitFor()).isZero();
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      return process.exitValue();
    } finally {
      process.destroyForcibly();
    }
  }

  @Test
  void runStopsCleanly() throws Exception {
    Process process =
        start("run", "-m", Cli.stories(), "-p", "x", "--ignore-eos", "--ctx", "1000000");
    assertThat(interrupt(process, "out.txt")).isEqualTo(130);
    assertThat(written("out.txt")).endsWith("\n");
    assertThat(written("err.txt")).contains("ended by cancelled").doesNotContain("\tat ");
  }

  @Test
  void batchKeepsWhatIsDone() throws Exception {
    Path in = folder.resolve("in.jsonl");
    Path out = folder.resolve("answers.jsonl");
    String endless = "{\"prompt\":\"x\",\"ignore_eos\":true}\n";
    Files.writeString(in, "{\"prompt\":\"x\",\"n\":1}\n" + endless);
    Files.writeString(out, "");
    Process process =
        start(
            "batch", in.toString(), out.toString(), "-m", Cli.stories(), "--ctx", "100000",
            "--parallel", "2");
    assertThat(interrupt(process, "answers.jsonl")).isEqualTo(130);
    assertThat(written("err.txt")).contains("lines done: 1, ").doesNotContain("tokamak: ");
    assertThat(Cli.json(Files.readString(out).strip()).get("line").asInt()).isEqualTo(1);
  }
}
