// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.generate;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Backends;
import dev.tokamak.model.Model;
import dev.tokamak.model.ModelOptions;
import dev.tokamak.testing.TinyModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** Models for tests, on the backends of this machine. */
final class Models {
  private Models() {}

  static List<String> backends() {
    return Backends.probe(Backends.Options.defaults()).stream()
        .filter(probe -> probe.obstacle().isEmpty())
        .map(Backends.Probe::name)
        .toList();
  }

  static Model open(Path file, String backend) {
    Backends.Options options =
        new Backends.Options(backend, OptionalInt.of(2), Optional.empty(), false);
    return Model.open(file, new ModelOptions(options, Backend.Progress.none()));
  }

  /** A model with random weights. */
  static Model tiny(String backend) {
    try {
      Path file = Files.createTempFile("tiny", ".gguf");
      try {
        return open(TinyModel.write(file, 1), backend);
      } finally {
        file.toFile().deleteOnExit();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
