// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import dev.tokamak.backend.Backend;
import dev.tokamak.backend.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * Copies of a random matrix, each in memory of its own where the operation reads it, so that a
 * repetition does not find in the processor's caches what the one before it read.
 */
final class Matrices implements AutoCloseable {
  private final Backend backend;
  private final Optional<Kernel.Matrix> matrix;
  private final Arena arena = Arena.ofShared();
  private final List<Tensor> copies = new ArrayList<>();
  private Backend.Weights weights;

  /** One copy, or none where there is no matrix. */
  Matrices(Backend backend, Optional<Kernel.Matrix> matrix, RandomGenerator random) {
    this.backend = backend;
    this.matrix = matrix;
    try {
      if (matrix.isPresent()) {
        Kernel.Matrix m = matrix.get();
        MemorySegment data = arena.allocate(m.bytes(), 64);
        RandomWeights.fill(data, m.type(), 1 / Math.sqrt(m.cols()), random);
        addCopy(m, data);
      }
      weights = load();
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  private void addCopy(Kernel.Matrix m, MemorySegment data) {
    copies.add(new Tensor("weight " + copies.size(), m.type(), m.rows(), m.cols(), data));
  }

  private Backend.Weights load() {
    return backend.load(
        matrix.filter(Kernel.Matrix::packed).isPresent() ? copies : List.of(),
        Backend.Progress.none());
  }

  /** Makes so many copies, if there are fewer. No replay may use the weights loaded before. */
  void grow(int count) {
    if (matrix.isEmpty() || copies.size() >= count) {
      return;
    }
    MemorySegment data = copies.getFirst().data();
    while (copies.size() < count) {
      // What the backend loads it copies itself.
      boolean shared = matrix.get().packed();
      addCopy(
          matrix.get(),
          shared ? data : arena.allocate(data.byteSize(), 64).copyFrom(data));
    }
    weights.close();
    weights = load();
  }

  Tensor copy(int number) {
    return copies.get(number);
  }

  /** As the backend has loaded them. */
  Backend.Weights weights() {
    return weights;
  }

  @Override
  public void close() {
    weights.close();
    arena.close();
  }
}
