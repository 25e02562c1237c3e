// SPDX-License-Identifier: Apache-2.0
//
// Bringing operands into the panels of gemm_tile.inl.h. A strip is the lanes of a vector: up to
// 16 rows of A, or columns of B.

namespace TK_LEVEL {

/** A vector of words: values of k and, where a word is a pair, of k + 1. */
template <Word word>
TK_INLINE Ints words_of(Floats k, [[maybe_unused]] Floats next) {
#if TK_VEC_BF16
  if constexpr (word == Word::pairs) return bf16_pairs(k, next);
#endif
  if constexpr (word == Word::rounded) return shift_left<16>(round_to_bf16(k));
  return as_ints(k);
}

/**
 * Panels of `Lanes * Vectors` columns that are neighbours in memory, x[k, stride]: row after row,
 * so that memory is read in order, or, of rows far apart, ahead of use.
 */
template <Word word, int Lanes, int Vectors>
static void pack_across(const float* x, int64_t stride, int64_t columns, int64_t k, int32_t* out,
                        int64_t panel_words) {
  constexpr int64_t values = values_of(word), width = Lanes * Vectors, ahead = 8;
  for (int64_t i = 0; i < k; i += values) {
    const bool pair = values == 2 && i + 1 < k;
    const float* row = x + i * stride;
    const float* next = row + (pair ? stride : 0);
    int32_t* to = out + i / values * width;
    const bool more = i + ahead + values <= k;
    for (int64_t column = 0; column < columns; column += width) {
      TK_UNROLL for (int v = 0; v < Vectors; v++) {
        const int64_t at = column + v * Lanes, left = columns - at;
        if (left <= 0) break;
        if (more) {
          __builtin_prefetch(row + ahead * stride + at, 0, 2);
          if (values == 2) __builtin_prefetch(row + (ahead + 1) * stride + at, 0, 2);
        }
        const int lanes = static_cast<int>(left < Lanes ? left : Lanes);
        const Floats second = pair ? load_partial(next + at, lanes) : zero();
        store_ints(to + v * Lanes, words_of<word>(load_partial(row + at, lanes), second));
      }
      to += panel_words;
    }
  }
}

/** 16 words of one row from its value `from` on; what is past `k` is zero. */
template <Word word>
TK_INLINE Ints row_words(const float* x, int64_t from, int64_t k) {
  const auto values_at = [&](int64_t at) {
    if (at + kLanes <= k) return load(x + at);
    return at < k ? load_partial(x + at, static_cast<int>(k - at)) : zero();
  };
#if TK_VEC_BF16
  if constexpr (word == Word::pairs) return bf16_row(values_at(from), values_at(from + kLanes));
#endif
  return words_of<word>(values_at(from), zero());
}

/** A strip of rows whose values of k are neighbours in memory: x[lanes, stride]. */
template <Word word>
static void pack_along(const float* x, int64_t stride, int lanes, int64_t k, int32_t* out,
                       int64_t out_stride) {
  constexpr int64_t values = values_of(word);
  const int64_t steps = (k + values - 1) / values;
  for (int64_t step = 0; step < steps; step += kLanes) {
    Ints rows[kLanes];
    TK_UNROLL for (int lane = 0; lane < kLanes; lane++) {
      rows[lane] = lane < lanes ? row_words<word>(x + lane * stride, step * values, k) : set_ints(0);
      if (lane < lanes) {
        const float* below = x + (lane + lanes) * stride + step * values;
        __builtin_prefetch(below);
        if (values == 2) __builtin_prefetch(below + kLanes);
      }
    }
    transpose(rows);
    const int64_t left = steps - step;
    if (left >= kLanes) {
      TK_UNROLL for (int i = 0; i < kLanes; i++) store_ints(out + i * out_stride, rows[i]);
    } else {
      for (int64_t i = 0; i < left; i++) store_ints(out + i * out_stride, rows[i]);
    }
    out += kLanes * out_stride;
  }
}

/**
 * Panels of an operand: `k` values of `width` rows or columns, x[width, stride] where k is along
 * memory, x[k, stride] else. 16 words are written for each strip and step, whatever Lanes is: a
 * step is written over what the one before left beside it, and behind a panel there must be room.
 */
template <Word word, int Lanes, int Vectors>
TK_INLINE void pack_operand(const float* x, int64_t stride, bool along, int64_t width, int64_t k,
                            int32_t* out, int64_t panel_words) {
  if (!along) return pack_across<word, Lanes, Vectors>(x, stride, width, k, out, panel_words);
  for (int64_t first = 0; first < width; first += Lanes * Vectors) {
    for (int v = 0; v < Vectors; v++) {
      const int64_t at = first + v * Lanes, left = width - at;
      if (left <= 0) break;
      pack_along<word>(x + at * stride, stride, static_cast<int>(left < Lanes ? left : Lanes), k,
                       out + v * Lanes, Lanes * Vectors);
    }
    out += panel_words;
  }
}

}  // namespace TK_LEVEL
