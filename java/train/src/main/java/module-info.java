// SPDX-License-Identifier: Apache-2.0

/** How a model comes to be: pretraining, fine-tuning, alignment. */
module dev.tokamak.train {
  requires transitive dev.tokamak.generate;
  requires tools.jackson.core;

  exports dev.tokamak.train;
}
