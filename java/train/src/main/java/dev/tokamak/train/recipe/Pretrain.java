// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.recipe;

import dev.tokamak.backend.Backends;
import dev.tokamak.model.Architecture;
import dev.tokamak.model.TrainingModel;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.family.Sizes;
import dev.tokamak.model.tokenizer.Tokenizer;
import dev.tokamak.train.Checkpoints;
import dev.tokamak.train.CrossEntropy;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainEvent;
import dev.tokamak.train.Workshop;
import dev.tokamak.train.data.ChatMl;
import dev.tokamak.train.data.NewTokenizer;
import dev.tokamak.train.data.TrainingData;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.function.Consumer;

/** A new model learns from text: each token from those before it in its document. */
public final class Pretrain {
  private Pretrain() {}

  /**
   * Makes a model.
   *
   * @param resume whether to go on from the newest checkpoint, if there is one
   * @param listener hears what happens, in the thread that trains
   */
  public static void run(
      TrainConfig config,
      boolean resume,
      Backends.Options options,
      Consumer<? super TrainEvent> listener) {
    try (var checkpoints = Checkpoints.of(config, resume)) {
      Tokenizer tokenizer = NewTokenizer.of(config);
      var model = TrainingModel.create(architecture(config.model().orElseThrow(), tokenizer));

      try (var data =
              new TrainingData(config, tokenizer, ChatMl.FORMAT, TrainEvent.warnings(listener));
          var shop =
              new Workshop(config, options, listener, model, tokenizer.metadata(), checkpoints)) {
        model.initialise(config.seed(), shop.weights());
        shop.resume();

        var loss = new CrossEntropy();
        shop.validate(loss, data.validation(), data.validationBatches());
        shop.sample(config.samples().prompts().stream().map(shop::beginning).toList());

        shop.train(data.training(), loss);
        shop.write();
      }
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
}
