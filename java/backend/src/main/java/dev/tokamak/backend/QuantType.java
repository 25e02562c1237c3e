// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import java.util.Optional;

/**
 * The types of weights and caches that the engine computes with, one row each. The same rows stand
 * in {@code native/include/tokamak/quant.def}; a test compares them. Numbers and block layouts are
 * those of the GGUF specification (ggml, {@code docs/gguf.md}).
 */
public enum QuantType {
  F32(0, 1, 4),
  F16(1, 1, 2),
  Q4_0(2, 32, 18),
  Q8_0(8, 32, 34),
  Q4_K(12, 256, 144),
  Q5_K(13, 256, 176),
  Q6_K(14, 256, 210),
  BF16(30, 1, 2);

  private final int ggufId;
  private final int blockElements;
  private final int blockBytes;

  QuantType(int ggufId, int blockElements, int blockBytes) {
    this.ggufId = ggufId;
    this.blockElements = blockElements;
    this.blockBytes = blockBytes;
  }

  /** The type's number in a GGUF file and in the native ABI. */
  public int ggufId() {
    return ggufId;
  }

  /** Elements that share one block, and so one scale; rows are whole blocks. */
  public int blockElements() {
    return blockElements;
  }

  /** Bytes of one block. */
  public int blockBytes() {
    return blockBytes;
  }

  /**
   * Bytes of so many elements.
   *
   * @throws IllegalArgumentException if they are not whole blocks
   * @throws ArithmeticException if the result does not fit in a long
   */
  public long bytes(long elements) {
    if (elements < 0 || elements % blockElements != 0) {
      throw new IllegalArgumentException(
          this + ": elements=" + elements + " is not a multiple of " + blockElements);
    }
    return Math.multiplyExact(elements / blockElements, (long) blockBytes);
  }

  /** The type with this number in a GGUF file, if the engine has it. */
  public static Optional<QuantType> ofGguf(int id) {
    for (QuantType type : values()) {
      if (type.ggufId == id) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
