// SPDX-License-Identifier: Apache-2.0
//
// matmul: out[rows, out_dim] = x[rows, cols] * W^T + bias, x as quantize_row left it, W as
// pack_groups did. A caller computes a run of row groups for all rows of x.
//
// Order of work: as many groups as stay in a part of the second-level cache, against one panel of
// activations after the other. For one panel (decoding) the weights are read once, in order, and
// are asked for ahead of their use.

#include "tile.inl.h"

#include "dot/floats.inl.h"
#include "dot/quantised.inl.h"

namespace TK_LEVEL {

/** Bytes of weights that stay in the cache while the panels of activations pass. */
constexpr int64_t resident_weights = 256 << 10;

/** The tile that fits the number of tokens exactly. */
template <class Dot, int Groups, int Tokens>
TK_INLINE void tile_for(int tokens, const Matmul& matmul, int64_t group,
                        const typename Dot::Activation* x, int64_t panel, float* out) {
  if (tokens == Tokens) return tile<Dot, Groups, Tokens>(matmul, group, x, panel, out);
  if constexpr (Tokens > 1) tile_for<Dot, Groups, Tokens - 1>(tokens, matmul, group, x, panel, out);
}

/** One group, or two where the registers take both, against `rows` rows of a panel. */
template <class Dot>
static int64_t groups_times_panel(const Matmul& matmul, int64_t group, int64_t last,
                                  const typename Dot::Activation* x, int64_t panel, int64_t rows,
                                  float* out) {
  constexpr int most = Dot::max_sums < most_panel_rows ? Dot::max_sums : most_panel_rows;
  if constexpr (Dot::max_groups == 2) {
    constexpr int most_of_two = Dot::max_sums / 2;
    if (rows <= most_of_two && last - group >= 2) {
      tile_for<Dot, 2, most_of_two>(static_cast<int>(rows), matmul, group, x, panel, out);
      return 2;
    }
  }
  const int64_t part = rows_of_part(rows, most);
  for (int64_t t = 0; t < rows; t += part) {
    const int tokens = static_cast<int>(rows - t < part ? rows - t : part);
    tile_for<Dot, 1, most>(tokens, matmul, group, x + t, panel, out + t * matmul.out_dim);
  }
  return 1;
}

template <class Dot>
static void multiply(const Matmul& matmul, int64_t rows, const void* activations, int64_t first,
                     int64_t last) {
  const auto* x = static_cast<const typename Dot::Activation*>(activations);
  const int64_t blocks = blocks_of<typename Dot::Activation>(matmul.cols);
  const int64_t group_bytes =
      blocks_of<typename Dot::Packed>(matmul.cols) * int64_t{sizeof(typename Dot::Packed)};
  const int64_t panel = panel_rows(rows);
  const int64_t run = rows <= panel                        ? last - first
                      : group_bytes >= resident_weights / 2 ? 2
                                                           : resident_weights / group_bytes;
  for (int64_t begin = first; begin < last; begin += run) {
    const int64_t end = last - begin < run ? last : begin + run;
    for (int64_t row = 0; row < rows; row += panel) {
      const int64_t tokens = rows - row < panel ? rows - row : panel;
      float* out = matmul.out + row * matmul.out_dim;
      for (int64_t group = begin; group < end;) {
        group += groups_times_panel<Dot>(matmul, group, end, x + row * blocks, panel, tokens, out);
      }
    }
  }
}

/** Calls f with the Dot of a weight type. */
template <class F>
TK_INLINE void with_dot(int type, F f) {
  switch (type) {
#define TK_TYPE(name, number, elements, bytes) \
  case number:                                 \
    return f(Dot##name());
#include "tokamak/quant.def"
#undef TK_TYPE
  }
}

/** Groups first .. last-1 for all rows. */
static void matmul(const Matmul& matmul, int64_t rows, const void* activations, int64_t first,
                   int64_t last) {
  with_dot(matmul.type,
           [&](auto dot) { multiply<decltype(dot)>(matmul, rows, activations, first, last); });
}

/** The format of the activations that weights of a type are multiplied with. */
static int activation_format(int type) {
  int format = ACTIVATIONS_FLOAT;
  with_dot(type, [&](auto dot) { format = decltype(dot)::Activation::format; });
  return format;
}

}  // namespace TK_LEVEL
