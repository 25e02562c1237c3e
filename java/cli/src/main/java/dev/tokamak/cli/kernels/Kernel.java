// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.CacheShape;
import dev.tokamak.backend.Operation;
import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Value;
import java.util.Locale;
import java.util.Optional;

/**
 * One row of the bench: an operation on operands of one type and shape.
 *
 * @param operation its name
 * @param type of the weights or of the cache; F32 where there is neither
 * @param shape the numbers that tell it from other rows, such as {@code 1x2048x8192}
 * @param rows tokens in a step
 * @param context tokens of each sequence
 * @param width of the widest value
 * @param matrix weights that each repetition has its own copy of
 * @param cache of one layer, if it is used; each repetition has a layer of its own
 * @param check how the result is compared with the reference's
 * @param recipe records it
 */
public record Kernel(
    String operation,
    QuantType type,
    String shape,
    int rows,
    int context,
    int width,
    Optional<Matrix> matrix,
    Optional<CacheShape> cache,
    Check check,
    Recipe recipe) {

  /** Up to so many rows are sequences that decode together; more are a piece of one prompt. */
  static final int MOST_SEQUENCES = 16;

  /**
   * Weights.
   *
   * @param packed whether the backend loads them, as it does the matrices of products
   */
  record Matrix(QuantType type, long rows, long cols, boolean packed) {
    long bytes() {
      return rows * type.bytes(cols);
    }
  }

  /** Which rows the reference computes. Each way finds a mistake in any value of any such row. */
  enum Check {
    /** All: it costs little. */
    EVERY_ROW,
    /** The step has four different rows, each many times and in random order: these four. */
    FOUR_TOKENS,
    /** The first, the last, and two between: each takes the reference long. */
    FOUR_ROWS
  }

  /** Records an operation, so many times over. */
  @FunctionalInterface
  interface Recipe {
    /** Returns the value that holds the result. */
    Value record(Recording recording, int repeats);
  }

  /** For example {@code matmul/q4_0/1x2048x8192}. */
  public String name() {
    return operation + "/" + typeName() + "/" + shape;
  }

  /** As in the name. */
  public String typeName() {
    return type.name().toLowerCase(Locale.ROOT);
  }

  /** Sequences that the step's rows belong to. */
  int sequences() {
    return rows <= MOST_SEQUENCES ? rows : 1;
  }

  int sequenceOf(int row) {
    return rows <= MOST_SEQUENCES ? row : 0;
  }

  int positionOf(int row) {
    return rows <= MOST_SEQUENCES ? context - 1 : context - rows + row;
  }

  /** Cache pages of one sequence. */
  int pages() {
    return (context + CacheShape.PAGE_TOKENS - 1) / CacheShape.PAGE_TOKENS;
  }

  /** Bytes of cache that one repetition reads. */
  long cacheBytes() {
    return cache.map(c -> sequences() * (long) pages() * CacheShape.PAGE_TOKENS * c.bytesPerToken())
        .orElse(0L);
  }

  /** Whether an operation of a program is the one that is measured. */
  boolean measures(Operation recorded) {
    return recorded.name().equals(operation);
  }

  /**
   * Error allowed, as a share of the largest value. What a type's kernels round explains it: products
   * of 8-bit or BF16 activations (CPU), or of bfloat16 parts with 16 bits (CUDA); a cache of 16 or 8
   * bits, which two backends may round differently by a step.
   */
  double allowed() {
    return switch (operation) {
      case "select", "add" -> 0;
      case "matmul" ->
          switch (type) {
            case F32, F16 -> 1e-4;
            case BF16 -> 5e-3;
            case Q8_0, Q4_0, Q4_K, Q5_K, Q6_K -> 1.5e-2;
          };
      case "attention", "store" ->
          switch (type) {
            case F32 -> 1e-4;
            case F16 -> 1e-2;
            default -> 3e-2;
          };
      default -> 1e-5;
    };
  }
}
