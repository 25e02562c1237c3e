// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.backend.reference.Decode;
import dev.tokamak.model.format.FormatException;
import dev.tokamak.model.format.Metadata;
import dev.tokamak.model.format.gguf.GgufFile;
import dev.tokamak.model.format.gguf.TensorInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A file of adapters as llama.cpp defines it ({@code convert_lora_to_gguf.py}): {@code general.type}
 * is adapter, {@code adapter.type} lora, {@code adapter.lora.alpha} the strength; for each adapted
 * matrix NAME [out, in] of the model there are NAME.lora_a [rank, in] and NAME.lora_b [out, rank].
 */
final class LoraFile implements AutoCloseable {
  private final GgufFile file;

  private LoraFile(GgufFile file) {
    this.file = file;
  }

  /**
   * Opens a file.
   *
   * @throws FormatException if it is not a sound LoRA file
   */
  static LoraFile open(Path path) {
    GgufFile file = GgufFile.open(path);
    try {
      expect(file.metadata(), "general.type", "adapter");
      expect(file.metadata(), "adapter.type", "lora");
      if (file.tensors().isEmpty()) {
        throw new FormatException(file.metadata().source() + ": it has no tensors");
      }
      return new LoraFile(file);
    } catch (RuntimeException | Error e) {
      file.close();
      throw e;
    }
  }

  private static void expect(Metadata metadata, String key, String expected) {
    String found = metadata.string(key).orElse("nothing");
    if (!found.equals(expected)) {
      throw FormatException.at(
          metadata.source(),
          "metadata key " + key,
          "expected '" + expected + "' of a LoRA file, found '" + found + "'");
    }
  }

  String sha256() {
    return file.sha256();
  }

  /**
   * The adapters in float32, by the name of their matrix.
   *
   * @param family of the model that they are for
   * @param matrices of products of that model, by name
   * @param arena that the copies live in
   * @throws FormatException if one does not fit
   */
  Map<String, LowRank> adapters(String family, Map<String, Tensor> matrices, Arena arena) {
    Metadata metadata = file.metadata();
    String own = metadata.string("general.architecture").orElse("nothing");
    if (!own.equals(family)) {
      throw FormatException.at(
          metadata.source(),
          "metadata key general.architecture",
          "the adapters are for a model of family '" + own + "', this one is '" + family + "'");
    }
    double alpha = metadata.number("adapter.lora.alpha").orElse(0);
    if (!Double.isFinite(alpha)) {
      throw FormatException.at(
          metadata.source(), "metadata key adapter.lora.alpha", "expected a number");
    }
    Map<String, LowRank> adapters = new LinkedHashMap<>();
    for (TensorInfo tensor : file.tensors()) {
      if (tensor.name().endsWith(TrainingModel.A)) {
        String name = without(tensor.name(), TrainingModel.A);
        adapters.put(name, adapter(name, tensor, matrices, alpha, arena));
      } else if (!tensor.name().endsWith(TrainingModel.B)
          || file.info(without(tensor.name(), TrainingModel.B) + TrainingModel.A).isEmpty()) {
        throw problem(
            tensor, "expected pairs of NAME" + TrainingModel.A + " and NAME" + TrainingModel.B);
      }
    }
    return adapters;
  }

  private LowRank adapter(
      String name, TensorInfo a, Map<String, Tensor> matrices, double alpha, Arena arena) {
    Tensor matrix = matrices.get(name);
    if (matrix == null) {
      throw problem(a, "the model has no product with a matrix " + name);
    }
    TensorInfo b =
        file.info(name + TrainingModel.B)
            .orElseThrow(() -> problem(a, "there is no " + name + TrainingModel.B));
    if (a.cols() != matrix.cols()) {
      throw problem(a, "shape " + shape(a) + " does not fit " + matrix);
    }
    if (b.rows() != matrix.rows() || b.cols() != a.rows()) {
      throw problem(
          b, "shape " + shape(b) + " does not fit " + matrix + " and " + a.name() + " " + shape(a));
    }
    // Without an alpha, or with 0, llama.cpp adds the product as it is.
    double factor = alpha == 0 ? 1 : alpha / a.rows();
    return new LowRank(decoded(a.tensor(), 1, arena), decoded(b.tensor(), factor, arena));
  }

  private static Tensor decoded(Tensor stored, double factor, Arena arena) {
    int cols = Math.toIntExact(stored.cols());
    MemorySegment data =
        arena.allocate(Math.multiplyExact(stored.rows() * Float.BYTES, stored.cols()), 64);
    float[] row = new float[cols];
    for (long r = 0; r < stored.rows(); r++) {
      Decode.decode(stored.type(), stored.row(r), cols, row);
      for (int i = 0; i < cols; i++) {
        data.setAtIndex(JAVA_FLOAT, r * cols + i, (float) (row[i] * factor));
      }
    }
    return new Tensor(stored.name(), QuantType.F32, stored.rows(), cols, data);
  }

  private static String without(String name, String suffix) {
    return name.substring(0, name.length() - suffix.length());
  }

  private static String shape(TensorInfo tensor) {
    return Arrays.toString(tensor.shape());
  }

  private static FormatException problem(TensorInfo tensor, String what) {
    return FormatException.at(tensor.file(), "tensor " + tensor.name(), what);
  }

  @Override
  public void close() {
    file.close();
  }
}
