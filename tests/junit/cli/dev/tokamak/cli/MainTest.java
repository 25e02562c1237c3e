// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  private static final String[] COMMANDS = {
    "run", "batch", "predict", "perplexity", "bench", "tokenize", "detokenize", "inspect", "devices"
  };

  @Test
  void helpListsTheCommands() {
    for (String[] arguments : new String[][] {{"help"}, {"--help"}}) {
      assertThat(Cli.run(arguments).done().out()).contains(COMMANDS);
    }
    assertThat(Cli.run("--version").done().out()).startsWith("tokamak ");
  }

  @Test
  void everyCommandHasHelp() {
    for (String command : COMMANDS) {
      Cli.Result result = Cli.run(command, "--help").done();
      assertThat(result.out()).doesNotContain("${");
      assertThat(result.out()).contains("Usage: tokamak " + command, "--json", "--debug");
      assertThat(Cli.run("help", command).done().out()).isEqualTo(result.out());
      assertThat(result.err()).isEmpty();
    }
  }

  @Test
  void runOffersEverySamplingOption() {
    assertThat(Cli.run("run", "--help").done().out())
        .contains(
            "--temp", "--top-k", "--top-p", "--min-p", "--typical", "--repeat-penalty",
            "--presence-penalty", "--frequency-penalty", "--repeat-last-n", "--seed");
  }

  @Test
  void shellCompletion() {
    assertThat(Cli.run("generate-completion").done().out())
        .contains("complete -F", "perplexity", "--show-probabilities");
  }

  @Test
  void aStackTraceOnlyWithDebug() {
    Cli.Result plain = Cli.run("inspect", "/nonexistent.gguf");
    assertThat(plain.err()).hasLineCount(1);
    Cli.Result debug = Cli.run("inspect", "/nonexistent.gguf", "--debug");
    assertThat(debug.status()).isEqualTo(1);
    assertThat(debug.err()).contains("\tat dev.tokamak.");
    assertThat(debug.lastError()).isEqualTo(plain.lastError());
  }

  @Test
  void controlCharactersOfStrangersAreEscaped() {
    Cli.Result result = Cli.run("inspect", "/no\u001b[31m\nsuch");
    assertThat(result.err()).hasLineCount(1).contains("\\u001b").doesNotContain("\u001b");
  }

  /** Takes some bytes, then fails. */
  private static final class Failing extends OutputStream {
    private final String message;
    private int left;

    Failing(int left, String message) {
      this.left = left;
      this.message = message;
    }

    @Override
    public void write(int b) throws IOException {
      if (left-- <= 0) {
        throw new IOException(message);
      }
    }
  }

  private static Cli.Result runInto(OutputStream out, String... arguments) {
    var err = new ByteArrayOutputStream();
    var console =
        new Console(
            new ByteArrayInputStream(new byte[0]),
            new StandardOutput(out),
            new PrintStream(err, true, StandardCharsets.UTF_8),
            false,
            false);
    int status = Main.execute(console, arguments);
    return new Cli.Result(status, "", err.toString(StandardCharsets.UTF_8));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 20})
  void aReaderThatGoesAwayEndsTheCommandQuietly(int bytes) {
    for (String[] arguments :
        new String[][] {
          {"run", "-m", Cli.stories(), "-p", "Once", "-n", "50", "--quiet"},
          {"run", "-m", Cli.stories(), "-p", "Once", "-n", "50", "--quiet", "--json"},
          {"inspect", Cli.stories()},
          {"inspect", Cli.stories(), "--json"},
          {"help"}
        }) {
      Cli.Result result = runInto(new Failing(bytes, "Broken pipe"), arguments);
      assertThat(result.err()).isEmpty();
      assertThat(result.status()).isZero();
    }
  }

  @Test
  void aFullDiskIsAFailure() {
    for (String[] arguments :
        new String[][] {
          {"run", "-m", Cli.stories(), "-p", "Once", "-n", "5", "--quiet"},
          {"inspect", Cli.stories(), "--json"}
        }) {
      Cli.Result result = runInto(new Failing(0, "No space left on device"), arguments);
      assertThat(result.status()).isEqualTo(1);
      assertThat(result.err())
          .isEqualTo("tokamak: standard output: No space left on device\n");
    }
  }
}
