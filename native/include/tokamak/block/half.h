// SPDX-License-Identifier: Apache-2.0
//
// F16 (IEEE 754 binary16) and BF16 (the upper half of a float32), as bits.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define TK_BLOCK static inline __host__ __device__
#else
#define TK_BLOCK static inline  // internal: code for one instruction set stays in its object file
#endif

TK_BLOCK float tk_float_of_bits(uint32_t bits) {
  union {
    uint32_t bits;
    float value;
  } both = {bits};
  return both.value;
}

TK_BLOCK uint32_t tk_bits_of_float(float value) {
  union {
    float value;
    uint32_t bits;
  } both = {value};
  return both.bits;
}

TK_BLOCK float tk_f16_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  if (magnitude >= 0x7c00u << 13) return tk_float_of_bits(sign | magnitude | 0x7f800000);
  // the factor 2^112 puts the exponent's bias right, for denormals too
  const float value = tk_float_of_bits(magnitude) * 0x1p112f;
  return tk_float_of_bits(sign | tk_bits_of_float(value));
}

TK_BLOCK float tk_bf16_to_float(uint16_t half) {
  return tk_float_of_bits(static_cast<uint32_t>(half) << 16);
}
