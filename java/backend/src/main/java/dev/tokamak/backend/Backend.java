// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import dev.tokamak.backend.Roofline.Arithmetic;
import dev.tokamak.backend.train.TrainingProgram;
import dev.tokamak.backend.train.TrainingReplay;
import dev.tokamak.backend.train.TrainingShape;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * A way to run programs. It owns what all its programs share (a thread team, a device); closing it
 * frees that. Weights and replays made by it are closed before it.
 */
public interface Backend extends AutoCloseable {
  /** {@code reference}, {@code cpu}, {@code cuda}. */
  String name();

  /**
   * What the bits of its results depend on: {@code reference}, {@code cpu/avx512vnni}, {@code
   * cuda/sm_90}.
   */
  String variant();

  /** What it runs on, in a few words, such as {@code avx512vnni, 2 threads}. */
  String description();

  /**
   * Makes matrices ready for the matmuls of any number of programs, once. The tensors' own memory
   * must stay valid for as long as programs use them, since embeddings and norms read it in place.
   *
   * @param matrices weights of matmuls, each named once
   * @param progress told of bytes as they are done
   */
  Weights load(List<Tensor> matrices, Progress progress);

  /**
   * Prepares a program to be replayed, with all memory that it needs.
   *
   * @param weights from {@link #load} of this backend; they hold each matrix of the program
   * @throws BackendException if there is not enough memory, or an operation cannot be done
   */
  Replay prepare(Program program, Weights weights, Limits limits);

  /**
   * Prepares a training program, with all memory that it needs; weights are zero at first.
   *
   * @throws BackendException if there is not enough memory, or it cannot train
   */
  default TrainingReplay prepare(TrainingProgram program, TrainingShape shape) {
    throw new BackendException("backend " + name() + ": it cannot train");
  }

  /** Measures what its machine can do at best, in a second or two; empty: it has no measure. */
  default Optional<Roofline> roofline() {
    return Optional.empty();
  }

  /** The arithmetic of its products with weights of a type. */
  default Arithmetic arithmetic(QuantType weights) {
    return Arithmetic.FLOAT32;
  }

  /** The arithmetic that its kernel for an operation, with such a cache, spends its time in. */
  default Arithmetic arithmetic(Operation operation, CacheShape cache) {
    return operation instanceof Operation.MatMul product
        ? arithmetic(product.weight().type())
        : Arithmetic.FLOAT32;
  }

  /** Bytes that programs can still have, where they are not the machine's main memory. */
  default OptionalLong freeBytes() {
    return OptionalLong.empty();
  }

  /** Whether its device is played by software: its times then tell nothing of a real one. */
  default boolean emulated() {
    return false;
  }

  /**
   * Seconds that the maker's own library takes for the product of a step's rows [rows, cols] and a
   * dense matrix [outDim, cols] of a type: the yardstick of benchmarks (cuBLAS on {@code cuda}).
   * Empty: the library is not installed, or has no such product.
   */
  default OptionalDouble yardstickSeconds(QuantType type, int rows, long cols, long outDim) {
    return OptionalDouble.empty();
  }

  /** Why {@link #yardstickSeconds} was empty; empty: it was not, or there is no such library. */
  default Optional<String> yardstickObstacle() {
    return Optional.empty();
  }

  @Override
  void close();

  /** Matrices made ready for one backend. Closing frees them. */
  interface Weights extends AutoCloseable {
    @Override
    void close();
  }

  /** Hears how far a long piece of work is. */
  @FunctionalInterface
  interface Progress {
    void at(long doneBytes, long totalBytes);

    /** Nobody listens. */
    static Progress none() {
      return (done, total) -> {};
    }
  }
}
