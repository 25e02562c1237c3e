// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "q4_k.h"

/** GGUF type 13: Q4_K with a fifth bit. value = scale * scales[part] * number - min * mins[part] */
struct BlockQ5_K {
  uint16_t scale;        // F16, of the scales
  uint16_t min;          // F16, of the minimums
  uint8_t scales[12];    // see tk_scale_and_min
  uint8_t fifth[32];     // byte i, bit p: the fifth bit of element i of part p
  uint8_t nibbles[128];  // as in Q4_K
};
static_assert(sizeof(BlockQ5_K) == 176, "");

TK_BLOCK void tk_decode(const BlockQ5_K& block, float* out) {
  for (int part = 0; part < 8; part++) {
    uint8_t scale_bits, min_bits;
    tk_scale_and_min(block.scales, part, &scale_bits, &min_bits);
    const float scale = tk_f16_to_float(block.scale) * scale_bits;
    const float min = tk_f16_to_float(block.min) * min_bits;
    const uint8_t* nibbles = block.nibbles + part / 2 * 32;
    for (int i = 0; i < 32; i++) {
      const int nibble = part % 2 ? nibbles[i] >> 4 : nibbles[i] & 15;
      const int number = nibble | (block.fifth[i] >> part & 1) << 4;
      out[32 * part + i] = scale * static_cast<float>(number) - min;
    }
  }
}
