// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "half.h"

/** GGUF type 14: 256 numbers of 6 bits, a signed scale for each 16.
 *  value = scale * scales[i / 16] * (number - 32) */
struct BlockQ6_K {
  uint8_t nibbles[128];  // 64 bytes for each half of the block: byte i has elements i (low) and
                         // i + 64 (high) of the half
  uint8_t upper[64];     // 32 bytes for each half: byte i has, from bit 0 up, the upper two bits
                         // of elements i, i + 32, i + 64, i + 96 of the half
  int8_t scales[16];
  uint16_t scale;  // F16, of the scales
};
static_assert(sizeof(BlockQ6_K) == 210, "");

/** Element i (0..255) as stored: 0..63. */
TK_BLOCK int tk_number(const BlockQ6_K& block, int i) {
  const int half = i / 128, j = i % 128;
  const int byte = block.nibbles[64 * half + j % 64];
  const int nibble = j < 64 ? byte & 15 : byte >> 4;
  return nibble | (block.upper[32 * half + j % 32] >> (j / 32 * 2) & 3) << 4;
}

TK_BLOCK void tk_decode(const BlockQ6_K& block, float* out) {
  const float scale = tk_f16_to_float(block.scale);
  for (int i = 0; i < 256; i++) {
    const float part = scale * static_cast<float>(block.scales[i / 16]);
    out[i] = part * static_cast<float>(tk_number(block, i) - 32);
  }
}
