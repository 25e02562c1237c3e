// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.random.RandomGenerator;

/** Random tensors of every type, off the heap: any bytes are valid blocks but for their scales. */
public final class RandomTensors {
  private final RandomGenerator random;
  private final Arena arena;

  public RandomTensors(RandomGenerator random, Arena arena) {
    this.random = random;
    this.arena = arena;
  }

  /** Values of about unit size over the root of {@code cols}, as trained weights have. */
  public Tensor matrix(String name, QuantType type, int rows, int cols) {
    MemorySegment data = arena.allocate(type.bytes((long) rows * cols), 64);
    double size = 1 / Math.sqrt(cols);
    for (long block = 0; block < data.byteSize(); block += type.blockBytes()) {
      for (int i = 0; i < type.blockBytes(); i++) {
        data.set(JAVA_BYTE, block + i, (byte) random.nextInt());
      }
      switch (type) {
        case F32 -> data.set(JAVA_FLOAT_UNALIGNED, block, (float) (random.nextGaussian() * size));
        case F16 -> half(data, block, random.nextGaussian() * size);
        case BF16 ->
            data.set(
                JAVA_SHORT_UNALIGNED,
                block,
                (short)
                    (Float.floatToRawIntBits((float) (random.nextGaussian() * size)) >>> 16));
        case Q8_0 -> half(data, block, size / 64 * random.nextDouble());
        case Q4_0 -> half(data, block, size / 4 * random.nextDouble());
        case Q4_K, Q5_K -> {
          // Q5_K counts twice as far; with as large steps its mean would be far above zero.
          double step = type == QuantType.Q4_K ? size / 256 : size / 512;
          half(data, block, step * random.nextDouble());
          half(data, block + 2, size / 32 * random.nextDouble());
        }
        case Q6_K -> half(data, block + 208, size / 2048 * random.nextDouble());
      }
    }
    return new Tensor(name, type, rows, cols, data);
  }

  /** Values around one, as norms have. */
  public Tensor vector(String name, int length) {
    MemorySegment data = arena.allocate(4L * length, 64);
    for (int i = 0; i < length; i++) {
      data.setAtIndex(
          JAVA_FLOAT_UNALIGNED, i, (float) (1 + random.nextGaussian() / 4));
    }
    return new Tensor(name, QuantType.F32, 1, length, data);
  }

  private static void half(MemorySegment data, long at, double value) {
    data.set(JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16((float) value));
  }
}
