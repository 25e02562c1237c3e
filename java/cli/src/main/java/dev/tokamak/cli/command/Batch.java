// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Failure;
import dev.tokamak.cli.Interrupt;
import dev.tokamak.cli.Quantity;
import dev.tokamak.generate.Batcher;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.FinishReason;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.Model;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Completes many prompts, several at once. */
@Command(
    name = "batch",
    description = {
      "Completes many prompts, several of them in each step.",
      "A line of IN is an object with prompt (a text) or tokens, and any of n, stop, ignore_eos,"
          + " logprobs, receipt, seed and the sampling options; what it does not say, the options"
          + " here do. OUT gets a line for each, in the order of IN, with the fields of run --json"
          + " and its number in IN as line; or line and error.",
      "Resumable: lines that OUT has already are not done again."
    },
    modelTransformer = SamplingOptions.Added.class)
public final class Batch implements Runnable {
  @Parameters(index = "0", paramLabel = "IN.jsonl", description = "Prompts, an object a line.")
  private Path in;

  @Parameters(index = "1", paramLabel = "OUT.jsonl", description = "Answers, an object a line.")
  private Path out;

  @Option(
      names = "--parallel",
      paramLabel = "N",
      defaultValue = "4",
      converter = Whole.class,
      description = "Sequences in a step; by default ${DEFAULT-VALUE}.")
  private int parallel;

  @Mixin private GenerationArguments generation;
  @Mixin private ModelArguments arguments;
  @Spec private CommandSpec command;

  private final Console console;
  private long promptTokens;
  private long answerTokens;

  public Batch(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    try (InputStream lines = Files.newInputStream(in);
        BatchOutput output = BatchOutput.open(out);
        Model model = arguments.open(console)) {
      Capacity capacity = arguments.capacity(model).withSequences(parallel);
      arguments.announce(console, model, capacity);
      long start = System.nanoTime();
      complete(new JsonLines(in.getFileName().toString(), lines), output, model, capacity);
      if (!arguments.output.quiet) {
        double seconds = (System.nanoTime() - start) / 1e9;
        console.err().println(
            "lines done: " + output.written() + ", found done before: " + output.found() + "; "
                + promptTokens + " tokens of prompts, " + answerTokens + " of answers in "
                + Quantity.significant(seconds) + " s");
      }
      if (output.errors() > 0) {
        throw new Failure(
            out + ": " + output.errors() + (output.errors() == 1 ? " line is an error, line "
                : " lines are errors, the first of line ") + output.firstError() + " of " + in);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void complete(JsonLines lines, BatchOutput output, Model model, Capacity capacity) {
    SamplerOptions sampler =
        SamplingOptions.of(command, SamplerOptions.of(model.metadata())).withSeed(arguments.seed);
    GenerateOptions defaults = generation.options(sampler);
    var answers = new Answers(arguments.name(), model, capacity);
    output.skip(lines);
    try (var batcher = new Batcher(model, capacity);
        var _ = Interrupt.onStop(Thread.currentThread()::interrupt)) {
      boolean more = true;
      boolean steps = true;
      while (more || steps) {
        // A few finished lines may wait for a slow one before them; not all of a long file.
        while (more && output.working() < parallel && output.waiting() < 4L * parallel) {
          Optional<byte[]> line = lines.next();
          more = line.isPresent();
          if (more && !isBlank(line.get())) {
            submit(lines, line.get(), defaults, batcher, output, answers, model);
          }
        }
        steps = batcher.step();
        if (Thread.currentThread().isInterrupted()) {
          return;
        }
      }
    }
  }

  private static boolean isBlank(byte[] line) {
    for (byte b : line) {
      if (b < 0 || b > ' ') {
        return false;
      }
    }
    return true;
  }

  private void submit(
      JsonLines lines,
      byte[] line,
      GenerateOptions defaults,
      Batcher batcher,
      BatchOutput output,
      Answers answers,
      Model model) {
    BatchOutput.Place place = output.begin(lines.number());
    BatchLine request;
    int[] prompt;
    try {
      request = lines.parse(line, parser -> BatchLine.parse(parser, defaults));
      prompt = request.tokens(model.tokenizer());
    } catch (Failure e) {
      place.error(e.getMessage());
      return;
    }
    batcher.submit(
        prompt,
        request.options(),
        event -> {
          switch (event) {
            case Event.Token _ -> {}
            case Event.Refused refused -> place.error(lines.place() + ": " + refused.problem());
            case Event.Finished answer when answer.reason() == FinishReason.CANCELLED -> {}
            case Event.Finished answer -> {
              promptTokens += answer.prompt().size();
              answerTokens += answer.tokens().size();
              place.done(json -> answers.write(json, answer, request.options()));
            }
          }
        });
  }
}
