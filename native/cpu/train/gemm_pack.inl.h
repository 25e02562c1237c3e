// SPDX-License-Identifier: Apache-2.0
//
// Bringing operands into the panels of gemm_tile.inl.h. A strip is up to 16 rows of A, or columns
// of B: the lanes of a vector.

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

/** A strip whose lanes are neighbours in memory: x[k, stride]. */
template <Word word>
static void pack_across(const float* x, int64_t stride, int lanes, int64_t k, int32_t* out,
                        int64_t out_stride) {
  constexpr int64_t values = values_of(word);
  for (int64_t i = 0; i < k; i += values) {
    const Floats first = load_partial(x + i * stride, lanes);
    const Floats next =
        values == 2 && i + 1 < k ? load_partial(x + (i + 1) * stride, lanes) : zero();
    store_ints(out, words_of<word>(first, next));
    out += out_stride;
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

/** A strip whose values of k are neighbours in memory: x[lanes, stride]. */
template <Word word>
static void pack_along(const float* x, int64_t stride, int lanes, int64_t k, int32_t* out,
                       int64_t out_stride) {
  constexpr int64_t values = values_of(word);
  const int64_t steps = (k + values - 1) / values;
  for (int64_t step = 0; step < steps; step += kLanes) {
    Ints rows[kLanes];
    TK_UNROLL for (int lane = 0; lane < kLanes; lane++) {
      rows[lane] = lane < lanes ? row_words<word>(x + lane * stride, step * values, k) : set_ints(0);
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
 * k values of a strip, as words [step][out_stride]; 16 words are written at each step, whatever
 * `lanes` and out_stride are: later steps are written over what earlier ones left beside them.
 */
template <Word word>
TK_INLINE void pack_strip(const float* x, int64_t stride, bool lanes_are_rows, int lanes,
                          int64_t k, int32_t* out, int64_t out_stride) {
  if (lanes_are_rows) {
    pack_along<word>(x, stride, lanes, k, out, out_stride);
  } else {
    pack_across<word>(x, stride, lanes, k, out, out_stride);
  }
}

}  // namespace TK_LEVEL
