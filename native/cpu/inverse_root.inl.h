// SPDX-License-Identifier: Apache-2.0
//
// 1 / sqrt(mean(x^2) + epsilon): what an RMS norm multiplies by, in inference and in training.
//
// Sum order: lane i of two vectors adds elements i, i+32, ... and i+16, i+48, ...; then the
// vectors, then the lanes.

#pragma once

namespace TK_LEVEL {

/** Sum of (x * scale)^2. */
TK_INLINE float sum_of_squares(const float* x, int64_t dim, float scale) {
  Floats even = zero(), odd = zero();
  const Floats factor = set(scale);
  int64_t i = 0;
  for (; i + 32 <= dim; i += 32) {
    const Floats a = mul(load(x + i), factor), b = mul(load(x + i + 16), factor);
    even = fma(a, a, even);
    odd = fma(b, b, odd);
  }
  for (; i < dim; i += 16) {
    const int count = dim - i < 16 ? static_cast<int>(dim - i) : 16;
    const Floats a = mul(load_partial(x + i, count), factor);
    even = fma(a, a, even);
  }
  return reduce_add(add(even, odd));
}

/** The root is before * after. */
struct InverseRoot {
  float before, after;
};

TK_INLINE InverseRoot inverse_root(const float* x, int64_t dim, float epsilon) {
  // Squares of values above 1.8e19 overflow: those are norms of x * 2^-70. Exact, being a power
  // of two, but where small values fall away beside the large ones.
  float before = 1;
  float sum = sum_of_squares(x, dim, before);
  if (!(sum < __builtin_inff())) {
    before = 0x1p-70f;
    sum = sum_of_squares(x, dim, before);
  }
  const float mean = sum / static_cast<float>(dim);
  return {before, 1 / __builtin_sqrtf(mean + epsilon * before * before)};
}

}  // namespace TK_LEVEL
