// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A view of a constant matrix, in the layout of a GGUF file. It never frees: its memory belongs to
 * the model or session that made it.
 *
 * @param name as in the file, for messages
 * @param rows number of rows; 1 for a vector
 * @param cols values in a row, contiguous; whole blocks of the type
 * @param data exactly the tensor's bytes, off the Java heap
 */
public record Tensor(String name, QuantType type, long rows, long cols, MemorySegment data) {
  public Tensor {
    if (rows <= 0 || cols <= 0) {
      throw new BackendException("tensor " + name + ": shape [" + rows + ", " + cols + "] is empty");
    }
    if (cols % type.blockElements() != 0) {
      throw new BackendException(
          "tensor " + name + ": row of " + cols + " values is not whole blocks of "
              + type.blockElements() + " (" + type + ")");
    }
    long bytes = Math.multiplyExact(rows, type.bytes(cols));
    if (data.byteSize() != bytes) {
      throw new BackendException(
          "tensor " + name + ": bytes=" + data.byteSize() + ", expected " + bytes);
    }
  }

  /**
   * A tensor with no data behind it, for a program that is translated and not run: reading it
   * throws IllegalStateException.
   */
  @SuppressWarnings("restricted") // the arena is closed: nothing can be read through the segment
  public static Tensor ofShape(String name, QuantType type, long rows, long cols) {
    try (Arena arena = Arena.ofConfined()) {
      long bytes = Math.multiplyExact(rows, type.bytes(cols));
      return new Tensor(
          name, type, rows, cols, MemorySegment.NULL.reinterpret(bytes, arena, null));
    }
  }

  /** Bytes of one row. */
  public long rowBytes() {
    return type.bytes(cols);
  }

  /** Row {@code row} as a view. */
  public MemorySegment row(long row) {
    return data.asSlice(row * rowBytes(), rowBytes());
  }

  /** Element {@code index} of a float32 tensor. */
  public float floatAt(long index) {
    return data.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, index);
  }

  /** For example {@code blk.0.attn_q.weight Q8_0 [64, 64]}. */
  @Override
  public String toString() {
    return name + " " + type + " [" + rows + ", " + cols + "]";
  }
}
