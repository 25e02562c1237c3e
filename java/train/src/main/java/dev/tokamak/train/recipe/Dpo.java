// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.recipe;

import dev.tokamak.backend.Backends;
import dev.tokamak.train.Base;
import dev.tokamak.train.Checkpoints;
import dev.tokamak.train.DirectPreference;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainListener;
import dev.tokamak.train.Workshop;
import dev.tokamak.train.data.TrainingData;

/**
 * Direct preference optimisation: of two answers a model comes to prefer the chosen one, and is
 * held to what it said before.
 */
public final class Dpo {
  private Dpo() {}

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
      var reference =
          shop.logProbabilities(data.training(), data.validation(), data.validationBatches());

      var loss = new DirectPreference(config.dpo().beta(), config.dpo().nll(), reference);
      shop.validate(loss, data.validation(), data.validationBatches());
      shop.sample(shop.questions());
      shop.resume();

      shop.train(data.training(), loss);
      shop.write();
    }
  }
}
