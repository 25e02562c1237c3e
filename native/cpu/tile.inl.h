// SPDX-License-Identifier: Apache-2.0
//
// tile: the product of some groups of 16 weight rows with some tokens, its sums in registers all
// along the columns.
//
// A Dot is all that a weight type supplies:
//   Packed, Activation   the blocks that it reads (pack.h, activations.h)
//   max_groups           1, or 2 where two groups at once gain something
//   max_sums             the most sums (groups x tokens) that the registers take
//   block(weights, stride, b, x, sums)
//                        adds the products of block b of the activations, x[0 .. tokens-1], to
//                        sums[group][token]; weights of group g begin at weights + g * stride
//
// The sum of one row and token takes its blocks in order, whatever the tile: the same bits for
// one token and for many.

namespace TK_LEVEL {

#if TK_VEC_AVX512
constexpr int float_sums = 24, int8_sums = 12;
#elif TK_VEC_AVX2
constexpr int float_sums = 6, int8_sums = 4;
#else
constexpr int float_sums = 2, int8_sums = 2;
#endif

/** The same address, of which the compiler knows nothing: what was loaded through it before is
 *  loaded again. */
template <class T>
TK_INLINE const T* afresh(const T* p) {
  asm("" : "+r"(p));
  return p;
}

/** Blocks that cover the columns. */
template <class Block>
static int64_t blocks_of(int64_t cols) {
  return (cols + Block::columns - 1) / Block::columns;
}

/** Writes a group of rows of one token; `lanes` of the 16 exist. */
TK_INLINE void store_rows(Floats sum, const float* bias, int lanes, float* out) {
  if (bias != nullptr) sum = add(sum, load_partial(bias, lanes));
  store_partial(out, sum, lanes);
}

/** From so many tokens on, what a tile computes with one line of weights fills the window in which
 *  a processor looks ahead: left to itself it computes, then waits for memory, then computes. With
 *  fewer it does better left alone. */
constexpr int fetch_tokens = 3;

/** Asks for the weights far behind these, into the second-level cache. Groups follow each other,
 *  so that the end of one runs into the next; a request for what is not memory is dropped. */
template <int64_t bytes>
TK_INLINE void fetch(const char* weights) {
  constexpr int64_t ahead = 8192;
  TK_UNROLL for (int64_t line = 0; line < bytes; line += 64) {
    __builtin_prefetch(weights + ahead + line, 0, 2);
  }
}

/** Groups first .. first + Groups - 1, on rows of x of a panel of `panel` rows. */
template <class Dot, int Groups, int Tokens>
static void tile(const Matmul& matmul, int64_t group, const typename Dot::Activation* x,
                 int64_t panel, float* out) {
  using Packed = typename Dot::Packed;
  const int64_t blocks = blocks_of<typename Dot::Activation>(matmul.cols);
  const int64_t stride = blocks_of<Packed>(matmul.cols);
  const Packed* weights = static_cast<const Packed*>(matmul.packed) + group * stride;
  Floats sums[Groups][Tokens];
  TK_UNROLL for (int g = 0; g < Groups; g++) {
    TK_UNROLL for (int t = 0; t < Tokens; t++) sums[g][t] = zero();
  }
  constexpr int64_t step = int64_t{sizeof(Packed)} * Dot::Activation::columns / Packed::columns;
  for (int64_t b = 0; b < blocks; b++) {
    if constexpr (Tokens >= fetch_tokens) {
      TK_UNROLL for (int g = 0; g < Groups; g++) {
        fetch<step>(reinterpret_cast<const char*>(weights + g * stride) + b * step);
      }
    }
    Dot::template block<Groups, Tokens>(weights, stride, b, x + b * panel, sums);
  }
  TK_UNROLL for (int g = 0; g < Groups; g++) {
    const int64_t row = (group + g) * group_rows;
    const int64_t left = matmul.out_dim - row;
    const int lanes = static_cast<int>(left < group_rows ? left : group_rows);
    const float* bias = matmul.bias == nullptr ? nullptr : matmul.bias + row;
    TK_UNROLL for (int t = 0; t < Tokens; t++) {
      store_rows(sums[g][t], bias, lanes, out + t * matmul.out_dim + row);
    }
  }
}

}  // namespace TK_LEVEL
