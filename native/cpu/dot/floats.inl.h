// SPDX-License-Identifier: Apache-2.0
//
// Dots of the types that are not quantised: one multiply-add a column, the columns in order.

namespace TK_LEVEL {

/** Adds the products of column k of the block. */
template <int Groups, int Tokens>
TK_INLINE void add_column(const Floats (&w)[Groups], const FloatBlock* x, int k,
                          Floats (&sums)[Groups][Tokens]) {
  TK_UNROLL for (int t = 0; t < Tokens; t++) {
    const Floats value = set(x[t].values[k]);
    TK_UNROLL for (int g = 0; g < Groups; g++) sums[g][t] = fma(w[g], value, sums[g][t]);
  }
}

TK_INLINE Floats column(const PackedF32& block, int k) { return load(block.values[k]); }
TK_INLINE Floats column(const PackedF16& block, int k) { return load_f16(block.values[k]); }

template <class Type>
struct DotFloats {
  using Packed = Type;
  using Activation = FloatBlock;
  static constexpr int max_groups = 2, max_sums = float_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t stride, int64_t b,
                       const Activation* x, Floats (&sums)[Groups][Tokens]) {
    TK_UNROLL for (int k = 0; k < 16; k++) {
      Floats w[Groups];
      TK_UNROLL for (int g = 0; g < Groups; g++) w[g] = column(weights[g * stride + b], k);
      add_column(w, x, k, sums);
    }
  }
};
using DotF32 = DotFloats<PackedF32>;
using DotF16 = DotFloats<PackedF16>;

#if TK_VEC_BF16
struct DotBF16 {
  using Packed = PackedBF16;
  using Activation = Bf16Block;
  static constexpr int max_groups = 2, max_sums = float_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t stride, int64_t b,
                       const Activation* x, Floats (&sums)[Groups][Tokens]) {
    TK_UNROLL for (int pair = 0; pair < 8; pair++) {
      Ints w[Groups];
      TK_UNROLL for (int g = 0; g < Groups; g++) w[g] = load_ints(weights[g * stride + b].values[pair]);
      TK_UNROLL for (int t = 0; t < Tokens; t++) {
        const Ints both = set_ints(four_bytes(x[t].values + 2 * pair));
        TK_UNROLL for (int g = 0; g < Groups; g++) sums[g][t] = dot_bf16(sums[g][t], w[g], both);
      }
    }
  }
};
#else
// No BF16 arithmetic: the weights are widened and the activations stay float32.
struct DotBF16 {
  using Packed = PackedBF16;
  using Activation = FloatBlock;
  static constexpr int max_groups = 2, max_sums = float_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t stride, int64_t b,
                       const Activation* x, Floats (&sums)[Groups][Tokens]) {
    TK_UNROLL for (int pair = 0; pair < 8; pair++) {
      Floats even[Groups], odd[Groups];
      TK_UNROLL for (int g = 0; g < Groups; g++) {
        const Ints both = load_ints(weights[g * stride + b].values[pair]);
        even[g] = as_floats(shift_left<16>(both));
        odd[g] = as_floats(bit_and(both, set_ints(-0x10000)));
      }
      add_column(even, x, 2 * pair, sums);
      add_column(odd, x, 2 * pair + 1, sums);
    }
  }
};
#endif

}  // namespace TK_LEVEL
