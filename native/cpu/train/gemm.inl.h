// SPDX-License-Identifier: Apache-2.0
//
// gemm.h: blocks and jobs. Packed B is [block of k][panel]; a job multiplies a block of rows of A,
// which it packs one block of k after the other, with some panels of B. While one panel of B
// passes all panels of A, it stays in the first-level cache, and A in the second.

#include "gemm_tile.inl.h"

#include "gemm_pack.inl.h"

namespace TK_LEVEL {

/** The most rows and columns of a job. */
constexpr int64_t job_panels = 112 / tile_rows, job_columns = 1024;
constexpr int64_t jobs_per_thread = 4;

/** Words of a panel of A; the next begins where nothing is written for this one. */
constexpr int64_t a_panel_words = gemm_k_block * tile_rows + kLanes;
constexpr int64_t gemm_own_bytes = job_panels * a_panel_words * 4;

TK_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
TK_INLINE int64_t parts(int64_t whole, int64_t part) { return (whole + part - 1) / part; }

/** Words of the steps of a block of k. */
TK_INLINE int64_t steps_of(Word word, int64_t k) { return parts(k, values_of(word)); }

/** Columns of packed B. */
TK_INLINE int64_t filled(int64_t n) { return parts(n, tile_columns) * tile_columns; }

/** Values of k in a block, of which the last may be shorter: words of a panel are as many. */
TK_INLINE int64_t k_block_of(Word word) { return gemm_k_block * values_of(word); }

static int64_t gemm_packed_bytes(const Gemm& gemm) {
  return steps_of(word_of(gemm.arithmetic), gemm.k) * filled(gemm.n) * 4;
}

/** Where a panel of B begins. */
template <class T>
TK_INLINE T* panel_of(const Gemm& gemm, Word word, T* packed, int64_t k, int64_t column) {
  const int64_t all_k = gemm.packed_k > 0 ? gemm.packed_k : gemm.k;
  const int64_t all_n = gemm.packed_n > 0 ? gemm.packed_n : gemm.n;
  const int64_t steps = steps_of(word, least(k_block_of(word), all_k - k));
  return packed + k / values_of(word) * filled(all_n) + column * steps;
}

/** What a job of packing handles: values of k, which divide gemm_k_block, and columns. */
struct PackCut {
  int64_t k, columns;
};
TK_INLINE PackCut pack_cut_of(const Gemm& gemm) {
  return gemm.b_transposed ? PackCut{gemm_k_block, 2 * tile_columns}
                           : PackCut{gemm_k_block / 4, 16 * tile_columns};
}

static int64_t gemm_pack_jobs(const Gemm& gemm) {
  const PackCut cut = pack_cut_of(gemm);
  return parts(gemm.k, cut.k) * parts(gemm.n, cut.columns);
}

template <Word word>
static void pack_part(const Gemm& gemm, int32_t* packed, int64_t job) {
  const PackCut cut = pack_cut_of(gemm);
  const int64_t across = parts(gemm.n, cut.columns);
  const int64_t k = job / across * cut.k, column = job % across * cut.columns;
  const int64_t k_block = k_block_of(word), block = k / k_block * k_block;
  const int64_t panel_words =
      steps_of(word, least(k_block, gemm.k - block)) * tile_columns;
  const float* b = gemm.b_transposed ? gemm.b + column * gemm.b_stride + k
                                     : gemm.b + k * gemm.b_stride + column;
  int32_t* out = panel_of(gemm, word, packed, block, column) +
                 (k - block) / values_of(word) * tile_columns;
  pack_operand<word, kLanes, tile_vectors>(b, gemm.b_stride, gemm.b_transposed,
                                           least(cut.columns, gemm.n - column),
                                           least(cut.k, gemm.k - k), out, panel_words);
}

/** How C is cut: the blocks of rows of one range of columns follow each other. */
struct Cut {
  int64_t rows, columns;  // of a job
  int64_t row_blocks, column_blocks;
};

struct Tiles {
  int64_t rows, columns;
};

/** From large jobs to small ones until there are enough: narrow ones pack A again and again. */
static Cut cut_of(const Gemm& gemm) {
  constexpr Tiles steps[] = {{2, 8}, {1, 8}, {1, 1}};  // the least of a job before the next step
  Cut cut{job_panels * tile_rows, least(job_columns, filled(gemm.n)), 0, 0};
  if (gemm.m <= 0 || gemm.n <= 0) return cut;
  const int64_t wanted = jobs_per_thread * gemm.threads;
  const auto too_few = [&] {
    return parts(gemm.m, cut.rows) * parts(gemm.n, cut.columns) < wanted;
  };
  for (const Tiles& step : steps) {
    while (too_few() && cut.rows > step.rows * tile_rows) cut.rows -= tile_rows;
    while (too_few() && cut.columns > step.columns * tile_columns) cut.columns -= tile_columns;
  }
  cut.row_blocks = parts(gemm.m, cut.rows);
  cut.column_blocks = parts(gemm.n, cut.columns);
  return cut;
}

static int64_t gemm_multiply_jobs(const Gemm& gemm) {
  const Cut cut = cut_of(gemm);
  return cut.row_blocks * cut.column_blocks;
}

template <Word word>
static void multiply_block(const Gemm& gemm, const int32_t* packed, int32_t* own, int64_t job) {
  const Cut cut = cut_of(gemm);
  const int64_t first_row = job % cut.row_blocks * cut.rows;
  const int64_t first_column = job / cut.row_blocks * cut.columns;
  const int64_t rows = least(cut.rows, gemm.m - first_row);
  const int64_t last_column = least(gemm.n, first_column + cut.columns);
  int64_t k = 0;
  do {
    const int64_t block = least(k_block_of(word), gemm.k - k), steps = steps_of(word, block);
    const float* a = gemm.a_transposed ? gemm.a + k * gemm.a_stride + first_row
                                       : gemm.a + first_row * gemm.a_stride + k;
    pack_operand<word, tile_rows, 1>(a, gemm.a_stride, !gemm.a_transposed, rows, block, own,
                                     a_panel_words);
    const bool first = k == 0;
    for (int64_t column = first_column; column < last_column; column += tile_columns) {
      const int32_t* b = panel_of(gemm, word, packed, k, column);
      const int columns = static_cast<int>(least(tile_columns, last_column - column));
      for (int64_t row = 0; row < rows; row += tile_rows) {
        const TileTarget target{gemm.c + (first_row + row) * gemm.c_stride + column, gemm.c_stride,
                                first && gemm.bias != nullptr ? gemm.bias + column : nullptr,
                                !first || gemm.accumulate};
        gemm_panels<word>(static_cast<int>(least(tile_rows, rows - row)), columns,
                          own + row / tile_rows * a_panel_words, b, steps, target);
      }
    }
    k += k_block_of(word);
  } while (k < gemm.k);
}

/** Calls f<word> with the words of the product. */
#if TK_VEC_BF16
#define TK_BY_WORD(gemm, f, ...)                                                    \
  (word_of((gemm).arithmetic) == Word::pairs ? f<Word::pairs>(gemm, __VA_ARGS__)    \
                                             : f<Word::floats>(gemm, __VA_ARGS__))
#else
#define TK_BY_WORD(gemm, f, ...)                                                     \
  (word_of((gemm).arithmetic) == Word::rounded ? f<Word::rounded>(gemm, __VA_ARGS__) \
                                               : f<Word::floats>(gemm, __VA_ARGS__))
#endif

static void gemm_pack(const Gemm& gemm, void* packed, int64_t job) {
  TK_BY_WORD(gemm, pack_part, static_cast<int32_t*>(packed), job);
}

static void gemm_multiply(const Gemm& gemm, const void* packed, void* own, int64_t job) {
  TK_BY_WORD(gemm, multiply_block, static_cast<const int32_t*>(packed),
             static_cast<int32_t*>(own), job);
}

static void column_sums(const float* x, int64_t rows, int64_t columns, int64_t stride,
                        bool accumulate, float* sums) {
  for (int64_t column = 0; column < columns; column += kLanes) {
    const int lanes = static_cast<int>(least(kLanes, columns - column));
    Floats total = accumulate ? load_partial(sums + column, lanes) : zero();
    for (int64_t row = 0; row < rows; row += gemm_k_block) {
      const int64_t end = least(rows, row + gemm_k_block);
      Floats sum = zero();
      for (int64_t i = row; i < end; i++) sum = add(sum, load_partial(x + i * stride + column, lanes));
      total = add(total, sum);
    }
    store_partial(sums + column, total, lanes);
  }
}

}  // namespace TK_LEVEL
