// SPDX-License-Identifier: Apache-2.0
//
// The register tile of gemm.h, and the layouts that it reads.
//
// Packed operands are words of 4 bytes. A word is one value of k (a float), or two (a pair of
// bfloat16, the lower k in the lower half) where the level multiplies pairs; a "step" is the k of
// one word.
//
//   A  [step][tile_rows]            a panel: rows of A, one tile's height
//   B  [step][tile_columns]         a panel: columns of B, one tile's width
//
// What is outside the matrix is zero in the last vector of B that has columns; else it is not read.

namespace TK_LEVEL {

#if TK_VEC_AVX512
constexpr int tile_rows = 14, tile_vectors = 2;  // 28 sums, 2 of B, 1 of A: 31 of 32 registers
#elif TK_VEC_AVX2
constexpr int tile_rows = 6, tile_vectors = 1;  // of two registers
#else
constexpr int tile_rows = 2, tile_vectors = 1;  // of four registers
#endif
constexpr int tile_columns = tile_vectors * kLanes;

/** What a word of a packed operand holds. */
enum class Word { floats, rounded, pairs };  // rounded: floats with the values of bfloat16

/** The words of an arithmetic at this level. */
TK_INLINE Word word_of(Arithmetic arithmetic) {
#if TK_VEC_BF16
  return arithmetic == Arithmetic::bf16 ? Word::pairs : Word::floats;
#else
  return arithmetic == Arithmetic::bf16 ? Word::rounded : Word::floats;
#endif
}

constexpr int64_t values_of(Word word) { return word == Word::pairs ? 2 : 1; }

/** What happens to C, of which a tile sees its own part. */
struct TileTarget {
  float* c;
  int64_t stride;
  const float* bias;  // or null
  bool add;           // to what is there
};

template <Word word>
TK_INLINE Floats multiply_add(const int32_t* a, Ints b, Floats sum) {
#if TK_VEC_BF16
  if constexpr (word == Word::pairs) return dot_bf16(sum, b, set_ints(*a));
#endif
  return fma(as_floats(set_ints(*a)), as_floats(b), sum);
}

/** Rows x (Vectors * 16) elements of C, of which the last `missing` columns do not exist. */
template <Word word, int Rows, int Vectors>
static void gemm_tile(const int32_t* a, const int32_t* b, int64_t steps, const TileTarget& target,
                      int missing) {
  Floats sums[Rows][Vectors];
  TK_UNROLL for (int i = 0; i < Rows; i++) {
    TK_UNROLL for (int v = 0; v < Vectors; v++) {
      __builtin_prefetch(target.c + i * target.stride + v * kLanes, 1);
    }
    TK_UNROLL for (int v = 0; v < Vectors; v++) sums[i][v] = zero();
  }
  for (int64_t step = 0; step < steps; step++) {
    Ints columns[Vectors];
    TK_UNROLL for (int v = 0; v < Vectors; v++) columns[v] = load_ints(b + v * kLanes);
    TK_UNROLL for (int i = 0; i < Rows; i++) {
      TK_UNROLL for (int v = 0; v < Vectors; v++) {
        sums[i][v] = multiply_add<word>(a + i, columns[v], sums[i][v]);
      }
    }
    a += tile_rows;
    b += tile_columns;
  }
  TK_UNROLL for (int v = 0; v < Vectors; v++) {
    const int lanes = v == Vectors - 1 ? kLanes - missing : kLanes;
    const Floats bias = target.bias == nullptr ? zero() : load_partial(target.bias + v * kLanes, lanes);
    TK_UNROLL for (int i = 0; i < Rows; i++) {
      float* c = target.c + i * target.stride + v * kLanes;
      Floats sum = sums[i][v];
      if (target.bias != nullptr) sum = add(sum, bias);
      if (target.add) sum = add(sum, load_partial(c, lanes));
      store_partial(c, sum, lanes);
    }
  }
}

template <Word word, int Vectors, int Rows = tile_rows>
TK_INLINE void gemm_tile_of(int rows, const int32_t* a, const int32_t* b, int64_t steps,
                            const TileTarget& target, int missing) {
  if (rows == Rows) return gemm_tile<word, Rows, Vectors>(a, b, steps, target, missing);
  if constexpr (Rows > 1) {
    gemm_tile_of<word, Vectors, Rows - 1>(rows, a, b, steps, target, missing);
  }
}

/** One panel of A against `columns` (at most tile_columns) columns of B. */
template <Word word>
TK_INLINE void gemm_panels(int rows, int columns, const int32_t* a, const int32_t* b,
                           int64_t steps, const TileTarget& target) {
  const int missing = (kLanes - columns % kLanes) % kLanes;
  if constexpr (tile_vectors > 1) {
    if (columns > kLanes) {
      return gemm_tile_of<word, tile_vectors>(rows, a, b, steps, target, missing);
    }
  }
  gemm_tile_of<word, 1>(rows, a, b, steps, target, missing);
}

}  // namespace TK_LEVEL
