// SPDX-License-Identifier: Apache-2.0
package dev.tokamak.backend.reference;

import dev.tokamak.backend.BackendException;
import dev.tokamak.backend.CacheShape;

/**
 * Keys and values as float32 arrays [layers][pages · PAGE_TOKENS, width], rounded to the cache's
 * type when they are stored, so that they are the values a real cache of that type gives back.
 */
final class ReferenceCache {
  private final CacheShape shape;
  private final float[][] keys;
  private final float[][] values;

  ReferenceCache(CacheShape shape, int pages) {
    this.shape = shape;
    long floats = (long) pages * CacheShape.PAGE_TOKENS * shape.width();
    if (floats > Integer.MAX_VALUE - 8) {
      throw new BackendException(
          "cache: " + floats + " values in a layer are more than a Java array holds; lower --ctx");
    }
    keys = new float[shape.layers()][(int) floats];
    values = new float[shape.layers()][(int) floats];
  }

  float[] keys(int layer) {
    return keys[layer];
  }

  float[] values(int layer) {
    return values[layer];
  }

  /** Index of the first value of a slot: page · PAGE_TOKENS + offset. */
  int at(int page, int offset) {
    return (page * CacheShape.PAGE_TOKENS + offset) * shape.width();
  }

  void store(int layer, int at, float[] k, float[] v, int from) {
    round(k, from, keys[layer], at);
    round(v, from, values[layer], at);
  }

  private void round(float[] from, int start, float[] to, int at) {
    for (int i = 0; i < shape.width(); i++) {
      float x = from[start + i];
      to[at + i] =
          switch (shape.type()) {
            case F16 -> Float.float16ToFloat(Float.floatToFloat16(x));
            case BF16 -> bfloat16(x);
            default -> x;
          };
    }
    switch (shape.type()) {
      case Q8_0 -> roundToBlocks(to, at);
      default -> {}
    }
  }

  /** Rounds to the nearest bfloat16, ties to even; NaN stays NaN. */
  static float bfloat16(float x) {
    int bits = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return x;
    }
    bits += 0x7fff + (bits >>> 16 & 1);
    return Float.intBitsToFloat(bits & 0xffff0000);
  }

  /** Q8_0: 32 values share one half-precision scale = largest magnitude / 127. */
  private void roundToBlocks(float[] x, int at) {
    for (int block = at; block < at + shape.width(); block += 32) {
      float largest = 0;
      for (int i = block; i < block + 32; i++) {
        largest = Math.max(largest, Math.abs(x[i]));
      }
      float scale = Float.float16ToFloat(Float.floatToFloat16(largest / 127));
      for (int i = block; i < block + 32; i++) {
        x[i] = scale == 0 ? 0 : (float) Math.rint(x[i] / scale) * scale;
      }
    }
  }
}
