// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.model.LoraMerge;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Adapters into the model that they were made for. */
@Command(
    name = "merge",
    description = {
      "Adds a LoRA file to its model and writes the result.",
      "",
      "Matrices in F32, F16 or BF16 keep their type; quantised ones become F16, since to quantise"
          + " them again would blur what was learnt (quantize does that). Tensors without an"
          + " adapter are copied as they are.",
      ""
    })
public final class Merge implements Runnable {
  @Parameters(index = "0", paramLabel = "BASE", description = "The model, a GGUF file.")
  private Path base;

  @Parameters(index = "1", paramLabel = "LORA", description = "The LoRA file, in GGUF.")
  private Path lora;

  @Parameters(index = "2", paramLabel = "OUT.gguf", description = "The file to write.")
  private Path out;

  @Mixin private OutputOptions output;

  private final Console console;

  public Merge(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    LoraMerge.Result result;
    try (var progress = ProgressLine.bytes(console, output.quiet, "merging")) {
      result = LoraMerge.merge(base, lora, out, progress::at);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    if (output.json) {
      Json.line(
          console.out(),
          json -> {
            json.writeNumberProperty("tensors", result.tensors());
            json.writeNumberProperty("merged", result.merged());
            json.writeNumberProperty("bytes", result.bytes());
          });
    } else if (!output.quiet) {
      console.err().println(
          out.getFileName() + ": " + result.merged() + " of " + result.tensors()
              + " tensors merged, " + Quantity.of(result.bytes(), "B"));
    }
  }
}
