// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import dev.tokamak.backend.QuantType;
import java.lang.foreign.MemorySegment;

/**
 * Weights of each type to float32, straight from the block layouts of the GGUF types (ggml's
 * {@code ggml-common.h} defines them). All are little-endian.
 */
public final class Decode {
  private Decode() {}

  /**
   * Decodes whole blocks.
   *
   * @param from starts at a block; {@code count} elements are read
   * @param count a multiple of the type's block
   * @param to receives {@code to[0 .. count)}
   */
  public static void decode(QuantType type, MemorySegment from, int count, float[] to) {
    int step = type.blockElements();
    for (int i = 0; i < count; i += step) {
      long block = (long) (i / step) * type.blockBytes();
      switch (type) {
        case F32 -> to[i] = from.get(JAVA_FLOAT_UNALIGNED, block);
        case F16 -> to[i] = half(from, block);
        case BF16 ->
            to[i] = Float.intBitsToFloat(from.get(JAVA_SHORT_UNALIGNED, block) << 16);
        case Q8_0 -> q8(from, block, to, i);
        case Q4_0 -> q4(from, block, to, i);
        case Q4_K -> q4k(from, block, to, i);
        case Q5_K -> q5k(from, block, to, i);
        case Q6_K -> q6k(from, block, to, i);
      }
    }
  }

  /** [scale f16][32 × i8]: value = scale · q. */
  private static void q8(MemorySegment from, long block, float[] to, int at) {
    float scale = half(from, block);
    for (int i = 0; i < 32; i++) {
      to[at + i] = scale * from.get(JAVA_BYTE, block + 2 + i);
    }
  }

  /** [scale f16][16 bytes]: low nibbles are values 0–15, high ones 16–31; value = scale · (q − 8). */
  private static void q4(MemorySegment from, long block, float[] to, int at) {
    float scale = half(from, block);
    for (int i = 0; i < 16; i++) {
      int pair = unsigned(from, block + 2 + i);
      to[at + i] = scale * ((pair & 15) - 8);
      to[at + 16 + i] = scale * ((pair >> 4) - 8);
    }
  }

  /**
   * [scale f16][min f16][12 bytes: 8 × (scale, min) of 6 bits][128 bytes of nibbles]; 8 sub-blocks
   * of 32; each 32 bytes hold sub-block 2j in the low nibbles, 2j + 1 in the high ones;
   * value = scale · subScale · q − min · subMin.
   */
  private static void q4k(MemorySegment from, long block, float[] to, int at) {
    float scale = half(from, block);
    float min = half(from, block + 2);
    for (int sub = 0; sub < 8; sub++) {
      float subScale = scale * subScale(from, block + 4, sub);
      float subMin = min * subMin(from, block + 4, sub);
      for (int i = 0; i < 32; i++) {
        int pair = unsigned(from, block + 16 + sub / 2 * 32 + i);
        int q = sub % 2 == 0 ? pair & 15 : pair >> 4;
        to[at + sub * 32 + i] = subScale * q - subMin;
      }
    }
  }

  /** As Q4_K with 32 bytes of fifth bits before the nibbles: bit sub of byte i is for value i. */
  private static void q5k(MemorySegment from, long block, float[] to, int at) {
    float scale = half(from, block);
    float min = half(from, block + 2);
    for (int sub = 0; sub < 8; sub++) {
      float subScale = scale * subScale(from, block + 4, sub);
      float subMin = min * subMin(from, block + 4, sub);
      for (int i = 0; i < 32; i++) {
        int pair = unsigned(from, block + 48 + sub / 2 * 32 + i);
        int fifth = unsigned(from, block + 16 + i) >> sub & 1;
        int q = (sub % 2 == 0 ? pair & 15 : pair >> 4) | fifth << 4;
        to[at + sub * 32 + i] = subScale * q - subMin;
      }
    }
  }

  /**
   * [128 bytes of low nibbles][64 bytes of high pairs][16 × i8 scales][scale f16]. Each half of 128
   * values has 64 bytes of nibbles (values 0–31 and 32–63 low, 64–95 and 96–127 high) and 32 bytes
   * of pairs (two bits for each quarter); value = scale · subScale · (q − 32).
   */
  private static void q6k(MemorySegment from, long block, float[] to, int at) {
    float scale = half(from, block + 208);
    for (int half = 0; half < 2; half++) {
      for (int quarter = 0; quarter < 4; quarter++) {
        for (int i = 0; i < 32; i++) {
          int pair = unsigned(from, block + half * 64 + quarter % 2 * 32 + i);
          int low = quarter < 2 ? pair & 15 : pair >> 4;
          int high = unsigned(from, block + 128 + half * 32 + i) >> quarter * 2 & 3;
          int value = half * 128 + quarter * 32 + i;
          int subScale = from.get(JAVA_BYTE, block + 192 + value / 16);
          to[at + value] = scale * subScale * ((low | high << 4) - 32);
        }
      }
    }
  }

  /** Sub-block scales and mins of 6 bits: four of each whole, the rest in nibbles and top bits. */
  private static int subScale(MemorySegment from, long at, int sub) {
    return sub < 4
        ? unsigned(from, at + sub) & 63
        : unsigned(from, at + sub + 4) & 15 | unsigned(from, at + sub - 4) >> 6 << 4;
  }

  private static int subMin(MemorySegment from, long at, int sub) {
    return sub < 4
        ? unsigned(from, at + sub + 4) & 63
        : unsigned(from, at + sub + 4) >> 4 | unsigned(from, at + sub) >> 6 << 4;
  }

  private static float half(MemorySegment from, long at) {
    return Float.float16ToFloat(from.get(JAVA_SHORT_UNALIGNED, at));
  }

  private static int unsigned(MemorySegment from, long at) {
    return Byte.toUnsignedInt(from.get(JAVA_BYTE, at));
  }
}
