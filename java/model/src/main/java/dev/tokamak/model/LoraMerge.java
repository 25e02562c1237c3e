// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.model.family.Families;
import dev.tokamak.model.format.gguf.GgufWriter;
import dev.tokamak.model.format.gguf.TensorInfo;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Adds the adapters of a LoRA file to the matrices of a model, for good. A matrix in F32, F16 or
 * BF16 keeps its type; a quantised one becomes F16, since to quantise it again would blur what was
 * learnt. All else is copied bit by bit.
 */
public final class LoraMerge {
  /**
   * What was written.
   *
   * @param tensors in the file
   * @param merged of them with an adapter
   * @param bytes of the tensors
   */
  public record Result(int tensors, int merged, long bytes) {}

  private LoraMerge() {}

  /**
   * Writes the merged model.
   *
   * @param progress told of the tensors' bytes as they are written
   * @throws dev.tokamak.model.format.FormatException if a file is not sound, or an adapter does
   *     not fit
   */
  public static Result merge(Path base, Path lora, Path out, Backend.Progress progress)
      throws IOException {
    try (ModelFile file = ModelFile.open(base);
        LoraFile adapters = LoraFile.open(lora);
        Arena arena = Arena.ofConfined()) {
      Architecture architecture = Families.of(file).architecture(file);
      Map<String, LowRank> added =
          adapters.adapters(
              architecture.family(), new Transformer(architecture, file).named(), arena);
      List<Path> inputs = new ArrayList<>(file.gguf().paths());
      inputs.add(lora);
      GgufWriter.probe(out, inputs);
      return write(file, added, out, progress);
    }
  }

  private static Result write(
      ModelFile file, Map<String, LowRank> added, Path out, Backend.Progress progress)
      throws IOException {
    GgufCopy copy = new GgufCopy(file, out, progress);
    for (TensorInfo info : file.gguf().tensors()) {
      LowRank adapter = added.get(info.name());
      if (adapter == null) {
        copy.add(info);
      } else {
        Tensor matrix = info.tensor();
        QuantType type = matrix.type().blockElements() == 1 ? matrix.type() : QuantType.F16;
        GgufCopy.Rows rows = GgufCopy.Rows.of(matrix);
        copy.add(
            info,
            type,
            (row, to) -> {
              rows.read(row, to);
              adapter.addTo(row, to);
            });
      }
    }
    copy.write();
    return new Result(copy.tensors(), added.size(), copy.bytes());
  }
}
