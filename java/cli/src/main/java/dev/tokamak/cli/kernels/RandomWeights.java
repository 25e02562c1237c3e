// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.cli.kernels;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;
import java.util.random.RandomGenerator;

/** Random weights of every type: any bytes are valid blocks, but for their scales. */
final class RandomWeights {
  private static final double UNIFORM = Math.sqrt(3); // half the width that makes a deviation of 1

  private RandomWeights() {}

  /**
   * Fills whole blocks with values around zero.
   *
   * @param size of the values: their deviation, nearly
   */
  static void fill(MemorySegment data, QuantType type, double size, RandomGenerator random) {
    switch (type) {
      case F32 -> {
        for (long at = 0; at < data.byteSize(); at += 4) {
          data.set(JAVA_FLOAT_UNALIGNED, at, uniform(random, size));
        }
      }
      case F16 -> {
        for (long at = 0; at < data.byteSize(); at += 2) {
          data.set(JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16(uniform(random, size)));
        }
      }
      case BF16 -> {
        for (long at = 0; at < data.byteSize(); at += 2) {
          int bits = Float.floatToRawIntBits(uniform(random, size));
          data.set(JAVA_SHORT_UNALIGNED, at, (short) (bits >>> 16));
        }
      }
      // Scales such that the values of a block, which are spread evenly, have this deviation.
      case Q8_0 -> blocks(data, type, random, 0, size / 74, -1, 0);
      case Q4_0 -> blocks(data, type, random, 0, size / 4.6, -1, 0);
      // The factors of the groups are 6 bits, 31.5 in the middle; the minimums move the middle of
      // 0 to 15, or 0 to 31, to zero.
      case Q4_K -> blocks(data, type, random, 0, size / 240, 2, size / 32);
      case Q5_K -> blocks(data, type, random, 0, size / 480, 2, size / 31);
      // -32 to 31, times a factor of -128 to 127
      case Q6_K -> blocks(data, type, random, 208, size / 1370, -1, 0);
    }
  }

  private static float uniform(RandomGenerator random, double size) {
    return (float) (random.nextInt() * 0x1p-31 * UNIFORM * size);
  }

  /** Random bytes, then each block's one or two half-precision scales, around these. */
  private static void blocks(
      MemorySegment data,
      QuantType type,
      RandomGenerator random,
      int scaleAt,
      double scale,
      int minimumAt,
      double minimum) {
    long words = data.byteSize() / 8 * 8;
    for (long at = 0; at < words; at += 8) {
      data.set(JAVA_LONG_UNALIGNED, at, random.nextLong());
    }
    for (long at = words; at < data.byteSize(); at++) {
      data.set(JAVA_BYTE, at, (byte) random.nextInt());
    }
    for (long block = 0; block < data.byteSize(); block += type.blockBytes()) {
      half(data, block + scaleAt, scale * (0.9 + 0.2 * random.nextDouble()));
      if (minimumAt >= 0) {
        half(data, block + minimumAt, minimum * (0.9 + 0.2 * random.nextDouble()));
      }
    }
  }

  private static void half(MemorySegment data, long at, double value) {
    data.set(JAVA_SHORT_UNALIGNED, at, Float.floatToFloat16((float) value));
  }
}
