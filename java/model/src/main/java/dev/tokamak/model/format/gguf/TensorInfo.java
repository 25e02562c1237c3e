// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.model.format.gguf;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import dev.tokamak.model.format.FormatException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * A tensor as its file describes it. The data is a view of the mapped file, valid until the {@link
 * GgufFile} is closed.
 *
 * @param file name of the file (of a split model: the piece) that holds it, for messages
 * @param name as in the file
 * @param type as in the file, whether or not the engine computes with it
 * @param shape 1 to 4 dimensions, innermost (contiguous) first
 * @param offset of the data from the start of the file, bytes
 * @param data exactly the tensor's bytes
 */
public record TensorInfo(
    String file, String name, GgufType type, long[] shape, long offset, MemorySegment data) {

  @Override
  public long[] shape() {
    return shape.clone();
  }

  /** Bytes of the data. */
  public long bytes() {
    return data.byteSize();
  }

  /** Number of elements. */
  public long elements() {
    return rows() * cols();
  }

  /** Elements of the innermost dimension. */
  public long cols() {
    return shape[0];
  }

  /** Product of all dimensions but the innermost; 1 for a vector. */
  public long rows() {
    long rows = 1;
    for (int i = 1; i < shape.length; i++) {
      rows *= shape[i];
    }
    return rows;
  }

  /**
   * The tensor as a matrix [{@link #rows}, {@link #cols}] that the engine computes with.
   *
   * @throws FormatException if the engine does not compute with its type
   */
  public Tensor tensor() {
    QuantType quantType =
        type.quantType()
            .orElseThrow(
                () ->
                    problem(
                        "type "
                            + type
                            + " is not supported; supported: "
                            + Arrays.stream(QuantType.values())
                                .map(QuantType::name)
                                .collect(Collectors.joining(", "))));
    return new Tensor(name, quantType, rows(), cols(), data);
  }

  FormatException problem(String problem) {
    return FormatException.at(file, "tensor " + name, problem);
  }

  /** For example {@code blk.0.attn_q.weight Q8_0 [64, 64]}, innermost dimension first. */
  @Override
  public String toString() {
    return name + " " + type + " " + Arrays.toString(shape);
  }
}
