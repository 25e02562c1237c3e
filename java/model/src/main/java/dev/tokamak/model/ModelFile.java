// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

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

/** An open model file: metadata, and tensors asked for by name and shape. */
public final class ModelFile implements TensorSource, AutoCloseable {
  private final GgufFile gguf;
  private final Arena arena = Arena.ofShared();

  private ModelFile(GgufFile gguf) {
    this.gguf = gguf;
  }

  /**
   * Opens a GGUF file, or all files of a split one.
   *
   * @throws FormatException if it is not a sound model file
   */
  public static ModelFile open(Path path) {
    return new ModelFile(GgufFile.open(path));
  }

  /** The file's name, for messages. */
  public String source() {
    return gguf.metadata().source();
  }

  public Metadata metadata() {
    return gguf.metadata();
  }

  /** The file itself. */
  public GgufFile gguf() {
    return gguf;
  }

  public boolean has(String tensor) {
    return gguf.info(tensor).isPresent();
  }

  /** Rows of a matrix, such as the tokens of an embedding table. */
  public int rows(String tensor) {
    TensorInfo info =
        gguf.info(tensor)
            .orElseThrow(() -> FormatException.at(source(), "tensor " + tensor, "missing"));
    if (info.rows() < 1 || info.rows() > Integer.MAX_VALUE) {
      throw FormatException.at(source(), "tensor " + tensor, "rows=" + info.rows());
    }
    return (int) info.rows();
  }

  /** A matrix [rows, cols], in place. */
  @Override
  public Tensor matrix(String name, long rows, long cols) {
    return gguf.requireTensor(name, rows, cols);
  }

  /** A copy of a vector as float32, which stays whatever becomes of the file on disk. */
  @Override
  public Tensor vector(String name, int length) {
    Tensor stored = gguf.requireTensor(name, 1, length);
    float[] values = new float[length];
    Decode.decode(stored.type(), stored.data(), length, values);
    return new Tensor(name, QuantType.F32, 1, length, arena.allocateFrom(JAVA_FLOAT, values));
  }

  /** The values of a vector. */
  @Override
  public float[] floats(String name, int length) {
    float[] values = new float[length];
    MemorySegment.copy(vector(name, length).data(), JAVA_FLOAT_UNALIGNED, 0, values, 0, length);
    return values;
  }

  @Override
  public void close() {
    arena.close();
    gguf.close();
  }
}
