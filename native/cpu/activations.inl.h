// SPDX-License-Identifier: Apache-2.0
//
// quantize_row: one row of float32 into its place among the activations of a matmul.

namespace TK_LEVEL {

TK_INLINE void quantize(const float* x, int count, FloatBlock& out) {
  store(out.values, load_partial(x, count));
}

TK_INLINE void quantize(const float* x, int count, Bf16Block& out) {
  store_bf16(out.values, load_partial(x, count));
}

TK_INLINE void quantize(const float* x, int, Int8Block& out) {
  const Floats a = load(x), b = load(x + 16);
  if (!all_finite(a) || !all_finite(b)) {
    out = Int8Block{};
    out.scale = out.scaled_sum = __builtin_nanf("");
    return;
  }
  const float largest = reduce_max(max(abs(a), abs(b)));
  // Below this the factor 127 / largest would overflow; nothing is lost by zeros.
  const bool counts = largest > 0x1p-118f;
  const float factor = counts ? 127.0f / largest : 0.0f;
  const Ints p = round_to_ints(mul(a, set(factor))), q = round_to_ints(mul(b, set(factor)));
  store_s8(out.values, p);
  store_s8(out.values + 16, q);
  // sums of whole numbers below 2^24: exact in float32
  const float first = reduce_add(to_floats(p)), sum = first + reduce_add(to_floats(q));
  out.scale = counts ? largest / 127.0f : 0.0f;
  out.scaled_sum = out.scale * sum;
  out.minus_8_sum = static_cast<int32_t>(-8 * sum);
  out.minus_32_first = static_cast<int32_t>(-32 * first);
}

template <class Block>
static void quantize_blocks(const float* x, int64_t cols, int64_t row, void* activations) {
  constexpr int columns = Block::columns;
  const int64_t blocks = (cols + columns - 1) / columns;
  Block* out = static_cast<Block*>(activations) + row / panel_rows * panel_rows * blocks +
               row % panel_rows;
  for (int64_t b = 0; b < blocks; b++) {
    const int64_t left = cols - b * columns;
    quantize(x + b * columns, static_cast<int>(left < columns ? left : columns),
             out[b * panel_rows]);
  }
}

static void quantize_row(int format, const float* x, int64_t cols, int64_t row,
                         void* activations) {
  switch (format) {
    case ACTIVATIONS_FLOAT:
      return quantize_blocks<FloatBlock>(x, cols, row, activations);
    case ACTIVATIONS_BF16:
      return quantize_blocks<Bf16Block>(x, cols, row, activations);
    default:
      return quantize_blocks<Int8Block>(x, cols, row, activations);
  }
}

}  // namespace TK_LEVEL
