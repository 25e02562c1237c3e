// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.tokamak.testing.TestData;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Command lines run in this process, with what they read and wrote. */
final class Cli {
  private static final JsonMapper JSON = new JsonMapper();

  private Cli() {}

  record Result(int status, String out, String err) {
    /** Asserts that all went well. */
    Result done() {
      assertThat(status).as(err).isZero();
      return this;
    }

    /** Asserts that standard output is one JSON object in one line, and gives it. */
    JsonNode json() {
      done();
      assertThat(out).endsWith("\n");
      assertThat(out.indexOf('\n')).as("one line").isEqualTo(out.length() - 1);
      return Cli.json(out);
    }

    /** The last line of standard error. */
    String lastError() {
      return err.lines().reduce("", (before, line) -> line);
    }
  }

  static JsonNode json(String text) {
    return JSON.readTree(text);
  }

  static Result run(String... arguments) {
    return runWith(new byte[0], arguments);
  }

  /** Runs with standard input. */
  static Result runWith(byte[] in, String... arguments) {
    return runWith(in, false, arguments);
  }

  static Result runWith(byte[] in, boolean colour, String... arguments) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    var console =
        new Console(
            new ByteArrayInputStream(in),
            new StandardOutput(out),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            colour,
            false);
    int status = Main.execute(console, arguments);
    return new Result(
        status, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  /** The story model. */
  static String stories() {
    return TestData.path("models/stories260K-F32.gguf").toString();
  }

  /** What is known of the story model. */
  static JsonNode golden() {
    return JSON.readTree(TestData.path("golden/stories260K-F32.json").toFile());
  }
}
