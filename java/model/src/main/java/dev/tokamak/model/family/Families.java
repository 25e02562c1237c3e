// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.family;

import dev.tokamak.model.Architecture;
import dev.tokamak.model.ModelFile;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import java.util.List;
import java.util.Optional;

/** The families that the engine runs, in reading order. */
public final class Families {
  private static final List<Family> ALL = List.of(new Llama(), new Qwen2(), new Qwen3());

  private Families() {}

  /** The family that a file's {@code general.architecture} names. */
  public static Family of(ModelFile file) {
    if (file.metadata().string("general.type").filter("adapter"::equals).isPresent()) {
      throw FormatException.at(
          file.source(),
          "metadata key general.type",
          "these are adapters, to be added to their model (--lora), and no model themselves");
    }
    String name = file.metadata().requireString("general.architecture");
    return find(name)
        .orElseThrow(
            () ->
                FormatException.at(
                    file.source(),
                    "general.architecture",
                    "family '" + name + "' is not supported; supported: "
                        + String.join(", ", names())));
  }

  /** The family of that name. */
  public static Optional<Family> find(String name) {
    return ALL.stream().filter(family -> family.name().equals(name)).findFirst();
  }

  /** The names of all families. */
  public static List<String> names() {
    return ALL.stream().map(Family::name).toList();
  }

  /** The keys that a file of an architecture has, those that {@link Family#architecture} reads. */
  public static Metadata metadata(Architecture architecture) {
    return LlamaKeys.metadata(architecture);
  }
}
