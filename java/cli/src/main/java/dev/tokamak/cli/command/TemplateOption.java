// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.command;

import dev.tokamak.cli.Failure;
import dev.tokamak.model.Model;
import dev.tokamak.model.chat.ChatTemplate;
import java.nio.file.Path;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The chat template that conversations with a model are written by. */
@Command
final class TemplateOption {
  @Option(
      names = "--template",
      paramLabel = "FILE",
      description = "A Jinja chat template, in place of the model's.")
  private Path template;

  /**
   * The file's template, or the model's.
   *
   * @param name of the model, for messages
   * @param otherwise what can be done instead, for the message if there is none
   */
  ChatTemplate of(Model model, String name, String otherwise) {
    if (template != null) {
      return ChatTemplate.of(
          template.getFileName().toString(), TextSource.file(template), model.tokenizer());
    }
    return ChatTemplate.of(model.metadata(), model.tokenizer())
        .orElseThrow(
            () ->
                new Failure(
                    name + ": has no chat template, so it was not made to chat: --template FILE"
                        + " gives one, or " + otherwise));
  }
}
