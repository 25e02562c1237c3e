// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Scorer;
import dev.tokamak.model.Model;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How well a model predicts a text. */
@Command(
    name = "perplexity",
    description = {
      "Tells how well a model predicts a text, by llama-perplexity's definition: the text is cut"
          + " into chunks of --ctx tokens (by default 512, or the model's context if that is"
          + " smaller), and the second half of each is scored."
    })
public final class Perplexity implements Runnable {
  private static final int CHUNK_TOKENS = 512;

  @Option(
      names = {"-f", "--file"},
      paramLabel = "FILE",
      required = true,
      description = "A text in UTF-8.")
  private Path file;

  @Mixin private ModelArguments arguments;

  private final Console console;

  public Perplexity(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    String text = TextSource.file(file);
    try (Model model = arguments.open(console)) {
      Capacity capacity = arguments.capacity(model, CHUNK_TOKENS);
      arguments.announce(console, model, capacity);
      long start = System.nanoTime();
      dev.tokamak.generate.Perplexity result;
      try (var scorer = new Scorer(model, capacity);
          var progress =
              ProgressLine.pieces(console, arguments.output.quiet, "perplexity", "chunks")) {
        result = scorer.perplexity(text, progress::at);
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      if (arguments.output.json) {
        Json.line(
            console.out(),
            json -> {
              json.writeNumberProperty("perplexity", result.perplexity());
              json.writeNumberProperty("standard_error", result.standardError());
              json.writeNumberProperty("bits_per_byte", result.bitsPerByte());
              json.writeNumberProperty("tokens", result.tokens());
              json.writeNumberProperty("scores", result.scores());
              json.writeNumberProperty("chunks", result.chunks());
              json.writeNumberProperty("ctx", capacity.context());
              json.writeNumberProperty("seconds", seconds);
            });
      } else {
        console.out().printf(
            "perplexity %.4f ± %.4f, %.4f bits per byte%n",
            result.perplexity(), result.standardError(), result.bitsPerByte());
        console.out().printf(
            "%d tokens, %d chunks of %d, %d scored, %.2f s%n",
            result.tokens(), result.chunks(), capacity.context(), result.scores(), seconds);
      }
    }
  }
}
