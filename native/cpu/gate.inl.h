// SPDX-License-Identifier: Apache-2.0
//
// gate: out = silu(gate) * up, with silu(g) = g / (1 + e^-g) (Elfwing et al. 2017), value by value.
// out may be gate or up. Reads 8 bytes and writes 4 for each value.

namespace TK_LEVEL {

static void gate(const Gate& gate, int64_t row) {
  const float* g = gate.gate + row * gate.width;
  const float* up = gate.up + row * gate.width;
  float* out = gate.out + row * gate.width;
  for (int64_t i = 0; i < gate.width; i += 16) {
    const int count = gate.width - i < 16 ? static_cast<int>(gate.width - i) : 16;
    const Floats x = load_partial(g + i, count);
    const Floats silu = div(x, add(set(1), exp(sub(zero(), x))));
    store_partial(out + i, mul(silu, load_partial(up + i, count)), count);
  }
}

}  // namespace TK_LEVEL
