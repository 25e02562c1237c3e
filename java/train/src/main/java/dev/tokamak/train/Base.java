// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train;

import dev.tokamak.model.Architecture;
import dev.tokamak.model.Lora;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.WeightArray;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.family.Sizes;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.data.ChatFormat;
import dev.tokamak.train.data.NewTokenizer;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Collectors;

/** The model that a training starts from: that of a file, or a new one. */
public final class Base implements AutoCloseable {
  private final Optional<ModelFile> file;
  private final TrainingModel model;
  private final Tokenizer tokenizer;
  private final ChatFormat chat;
  private final Metadata keys;

  /**
   * Opens the file that a configuration names, or makes a new model's tokenizer.
   *
   * @param listener may end that, and hears it where a form to chat in had to be chosen
   * @throws dev.tokamak.model.format.FormatException if it is no model that the engine runs
   * @throws ConfigException if the configuration does not fit it
   * @throws dev.tokamak.model.jinja.TemplateException if its chat template is none
   */
  public Base(TrainConfig config, TrainListener listener) {
    file = config.base().map(ModelFile::open);
    try {
      if (file.isPresent()) {
        model = TrainingModel.of(file.get(), config.lora().map(Base::lora));
        config.requireContext(model.architecture().context());
        tokenizer = Tokenizer.of(file.get().metadata());
      } else {
        tokenizer = NewTokenizer.of(config, listener);
        model = TrainingModel.create(architecture(config.model().orElseThrow(), tokenizer));
      }
      Optional<ChatFormat> given = template(config);
      chat = given.orElseGet(() -> standard(config, listener));
      boolean chats = config.stage() != Stage.PRETRAIN || given.isPresent();
      keys = chats ? chat.addedTo(tokenizer.metadata()) : tokenizer.metadata();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private static Architecture architecture(TrainConfig.NewModel model, Tokenizer tokenizer) {
    var sizes =
        new Sizes(
            tokenizer.vocabularySize(),
            model.context(),
            model.layers(),
            model.dim(),
            model.heads(),
            model.kvHeads(),
            OptionalInt.of(model.headDim()),
            model.hidden(),
            OptionalDouble.of(model.ropeBase()),
            model.tied());
    return Families.find(model.family()).orElseThrow().architecture(sizes);
  }

  private static Lora lora(TrainConfig.Lora lora) {
    Set<Lora.Target> targets =
        Arrays.stream(Lora.Target.values())
            .filter(target -> lora.targets().contains(target.tensor()))
            .collect(Collectors.toSet());
    return new Lora(lora.rank(), lora.alpha(), targets);
  }

  private Optional<ChatFormat> template(TrainConfig config) {
    if (config.data().template().isPresent()) {
      Path path = config.data().template().get();
      try {
        return Optional.of(new ChatFormat(path.toString(), Files.readString(path), tokenizer));
      } catch (CharacterCodingException _) {
        throw new ConfigException(config.source(), "data.template", path + ": not UTF-8");
      } catch (IOException e) {
        throw new ConfigException(
            config.source(), "data.template", path + ": " + Checkpoints.reason(e));
      }
    }
    return file.flatMap(f -> ChatFormat.of(f.metadata(), tokenizer));
  }

  /** ChatML, or, which the user is told, a plain form where there are no tokens for that. */
  private ChatFormat standard(TrainConfig config, TrainListener listener) {
    if (config.stage() == Stage.PRETRAIN || ChatFormat.hasChatMl(tokenizer)) {
      return ChatFormat.chatMl(tokenizer);
    }
    String unfit =
        config.base().orElseThrow() + " has no chat template and no tokens of ChatML";
    ChatFormat plain =
        ChatFormat.plain(tokenizer)
            .orElseThrow(
                () ->
                    new ConfigException(
                        config.source(),
                        "data.template",
                        "missing: " + unfit + ", nor one that ends a text"));
    TrainEvent.warnings(listener)
        .accept(
            unfit + ": it learns to chat with \"User:\" and \"Assistant:\" on lines of their own;"
                + " data.template gives another form");
    return plain;
  }

  /** Its weights are still where they come from. */
  public TrainingModel model() {
    return model;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * How it chats: as the configuration says, or its file, or else in ChatML, or where it has no
   * tokens for that, in the plain form.
   */
  public ChatFormat chat() {
    return chat;
  }

  /** What a file of the trained model says of its tokens and chats. */
  public Metadata keys() {
    return keys;
  }

  /**
   * Puts the weights that training starts from in their place: the file's, with adapters that add
   * nothing yet; of a new model random ones.
   *
   * @throws dev.tokamak.model.format.FormatException if a tensor is not as it should be
   */
  void load(WeightArray weights, long seed) {
    file.ifPresent(f -> model.read(f, weights));
    if (file.isEmpty() || model.lora().isPresent()) {
      model.initialise(seed, weights);
    }
  }

  @Override
  public void close() {
    file.ifPresent(ModelFile::close);
  }
}
