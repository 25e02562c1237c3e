// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.tokamak.backend.QuantType;
import dev.tokamak.backend.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;

/** What the programs of one kernel read, the same for each of them: random, made when asked for. */
final class Operands implements AutoCloseable {
  /** Rows of every table; the keys and values of a context are made of so many. */
  static final int TOKENS = 1024;

  private final Kernel kernel;
  private final Matrices matrices;
  private final RandomGenerator random;
  private final Arena arena = Arena.ofShared();
  private final Map<String, Tensor> made = new HashMap<>();

  Operands(Kernel kernel, Matrices matrices, RandomGenerator random) {
    this.kernel = kernel;
    this.matrices = matrices;
    this.random = random;
  }

  Tensor matrix(int repeat) {
    return matrices.copy(repeat);
  }

  /** Values of about unit size. */
  Tensor input(int number, int width) {
    return made.computeIfAbsent("input " + number, name -> random(name, TOKENS, width));
  }

  /** Values between 0 and 2: a norm's weights are about 1. */
  Tensor vector(int length) {
    return made.computeIfAbsent(
        "vector",
        name -> {
          Tensor vector = random(name, 1, length);
          for (int i = 0; i < length; i++) {
            float value = vector.data().getAtIndex(JAVA_FLOAT, i);
            vector.data().setAtIndex(JAVA_FLOAT, i, 1 + value / 2);
          }
          return vector;
        });
  }

  /** The angle of pair i at position p is p / 10000^(2i/headDim) (Su et al. 2021). */
  Tensor angles(int headDim) {
    return made.computeIfAbsent(
        "angles",
        name -> {
          Tensor table = random(name, kernel.context(), headDim);
          int half = headDim / 2;
          for (int position = 0; position < kernel.context(); position++) {
            for (int i = 0; i < half; i++) {
              double angle = position / Math.pow(10000, 2.0 * i / headDim);
              long at = (long) position * headDim + i;
              table.data().setAtIndex(JAVA_FLOAT, at, (float) Math.cos(angle));
              table.data().setAtIndex(JAVA_FLOAT, at + half, (float) Math.sin(angle));
            }
          }
          return table;
        });
  }

  private Tensor random(String name, int rows, int cols) {
    MemorySegment data = arena.allocate(QuantType.F32.bytes((long) rows * cols), 64);
    RandomWeights.fill(data, QuantType.F32, 1, random);
    return new Tensor(name, QuantType.F32, rows, cols, data);
  }

  @Override
  public void close() {
    arena.close();
  }
}
