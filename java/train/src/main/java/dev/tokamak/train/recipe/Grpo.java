// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.train.recipe;

import dev.tokamak.backend.Backends;
import dev.tokamak.train.Base;
import dev.tokamak.train.Checkpoints;
import dev.tokamak.train.PolicyGradient;
import dev.tokamak.train.Problems;
import dev.tokamak.train.Rollouts;
import dev.tokamak.train.TrainConfig;
import dev.tokamak.train.TrainListener;
import dev.tokamak.train.Workshop;
import java.lang.foreign.Arena;

/**
 * Group relative policy optimisation: a model learns from its own answers, which code judges.
 */
public final class Grpo {
  private Grpo() {}

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
    Problems problems = Problems.of(config);
    try (var checkpoints = Checkpoints.of(config, resume);
        var base = new Base(config, listener);
        var arena = Arena.ofConfined();
        var shop = new Workshop(config, options, listener, base, checkpoints)) {
      shop.load();
      var loss =
          new PolicyGradient(
              config.grpo().clip(), config.grpo().kl(), config.grpo().updates());
      var answers = new Rollouts(config, shop, problems, loss, arena);
      answers.validate();
      shop.sample(shop.questions());
      shop.resume();

      shop.train(answers, loss);
      shop.write();
    }
  }
}
