// SPDX-License-Identifier: Apache-2.0

/** What is done with a model at run time: sessions, sampling, batches. */
module dev.tokamak.generate {
  requires transitive dev.tokamak.model;

  exports dev.tokamak.generate;
  // How good a model is.
  exports dev.tokamak.generate.evaluate;
  // Whether an answer is right, decided by code.
  exports dev.tokamak.generate.verify;
}
