// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Console;
import dev.tokamak.cli.Interrupt;
import dev.tokamak.generate.Capacity;
import dev.tokamak.generate.Dialogue;
import dev.tokamak.generate.GenerateOptions;
import dev.tokamak.generate.SamplerOptions;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.ChatTemplate;
import java.time.Clock;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** A conversation. */
@Command(
    name = "chat",
    description =
        "Talks with a model. Each line is a message; where standard input is no terminal, too.",
    footer = {"", "In the chat, /help tells what else there is."},
    modelTransformer = SamplingOptions.Added.class)
public final class Chat implements Runnable {
  @Mixin private GenerationArguments generation;
  @Mixin private ModelArguments arguments;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "What the system message says, in front of the conversation.")
  private String system;

  @Mixin private TemplateOption template;

  @Spec private CommandSpec command;

  private final Console console;

  public Chat(Console console) {
    this.console = console;
  }

  @Override
  public void run() {
    if (!arguments.output.json && generation.logprobs != null) {
      throw new ParameterException(command.commandLine(), "--logprobs goes with --json only");
    }
    try (Model model = arguments.open(console)) {
      ChatTemplate chat = template.of(model, arguments.name(), "run completes a text");
      Capacity capacity = arguments.capacity(model);
      arguments.announce(console, model, capacity);
      SamplerOptions recommended = SamplerOptions.of(model.metadata());
      GenerateOptions options =
          generation.options(
              SamplingOptions.of(command, recommended).withSeed(arguments.seed));
      try (var dialogue = new Dialogue(model, chat, capacity, Clock.systemDefaultZone());
          var _ = Interrupt.onStop(Thread.currentThread()::interrupt);
          ChatInput input = ChatInput.of(console, ChatLoop.commands())) {
        dialogue.system(Optional.ofNullable(system));
        var answers = new Answers(arguments.name(), model, capacity);
        new ChatLoop(console, dialogue, input, answers, arguments.output).run(options);
      }
    }
  }
}
