// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "half.h"

/** GGUF type 2: 32 numbers of 4 bits. value = scale * (nibble - 8) */
struct BlockQ4_0 {
  uint16_t scale;       // F16
  uint8_t nibbles[16];  // byte i: element i low, element i + 16 high
};
static_assert(sizeof(BlockQ4_0) == 18, "");

TK_BLOCK void tk_decode(const BlockQ4_0& block, float* out) {
  const float scale = tk_f16_to_float(block.scale);
  for (int i = 0; i < 16; i++) {
    out[i] = scale * static_cast<float>((block.nibbles[i] & 15) - 8);
    out[i + 16] = scale * static_cast<float>((block.nibbles[i] >> 4) - 8);
  }
}
