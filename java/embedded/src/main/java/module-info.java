// SPDX-License-Identifier: Apache-2.0

/** A small model that travels with the program. */
module dev.tokamak.embedded {
  exports dev.tokamak.embedded;
}
