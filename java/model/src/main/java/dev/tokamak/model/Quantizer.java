// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.QuantType;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufWriter;
import dev.tokamak.model.format.gguf.TensorInfo;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Writes a model file in another type. Vectors become F32; matrices get the type asked for, or F16
 * where a row is not whole blocks of it.
 */
public final class Quantizer {
  /** What can be written. */
  public static final List<QuantType> TYPES =
      List.of(QuantType.F32, QuantType.F16, QuantType.BF16, QuantType.Q8_0, QuantType.Q4_0);

  /**
   * What was written.
   *
   * @param tensors in the file
   * @param bytes of the tensors
   * @param uneven names of the matrices whose rows are not whole blocks
   */
  public record Result(int tensors, long bytes, List<String> uneven) {}

  private Quantizer() {}

  /**
   * Writes a model in one of {@link #TYPES}.
   *
   * @param more metadata, in place of what the file has under the same keys
   * @param progress told of the tensors' bytes as they are written
   * @throws dev.tokamak.model.format.FormatException if the file is not sound, has a tensor of a
   *     type that the engine does not read, or a weight does not fit the type
   * @throws IOException if the output is the input, or cannot be written
   */
  public static Result quantize(
      Path in, Path out, QuantType type, Metadata more, Backend.Progress progress)
      throws IOException {
    if (!TYPES.contains(type)) {
      throw new IllegalArgumentException(type + ": expected one of " + TYPES);
    }
    try (ModelFile file = ModelFile.open(in)) {
      GgufWriter.probe(out, file.gguf().paths());
      GgufCopy copy = new GgufCopy(file, out, progress);
      copy.set(more);
      List<String> uneven = new ArrayList<>();
      for (TensorInfo info : file.gguf().tensors()) {
        QuantType target = type;
        if (info.rows() == 1) {
          target = QuantType.F32;
        } else if (info.cols() % type.blockElements() != 0) {
          uneven.add(info.name());
          target = QuantType.F16;
        }
        if (info.type().quantType().equals(Optional.of(target))) {
          copy.add(info);
        } else {
          copy.add(info, target, GgufCopy.Rows.of(info.tensor()));
        }
      }
      copy.write();
      return new Result(copy.tensors(), copy.bytes(), uneven);
    }
  }
}
