// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.model.ModelFile;
import dev.tokamak.model.format.FormatException;
import java.util.List;
import java.util.stream.Collectors;

/** The families that the engine runs, in reading order. */
public final class Families {
  private static final List<Family> ALL = List.of(new Llama(), new Qwen2(), new Qwen3());

  private Families() {}

  /** The family that a file's {@code general.architecture} names. */
  public static Family of(ModelFile file) {
    String name = file.metadata().requireString("general.architecture");
    for (Family family : ALL) {
      if (family.name().equals(name)) {
        return family;
      }
    }
    throw FormatException.at(
        file.source(),
        "general.architecture",
        "family '" + name + "' is not supported; supported: "
            + ALL.stream().map(Family::name).collect(Collectors.joining(", ")));
  }
}
