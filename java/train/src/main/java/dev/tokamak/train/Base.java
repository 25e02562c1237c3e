// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.model.Lora;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.data.ChatFormat;
import dev.tokamak.train.data.ChatMl;
import dev.tokamak.train.data.JinjaFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;

/** The model that a stage starts from. */
public final class Base implements AutoCloseable {
  private static final String TEMPLATE = "tokenizer.chat_template";

  private final ModelFile file;
  private final TrainingModel model;
  private final Tokenizer tokenizer;
  private final ChatFormat chat;

  /**
   * Opens the file that a configuration names.
   *
   * @throws dev.tokamak.model.format.FormatException if it is no model that the engine runs
   * @throws ConfigException if the configuration does not fit it
   * @throws dev.tokamak.model.jinja.TemplateException if its chat template is none
   */
  public Base(TrainConfig config) {
    file = ModelFile.open(config.base().orElseThrow());
    try {
      model = TrainingModel.of(file, config.lora().map(Base::lora));
      config.requireContext(model.architecture().context());
      tokenizer = Tokenizer.of(file.metadata());
      chat = chat(config);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  private ChatFormat chat(TrainConfig config) {
    if (config.data().template().isPresent()) {
      Path path = config.data().template().get();
      try {
        return new JinjaFormat(path.toString(), Files.readString(path), tokenizer);
      } catch (IOException e) {
        throw new ConfigException(
            config.source(), "data.template", path + ": " + Checkpoints.reason(e));
      }
    }
    return file.metadata()
        .string(TEMPLATE)
        .<ChatFormat>map(text -> new JinjaFormat(file.source(), text, tokenizer))
        .orElse(ChatMl.FORMAT);
  }

  private static Lora lora(TrainConfig.Lora lora) {
    Set<Lora.Target> targets =
        Arrays.stream(Lora.Target.values())
            .filter(target -> lora.targets().contains(target.tensor()))
            .collect(Collectors.toSet());
    return new Lora(lora.rank(), lora.alpha(), targets);
  }

  public ModelFile file() {
    return file;
  }

  /** Its weights are still in the file. */
  public TrainingModel model() {
    return model;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** How it chats: as the configuration says, or its file, or else in ChatML. */
  public ChatFormat chat() {
    return chat;
  }

  /** What a file of the trained model says of its tokens and chats. */
  public Metadata keys() {
    return tokenizer.metadata().with(TEMPLATE, chat.template());
  }

  @Override
  public void close() {
    file.close();
  }
}
