// SPDX-License-Identifier: Apache-2.0

/** What is done with a model at run time: sessions, sampling, batches. */
module dev.tokamak.generate {
  requires transitive dev.tokamak.model;

  exports dev.tokamak.generate;
}
