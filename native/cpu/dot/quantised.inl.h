// SPDX-License-Identifier: Apache-2.0
//
// Dots of the quantised types. What they share: the int8 products of a run of steps, summed in
// int32 (exact, in any order), become float32 once and are added to the row's sum.

namespace TK_LEVEL {

/** Adds the products of one step of 4 columns to each token's integer sum; weights up to 127. */
template <int Tokens>
TK_INLINE void add_small_step(Ints w, int step, const Int8Block* x, Ints (&sums)[Tokens]) {
  TK_UNROLL for (int t = 0; t < Tokens; t++) {
    sums[t] = dot4_small(sums[t], w, x[t].values + 4 * step);
  }
}

/** acc += weight scale * activation scale * integer sum. */
template <int Tokens>
TK_INLINE void add_scaled(const Ints (&sums)[Tokens], Floats scale, const Int8Block* x,
                          Floats (&acc)[Tokens]) {
  TK_UNROLL for (int t = 0; t < Tokens; t++) {
    acc[t] = fma(mul(to_floats(sums[t]), scale), set(x[t].scale), acc[t]);
  }
}

TK_INLINE Ints low_nibbles(Ints bytes) { return bit_and(bytes, set_ints(0x0f0f0f0f)); }
TK_INLINE Ints high_nibbles(Ints bytes) { return low_nibbles(shift_right<4>(bytes)); }

struct DotQ8_0 {
  using Packed = PackedQ8_0;
  using Activation = Int8Block;
  static constexpr int max_groups = 1, max_sums = int8_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t, int64_t b, const Int8Block* x,
                       Floats (&acc)[Groups][Tokens]) {
    const Packed& w = weights[b];
    Ints sums[Tokens];
    TK_UNROLL for (int t = 0; t < Tokens; t++) {
      // bytes are stored + 128
      sums[t] = dots_are_signed ? set_ints(0) : shift_left<4>(set_ints(x[t].minus_8_sum));
    }
    TK_UNROLL for (int s = 0; s < 8; s++) {
      const auto step = bytes(load_ints(w.bytes[s]));
      TK_UNROLL for (int t = 0; t < Tokens; t++) {
        sums[t] = dot4(sums[t], step, set_ints(four_bytes(x[t].values + 4 * s)));
      }
    }
    add_scaled(sums, load_f16(w.scales), x, acc[0]);
  }
};

struct DotQ4_0 {
  using Packed = PackedQ4_0;
  using Activation = Int8Block;
  static constexpr int max_groups = 1, max_sums = int8_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t, int64_t b, const Int8Block* x,
                       Floats (&acc)[Groups][Tokens]) {
    const Packed& w = weights[b];
    Ints sums[Tokens];
    TK_UNROLL for (int t = 0; t < Tokens; t++) sums[t] = set_ints(x[t].minus_8_sum);
    TK_UNROLL for (int pair = 0; pair < 4; pair++) {
      const Ints both = load_ints(w.nibbles.pairs[pair]);
      add_small_step(low_nibbles(both), 2 * pair, x, sums);
      add_small_step(high_nibbles(both), 2 * pair + 1, x, sums);
    }
    add_scaled(sums, load_f16(w.scales), x, acc[0]);
  }
};

/** Q4_K and Q5_K: parts of 32 columns with a scale and a minimum. */
template <class PackedType>
struct DotParts {
  using Packed = PackedType;
  using Activation = Int8Block;
  static constexpr int max_groups = 1, max_sums = int8_sums;
  static constexpr bool fifth_bit = sizeof(Packed) == sizeof(PackedQ5_K);

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t, int64_t b, const Int8Block* x,
                       Floats (&acc)[Groups][Tokens]) {
    const Packed& w = weights[b / 8];
    const auto& part = w.parts[b % 8];
    Ints sums[Tokens];
    TK_UNROLL for (int t = 0; t < Tokens; t++) sums[t] = set_ints(0);
    TK_UNROLL for (int pair = 0; pair < 4; pair++) {
      const Ints both = load_ints(part.nibbles.pairs[pair]);
      Ints even = low_nibbles(both), odd = high_nibbles(both);
      if constexpr (fifth_bit) {
        const Ints plane = load_ints(part.fifth), bit = set_ints(0x10101010);
        Ints shifted = pair == 0   ? shift_left<4>(plane)
                       : pair == 1 ? shift_left<2>(plane)
                       : pair == 2 ? plane
                                   : shift_right<2>(plane);
        even = bit_or(even, bit_and(shifted, bit));
        odd = bit_or(odd, bit_and(shift_right<1>(shifted), bit));
      }
      add_small_step(even, 2 * pair, x, sums);
      add_small_step(odd, 2 * pair + 1, x, sums);
    }
    const Floats scale = mul(load_f16(w.scale), to_floats(load_u8(part.scales)));
    const Floats minus_min = mul(sub(zero(), load_f16(w.min)), to_floats(load_u8(part.mins)));
    TK_UNROLL for (int t = 0; t < Tokens; t++) {
      const Floats offset = mul(minus_min, set(x[t].sum));
      acc[0][t] = fma(fma(to_floats(sums[t]), scale, offset), set(x[t].scale), acc[0][t]);
    }
  }
};
using DotQ4_K = DotParts<PackedQ4_K>;
using DotQ5_K = DotParts<PackedQ5_K>;

/** Parts of 32 columns with a scale for each 16. */
struct DotQ6_K {
  using Packed = PackedQ6_K;
  using Activation = Int8Block;
  static constexpr int max_groups = 1, max_sums = int8_sums;

  template <int Groups, int Tokens>
  TK_INLINE void block(const Packed* weights, int64_t, int64_t b, const Int8Block* x,
                       Floats (&acc)[Groups][Tokens]) {
    const Packed& w = weights[b / 8];
    const auto& part = w.parts[b % 8];
    const Ints bits = set_ints(0x30303030);
    TK_UNROLL for (int half = 0; half < 2; half++) {
      x = afresh(x);  // or the first half's broadcasts are kept for the second, and spilled
      Ints sums[Tokens];
      TK_UNROLL for (int t = 0; t < Tokens; t++) {  // numbers are stored + 32
        const Ints first = set_ints(x[t].minus_32_first);
        sums[t] = half == 0 ? first : sub(shift_left<2>(set_ints(x[t].minus_8_sum)), first);
      }
      const Ints upper = load_ints(part.upper[half]);
      TK_UNROLL for (int i = 0; i < 2; i++) {
        const int pair = 2 * half + i;
        const Ints both = load_ints(part.nibbles.pairs[pair]);
        const Ints even = i == 0 ? shift_left<4>(upper) : upper;
        add_small_step(bit_or(low_nibbles(both), bit_and(even, bits)), 2 * pair, x, sums);
        const Ints odd = i == 0 ? shift_left<2>(upper) : shift_right<2>(upper);
        add_small_step(bit_or(high_nibbles(both), bit_and(odd, bits)), 2 * pair + 1, x, sums);
      }
      const Floats scale = mul(load_f16(w.scale), to_floats(load_s8(part.scales[half])));
      add_scaled(sums, scale, x, acc[0]);
    }
  }
};

}  // namespace TK_LEVEL
