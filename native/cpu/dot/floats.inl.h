// SPDX-License-Identifier: Apache-2.0
//
// Dots of the types that are not quantised: one multiply-add a column, the columns in order.

namespace TK_LEVEL {

struct DotF32 {
  using Packed = PackedF32;
  using Activation = FloatBlock;
  static constexpr int max_sums = float_sums;

  template <int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t b, const Activation* x, Floats* acc) {
    TK_UNROLL for (int k = 0; k < 16; k++) {
      const Floats w = load(weights[b].values[k]);
      TK_UNROLL for (int t = 0; t < Tokens; t++) acc[t] = fma(w, set(x[t].values[k]), acc[t]);
    }
  }
};

struct DotF16 {
  using Packed = PackedF16;
  using Activation = FloatBlock;
  static constexpr int max_sums = float_sums;

  template <int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t b, const Activation* x, Floats* acc) {
    TK_UNROLL for (int k = 0; k < 16; k++) {
      const Floats w = load_f16(weights[b].values[k]);
      TK_UNROLL for (int t = 0; t < Tokens; t++) acc[t] = fma(w, set(x[t].values[k]), acc[t]);
    }
  }
};

#if TK_VEC_BF16
struct DotBF16 {
  using Packed = PackedBF16;
  using Activation = Bf16Block;
  static constexpr int max_sums = float_sums;

  template <int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t b, const Activation* x, Floats* acc) {
    TK_UNROLL for (int pair = 0; pair < 8; pair++) {
      const Ints w = load_ints(weights[b].values[pair]);
      TK_UNROLL for (int t = 0; t < Tokens; t++) {
        acc[t] = dot_bf16(acc[t], w, set_ints(four_bytes(x[t].values + 2 * pair)));
      }
    }
  }
};
#else
// No BF16 arithmetic: the weights are widened and the activations stay float32.
struct DotBF16 {
  using Packed = PackedBF16;
  using Activation = FloatBlock;
  static constexpr int max_sums = float_sums;

  template <int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t b, const Activation* x, Floats* acc) {
    TK_UNROLL for (int pair = 0; pair < 8; pair++) {
      const Ints both = load_ints(weights[b].values[pair]);
      const Floats even = as_floats(shift_left<16>(both));
      const Floats odd = as_floats(bit_and(both, set_ints(-0x10000)));
      TK_UNROLL for (int t = 0; t < Tokens; t++) {
        acc[t] = fma(even, set(x[t].values[2 * pair]), acc[t]);
        acc[t] = fma(odd, set(x[t].values[2 * pair + 1]), acc[t]);
      }
    }
  }
};
#endif

}  // namespace TK_LEVEL
