// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Interrupt;
import dev.tokamak.cli.Json;
import dev.tokamak.cli.Quantity;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Event;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.generate.Session;
import dev.tokamak.model.Model;
import java.util.function.Consumer;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Completes a prompt. */
@Command(
    name = "run",
    description = "Completes a prompt; the text comes as it is generated.",
    modelTransformer = SamplingOptions.Added.class)
public final class Run implements Runnable {
  @ArgGroup(multiplicity = "1")
  private PromptOptions prompt;

  @Mixin private GenerationArguments generation;
  @Mixin private ModelArguments arguments;

  @Option(
      names = "--show-probabilities",
      description = "Colours each token by its probability; without colours, writes it behind.")
  private boolean showProbabilities;

  @Spec private CommandSpec command;

  private final Console console;

  public Run(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    if (arguments.output.json && showProbabilities) {
      throw misused("--show-probabilities does not go with --json; --logprobs does");
    }
    if (!arguments.output.json && generation.logprobs != null) {
      throw misused("--logprobs goes with --json only; --show-probabilities shows them in the text");
    }
    prompt.read(console);
    try (Model model = arguments.open(console)) {
      Capacity capacity = arguments.capacity(model);
      arguments.announce(console, model, capacity);
      GenerateOptions options = generation.options(sampler(model));
      int[] tokens = prompt.tokens(model.tokenizer());
      var answers = new Answers(arguments.name(), model, capacity);
      try (var session = new Session(model, capacity);
          var _ = Interrupt.onStop(Thread.currentThread()::interrupt)) {
        if (arguments.output.json) {
          Event.Finished answer = session.generate(tokens, options, _ -> {});
          Json.line(console.out(), json -> answers.write(json, answer, options));
        } else {
          stream(session, tokens, options, answers);
        }
      }
    }
  }

  private void stream(
      Session session, int[] tokens, GenerateOptions options, Answers answers) {
    Consumer<Event.Token> plain =
        token -> {
          console.out().print(token.text());
          console.out().show();
        };
    GenerateOptions wanted = options;
    Consumer<Event.Token> listener = plain;
    if (showProbabilities) {
      var colours = new ProbabilityText(console);
      if (!arguments.output.quiet) {
        colours.legend();
      }
      listener = colours::print;
      wanted = options.withLogprobs(0);
    }
    Event.Finished answer = session.generate(tokens, wanted, listener);
    if (!answer.text().endsWith("\n")) {
      console.out().print("\n");
    }
    console.out().show();
    answers
        .receipt(answer, options)
        .ifPresent(
            receipt -> {
              console.err().println("receipt: model_sha256=" + receipt.modelSha256());
              console.err().println("receipt: settings: " + receipt.settings());
              console.err().println("receipt: logits_sha256=" + receipt.logitsSha256());
            });
    if (!arguments.output.quiet) {
      Event.Timings timings = answer.timings();
      console.err().println(
          "prompt " + count(answer.prompt().size()) + ", "
              + Quantity.significant(timings.prefillTokensPerSecond()) + " tok/s; answer "
              + count(answer.tokens().size()) + ", "
              + Quantity.significant(timings.decodeTokensPerSecond()) + " tok/s; first token after "
              + Quantity.significant(timings.firstTokenMillis()) + " ms; ended by "
              + answer.reason().label());
    }
  }

  private SamplerOptions sampler(Model model) {
    SamplerOptions recommended = SamplerOptions.of(model.metadata());
    return SamplingOptions.of(command, recommended).withSeed(arguments.seed);
  }

  private static String count(int tokens) {
    return tokens == 1 ? "1 token" : tokens + " tokens";
  }

  private ParameterException misused(String problem) {
    return new ParameterException(command.commandLine(), problem);
  }
}
