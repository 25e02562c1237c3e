// SPDX-License-Identifier: Apache-2.0

/** How a model comes to be: pretraining, fine-tuning, alignment. */
module dev.tokamak.train {
  requires transitive dev.tokamak.generate;
  requires tools.jackson.core;

  exports dev.tokamak.train;
  // Data and chat formats, for recipes that others write.
  exports dev.tokamak.train.data;
  // One readable program per stage.
  exports dev.tokamak.train.recipe;
}
