// SPDX-License-Identifier: Apache-2.0

/** The check of a machine that travels in the distribution. */
module dev.tokamak.bundle {
  requires tools.jackson.core;
}
