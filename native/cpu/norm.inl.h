// SPDX-License-Identifier: Apache-2.0
//
// norm: out = x / sqrt(mean(x^2) + epsilon) * weight over groups of dim values of a row; a group
// is the whole row, or a head where the model norms queries and keys.
//
// Sum order: lane i of two vectors adds elements i, i+32, ... and i+16, i+48, ...; then the
// vectors, then the lanes. Reads x twice (the second time from cache), writes out once.

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

static void norm(const Norm& norm, int64_t row) {
  for (int64_t group = 0; group < norm.width; group += norm.dim) {
    const float* x = norm.x + row * norm.width + group;
    float* out = norm.out + row * norm.width + group;
    // Squares of values above 1.8e19 overflow: those are norms of x * 2^-70. Exact, being a power
    // of two, but where small values fall away beside the large ones.
    float before = 1;
    float sum = sum_of_squares(x, norm.dim, before);
    if (!(sum < __builtin_inff())) {
      before = 0x1p-70f;
      sum = sum_of_squares(x, norm.dim, before);
    }
    const float mean = sum / static_cast<float>(norm.dim);
    const float after = 1 / __builtin_sqrtf(mean + norm.epsilon * before * before);
    const Floats small = set(before), factor = set(after);
    for (int64_t i = 0; i < norm.dim; i += 16) {
      const int count = norm.dim - i < 16 ? static_cast<int>(norm.dim - i) : 16;
      const Floats scaled = mul(mul(load_partial(x + i, count), small), factor);
      store_partial(out + i, mul(scaled, load_partial(norm.weight + i, count)), count);
    }
  }
}

}  // namespace TK_LEVEL
