// SPDX-License-Identifier: Apache-2.0
//
// norm: out = x / sqrt(mean(x^2) + epsilon) * weight over groups of dim values of a row; a group
// is the whole row, or a head where the model norms queries and keys.
//
// The sum's order stands in inverse_root.inl.h. Reads x twice (the second time from cache), writes
// out once.

#include "inverse_root.inl.h"

namespace TK_LEVEL {

static void norm(const Norm& norm, int64_t row) {
  for (int64_t group = 0; group < norm.width; group += norm.dim) {
    const float* x = norm.x + row * norm.width + group;
    float* out = norm.out + row * norm.width + group;
    const InverseRoot root = inverse_root(x, norm.dim, norm.epsilon);
    const Floats small = set(root.before), factor = set(root.after);
    for (int64_t i = 0; i < norm.dim; i += 16) {
      const int count = norm.dim - i < 16 ? static_cast<int>(norm.dim - i) : 16;
      const Floats scaled = mul(mul(load_partial(x + i, count), small), factor);
      store_partial(out + i, mul(scaled, load_partial(norm.weight + i, count)), count);
    }
  }
}

}  // namespace TK_LEVEL
