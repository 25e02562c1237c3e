// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;

/**
 * Float32 to the types that models are written in, as ggml rounds them: the inverse of {@link
 * Decode}. Floats go to the nearest value, ties to even.
 */
public final class Encode {
  private Encode() {}

  /**
   * Encodes whole blocks.
   *
   * @param from finite values; {@code from[0 .. count)} are read
   * @param count a multiple of the type's block
   * @param at where the first block goes, in bytes
   * @return false if a value, or a block's scale, is too large for a half-precision number
   * @throws IllegalArgumentException for types that only others write
   */
  public static boolean encode(
      QuantType type, float[] from, int count, MemorySegment to, long at) {
    boolean fits = true;
    int step = type.blockElements();
    for (int i = 0; i < count; i += step) {
      long block = at + (long) (i / step) * type.blockBytes();
      switch (type) {
        case F32 -> to.set(JAVA_FLOAT_UNALIGNED, block, from[i]);
        case F16 -> fits &= half(from[i], to, block);
        case BF16 ->
            to.set(
                JAVA_SHORT_UNALIGNED,
                block,
                (short) (Float.floatToRawIntBits(TrainingArrays.bf16(from[i])) >>> 16));
        case Q8_0 -> fits &= q8(from, i, to, block);
        case Q4_0 -> fits &= q4(from, i, to, block);
        case Q4_K, Q5_K, Q6_K ->
            throw new IllegalArgumentException(
                type + ": expected F32, F16, BF16, Q8_0 or Q4_0");
      }
    }
    return fits;
  }

  /** The scale brings the largest to 127; values are rounded half away from zero. */
  private static boolean q8(float[] from, int at, MemorySegment to, long block) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      largest = Math.max(largest, Math.abs(from[at + i]));
    }
    float scale = largest / 127;
    float inverse = scale == 0 ? 0 : 1 / scale;
    for (int i = 0; i < 32; i++) {
      float scaled = from[at + i] * inverse;
      int rounded = (int) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
      to.set(JAVA_BYTE, block + 2 + i, (byte) rounded);
    }
    return half(scale, to, block);
  }

  /** The scale brings the value of the largest size to −8; the others are rounded half up. */
  private static boolean q4(float[] from, int at, MemorySegment to, long block) {
    float largest = 0;
    for (int i = 0; i < 32; i++) {
      if (Math.abs(from[at + i]) > Math.abs(largest)) {
        largest = from[at + i];
      }
    }
    float scale = largest / -8;
    float inverse = scale == 0 ? 0 : 1 / scale;
    for (int i = 0; i < 16; i++) {
      int low = Math.min(15, (int) (from[at + i] * inverse + 8.5f));
      int high = Math.min(15, (int) (from[at + 16 + i] * inverse + 8.5f));
      to.set(JAVA_BYTE, block + 2 + i, (byte) (low | high << 4));
    }
    return half(scale, to, block);
  }

  private static boolean half(float value, MemorySegment to, long at) {
    short half = Float.floatToFloat16(value);
    to.set(JAVA_SHORT_UNALIGNED, at, half);
    return Float.isFinite(Float.float16ToFloat(half));
  }
}
