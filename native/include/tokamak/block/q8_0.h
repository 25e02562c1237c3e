// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "half.h"

/** GGUF type 8: 32 signed bytes and their scale. value = scale * byte */
struct BlockQ8_0 {
  uint16_t scale;  // F16
  int8_t bytes[32];
};
static_assert(sizeof(BlockQ8_0) == 34, "");

TK_BLOCK void tk_decode(const BlockQ8_0& block, float* out) {
  const float scale = tk_f16_to_float(block.scale);
  for (int i = 0; i < 32; i++) out[i] = scale * static_cast<float>(block.bytes[i]);
}
