// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.bundle;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * A program to run, in a process of its own: whatever it does to the device or to itself, the check
 * goes on.
 *
 * @param words the program and its arguments
 * @param limit when it is ended
 */
record Command(List<String> words, Duration limit) {
  /** {@link Outcome#status} of a program that was ended for taking too long. */
  static final int TIMED_OUT = 124;

  /** {@link Outcome#status} of a program that could not be started. */
  static final int NOT_STARTED = 127;

  /**
   * How it went.
   *
   * @param output what it wrote to standard output
   * @param seconds that it took
   */
  record Outcome(int status, String output, double seconds) {}

  /** Runs it; standard error goes to the file, standard output comes back. */
  Outcome run(Path errors) throws InterruptedException {
    long start = System.nanoTime();
    try {
      Path output = Files.createTempFile("tokamak-check", ".out");
      try {
        Process process =
            new ProcessBuilder(words)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(output.toFile())
                .redirectError(ProcessBuilder.Redirect.appendTo(errors.toFile()))
                .start();
        boolean ended = process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS);
        if (!ended) {
          process.descendants().forEach(ProcessHandle::destroyForcibly);
          process.destroyForcibly().waitFor();
        }
        return new Outcome(
            ended ? process.exitValue() : TIMED_OUT, Files.readString(output), since(start));
      } finally {
        Files.delete(output);
      }
    } catch (IOException e) {
      try {
        Files.writeString(
            errors, e.getMessage() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
      } catch (IOException unwritable) {
        throw new UncheckedIOException(unwritable);
      }
      return new Outcome(NOT_STARTED, "", since(start));
    }
  }

  private static double since(long start) {
    return (System.nanoTime() - start) * 1e-9;
  }
}
