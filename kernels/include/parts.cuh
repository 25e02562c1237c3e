// SPDX-License-Identifier: Apache-2.0
//
// Products of float32 precision on tensor cores that multiply bfloat16. A float v is the sum of two
// bfloat16 parts,
//
//     high = bf16(v)    low = bf16(v - high)    v = high + low + e,  |e| <= 2^-16 |v|
//
// and a product of two such sums is three products of parts, smallest first; low * low is below
// the error. Where an operand is exact in one part (BF16, small integers) its low part is absent:
//
//     a \ b      parts                          exact
//     parts      al*bh, ah*bl, ah*bh            al*b, ah*b
//     exact      a*bl, a*bh                     a*b
//
// The order never changes, so that every kernel that multiplies the same values gets the same bits.
// Values beyond bfloat16's largest (3.39e38) and infinities become NaN, never a wrong finite
// number. Below 2^-126 the absolute error is up to 2^-134, bfloat16's smallest step halved.
//
// Operands of one step, mma.m16n8k16, g = lane / 4, t = lane % 4, each word two values:
//
//     a (16 x 16)   [0] row g, k 2t 2t+1    [1] row g+8, same k    [2] row g, k 2t+8 2t+9
//                   [3] row g+8, same k
//     b (16 x 8)    [0] column g, k 2t 2t+1                        [1] column g, k 2t+8 2t+9
//     sum (16 x 8)  [0] [1] row g, columns 2t 2t+1                 [2] [3] row g+8, same columns
//
// Which k of memory stands at which k of the step is the kernel's to choose, the same for a and b.

#pragma once

#include "ptx.cuh"

namespace tokamak::cuda {

/** Two neighbouring values. */
struct Pair {
  uint32_t high, low;
};

FN Pair split(float first, float second) {
  const uint32_t high = ptx::pack_bf16(first, second);
  return {high, ptx::pack_bf16(first - ptx::bf16_low(high), second - ptx::bf16_high(high))};
}

struct ExactA {
  uint32_t value[4];
};
struct PartsA {
  uint32_t high[4], low[4];
};
struct ExactB {
  uint32_t value[2];
};
struct PartsB {
  uint32_t high[2], low[2];
};

FN void multiply(float (&sum)[4], const PartsA& a, const PartsB& b) {
  ptx::mma_bf16(sum, a.low, b.high);
  ptx::mma_bf16(sum, a.high, b.low);
  ptx::mma_bf16(sum, a.high, b.high);
}

FN void multiply(float (&sum)[4], const ExactA& a, const PartsB& b) {
  ptx::mma_bf16(sum, a.value, b.low);
  ptx::mma_bf16(sum, a.value, b.high);
}

FN void multiply(float (&sum)[4], const PartsA& a, const ExactB& b) {
  ptx::mma_bf16(sum, a.low, b.value);
  ptx::mma_bf16(sum, a.high, b.value);
}

FN void multiply(float (&sum)[4], const ExactA& a, const ExactB& b) {
  ptx::mma_bf16(sum, a.value, b.value);
}

/** sum = a * b: the bits of multiply with a sum of zeros. */
FN void multiply_from_zero(float (&sum)[4], const ExactA& a, const PartsB& b) {
  ptx::mma_bf16_from_zero(sum, a.value, b.low);
  ptx::mma_bf16(sum, a.value, b.high);
}

}  // namespace tokamak::cuda
