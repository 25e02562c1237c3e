// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How a model is opened.
 *
 * @param backend which one, and with what
 * @param progress told of bytes as weights are made ready
 * @param lora a file of adapters that are added to the model's products
 */
public record ModelOptions(
    Backends.Options backend, Backend.Progress progress, Optional<Path> lora) {
  /** Without adapters. */
  public ModelOptions(Backends.Options backend, Backend.Progress progress) {
    this(backend, progress, Optional.empty());
  }

  /** The best backend of this machine, silently. */
  public static ModelOptions defaults() {
    return new ModelOptions(Backends.Options.defaults(), Backend.Progress.none());
  }
}
