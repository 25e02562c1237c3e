// SPDX-License-Identifier: Apache-2.0
//
// rope: turns pairs of values (a, b) of each head by the angle of the row's position:
// (a cos - b sin, a sin + b cos). The table holds the cosines and sines of every position, so all
// scalings of the angles are the caller's. In place; rounded after each product at every level.

namespace TK_LEVEL {

static void rope(const Rope& rope, const Batch& batch, int64_t row) {
  const int64_t half = rope.rotary_dim / 2;
  const float* cosines = rope.table + batch.positions[row] * rope.rotary_dim;
  const float* sines = cosines + half;
  float* x = rope.x + row * rope.heads * rope.head_dim;
  for (int64_t head = 0; head < rope.heads; head++, x += rope.head_dim) {
    if (rope.pairing == TK_PAIRING_INTERLEAVED) {
      for (int64_t i = 0; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = a * cosines[i] - b * sines[i];
        x[2 * i + 1] = a * sines[i] + b * cosines[i];
      }
      continue;
    }
    for (int64_t i = 0; i < half; i += 16) {
      const int count = half - i < 16 ? static_cast<int>(half - i) : 16;
      const Floats a = load_partial(x + i, count), b = load_partial(x + half + i, count);
      const Floats cosine = load_partial(cosines + i, count), sine = load_partial(sines + i, count);
      store_partial(x + i, sub(mul(a, cosine), mul(b, sine)), count);
      store_partial(x + half + i, add(mul(a, sine), mul(b, cosine)), count);
    }
  }
}

}  // namespace TK_LEVEL
