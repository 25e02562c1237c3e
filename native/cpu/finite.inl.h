// SPDX-License-Identifier: Apache-2.0
//
// finite: whether a range of floats holds neither NaN nor infinity.

namespace TK_LEVEL {

static bool finite(const float* x, int64_t count) {
  // x - x is 0 for what is finite and NaN for what is not; a sum keeps a NaN.
  Floats sum = zero();
  for (int64_t i = 0; i < count; i += 16) {
    const Floats a = load_partial(x + i, count - i < 16 ? static_cast<int>(count - i) : 16);
    sum = add(sum, sub(a, a));
  }
  return all_finite(sum);
}

}  // namespace TK_LEVEL
