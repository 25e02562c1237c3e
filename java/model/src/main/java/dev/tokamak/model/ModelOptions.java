// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;

/**
 * How a model is opened.
 *
 * @param backend which one, and with what
 * @param progress told of bytes as weights are made ready
 */
public record ModelOptions(Backends.Options backend, Backend.Progress progress) {
  /** The best backend of this machine, silently. */
  public static ModelOptions defaults() {
    return new ModelOptions(Backends.Options.defaults(), Backend.Progress.none());
  }
}
