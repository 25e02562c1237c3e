// SPDX-License-Identifier: Apache-2.0
//
// quantize_row: one row of float32 into its place among the activations of a matmul.

#include "tokamak/block/half.h"

namespace TK_LEVEL {

TK_INLINE void quantize(const float* x, int count, FloatBlock& out) {
  store(out.values, load_partial(x, count));
}

TK_INLINE void quantize(const float* x, int count, Bf16Block& out) {
  store_bf16(out.values, load_partial(x, count));
}

TK_INLINE void quantize(const float* x, int, Int8Block& out) {
  const Floats a = load(x), b = load(x + 16);
  // Magnitudes compare as their bits do, and NaN is above infinity.
  const int32_t bits = reduce_max(max(as_ints(abs(a)), as_ints(abs(b))));
  constexpr int32_t infinity = 0x7f800000;
  if (bits >= infinity) {
    out = Int8Block{};
    out.scale = __builtin_nanf("");
    return;
  }
  // Below this 127 / largest would overflow: nothing is lost by zeros.
  constexpr float least = 0x1p-118f;
  const float magnitude = tk_float_of_bits(static_cast<uint32_t>(bits));
  const float largest = magnitude > least ? magnitude : 0.0f;
  const Floats factor = set(largest > 0 ? 127.0f / largest : 0.0f);
  const Ints p = round_to_ints(mul(a, factor)), q = round_to_ints(mul(b, factor));
  store_s8(out.values, p);
  store_s8(out.values + 16, q);
  // Both sums in one: 16 numbers within 127 fit the lower half, the others go to the upper.
  const int32_t both = reduce_add(add(p, shift_left<16>(q)));
  const int32_t first = static_cast<int16_t>(both), sum = first + (both - first) / 65536;
  out.scale = largest * (1.0f / 127);
  out.sum = static_cast<float>(sum);
  out.minus_8_sum = -8 * sum;
  out.minus_32_first = -32 * first;
}

template <class Block>
static void quantize_blocks(const float* x, int64_t cols, int64_t row, int64_t panel,
                            void* activations) {
  constexpr int columns = Block::columns;
  const int64_t blocks = (cols + columns - 1) / columns;
  Block* out = static_cast<Block*>(activations) + row / panel * panel * blocks + row % panel;
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t left = cols - b * columns;
    quantize(x + b * columns, static_cast<int>(left < columns ? left : columns),
             out[b * panel]);
  }
}

static void quantize_row(int format, const float* x, int64_t cols, int64_t row, int64_t rows,
                         void* activations) {
  const int64_t panel = panel_rows(rows);
  switch (format) {
    case ACTIVATIONS_FLOAT:
      return quantize_blocks<FloatBlock>(x, cols, row, panel, activations);
    case ACTIVATIONS_BF16:
      return quantize_blocks<Bf16Block>(x, cols, row, panel, activations);
    default:
      return quantize_blocks<Int8Block>(x, cols, row, panel, activations);
  }
}

}  // namespace TK_LEVEL
