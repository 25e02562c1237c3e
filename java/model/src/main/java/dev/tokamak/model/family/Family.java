// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;

/** A model family: how its files say what its {@link Architecture} is. */
public interface Family {
  /** The value of {@code general.architecture}. */
  String name();

  /**
   * Reads the architecture from a file's metadata.
   *
   * @throws dev.tokamak.model.format.FormatException if a key is missing or out of range, or the
   *     file asks for something that the engine does not do
   */
  Architecture architecture(ModelFile file);

  /** The architecture of a new model of this family. */
  Architecture architecture(Sizes sizes);
}
