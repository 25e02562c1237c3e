// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "half.h"

/** GGUF type 12: 256 numbers of 4 bits in 8 parts of 32, each with a scale and a minimum of
 *  6 bits. value = scale * scales[part] * nibble - min * mins[part] */
struct BlockQ4_K {
  uint16_t scale;       // F16, of the scales
  uint16_t min;         // F16, of the minimums
  uint8_t scales[12];   // see tk_scale_and_min
  uint8_t nibbles[128]; // 32 bytes for two parts: byte i has element i of the even part low, of
                        // the odd part high
};
static_assert(sizeof(BlockQ4_K) == 144, "");

/** The 6-bit scale and minimum of a part of Q4_K and Q5_K. Parts 0..3 have theirs in the low
 *  6 bits of bytes part and part + 4; of parts 4..7 the low 4 bits are the nibbles of byte
 *  part + 4, and the upper 2 are the upper bits of bytes part - 4 and part. */
TK_BLOCK void tk_scale_and_min(const uint8_t* scales, int part, uint8_t* scale, uint8_t* min) {
  if (part < 4) {
    *scale = scales[part] & 63;
    *min = scales[part + 4] & 63;
  } else {
    *scale = static_cast<uint8_t>((scales[part + 4] & 15) | (scales[part - 4] >> 6 << 4));
    *min = static_cast<uint8_t>((scales[part + 4] >> 4) | (scales[part] >> 6 << 4));
  }
}

TK_BLOCK void tk_decode(const BlockQ4_K& block, float* out) {
  for (int part = 0; part < 8; part++) {
    uint8_t scale_bits, min_bits;
    tk_scale_and_min(block.scales, part, &scale_bits, &min_bits);
    const float scale = tk_f16_to_float(block.scale) * scale_bits;
    const float min = tk_f16_to_float(block.min) * min_bits;
    const uint8_t* nibbles = block.nibbles + part / 2 * 32;
    for (int i = 0; i < 32; i++) {
      const int nibble = part % 2 ? nibbles[i] >> 4 : nibbles[i] & 15;
      out[32 * part + i] = scale * static_cast<float>(nibble) - min;
    }
  }
}
