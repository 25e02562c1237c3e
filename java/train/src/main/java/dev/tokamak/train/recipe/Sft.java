// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.recipe;

import dev.tokamak.backend.Backends;
import dev.tokamak.train.Base;
import dev.tokamak.train.Checkpoints;
import dev.tokamak.train.CrossEntropy;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainListener;
import dev.tokamak.train.Workshop;
import dev.tokamak.train.data.TrainingData;

/**
 * Supervised fine-tuning: a model learns to answer, from conversations; only what the assistant
 * says is learned.
 */
public final class Sft {
  private Sft() {}

  /**
   * Trains a model on, or adapters for it.
   *
   * @param resume whether to go on from the newest checkpoint, if there is one
   * @param listener hears what happens, and may end it
   */
  public static void run(
      TrainConfig config,
      boolean resume,
      Backends.Options options,
      TrainListener listener) {
    try (var checkpoints = Checkpoints.of(config, resume);
        var base = new Base(config, listener);
        var data = new TrainingData(config, base.tokenizer(), base.chat(), listener);
        var shop = new Workshop(config, options, listener, base, checkpoints)) {
      shop.load();
      var loss = new CrossEntropy();
      shop.validate(loss, data.validation(), data.validationBatches());
      shop.sample(shop.questions());
      shop.resume();

      shop.train(data.training(), loss);
      shop.write();
    }
  }
}
