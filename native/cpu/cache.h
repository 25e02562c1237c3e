// SPDX-License-Identifier: Apache-2.0
//
// The layout of the paged KV cache, to the byte. Memory is [layers][pages][kv_heads] tiles; a
// tile holds the keys and values of TK_PAGE_TOKENS consecutive positions of one head:
//
//   F32, F16, BF16   K [head_dim][16], V [16][padded]
//   Q8_0             K scales F16 [head_dim/32][16], K int8 [head_dim][16],
//                    V scales F16 [16][head_dim/32], V int8 [16][head_dim];
//                    a scale covers 32 consecutive values of one position
//
// and is rounded up to 64 bytes. K is transposed so that the scores of 16 positions come from
// adding q[d] * K[d][0..15] over d: no horizontal sums. `padded` is head_dim rounded up to 16, so
// that each row of V is whole vectors; what the padding holds is read and comes to nothing.

#pragma once

#include <stdint.h>

#include "tokamak/tokamak.h"

namespace tokamak::cpu {

/** Type numbers of the GGUF specification. */
enum Type {
#define TK_TYPE(name, number, elements, bytes) TYPE_##name = number,
#include "tokamak/quant.def"
#undef TK_TYPE
};

struct Cache {
  int type;
  int layers, kv_heads, head_dim, pages;
  int64_t tile_bytes;
  char* memory;
};

static inline char* tile_of(const Cache& cache, int64_t layer, int64_t page, int64_t head) {
  return cache.memory + ((layer * cache.pages + page) * cache.kv_heads + head) * cache.tile_bytes;
}

static constexpr int64_t padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

/** Values that share a scale in a Q8_0 cache. */
constexpr int cache_block = 32;

/** Bytes of one value's place; 0: not a cache type. */
static constexpr int64_t cache_value_bytes(int type) {
  return type == TYPE_F32 ? 4 : type == TYPE_F16 || type == TYPE_BF16 ? 2 : type == TYPE_Q8_0 ? 1 : 0;
}

/** Where the parts of a tile begin, in bytes. */
struct TileLayout {
  int64_t k_scales, k, v_scales, v, bytes;
};

static constexpr TileLayout tile_layout(int type, int64_t head_dim) {
  const int64_t value = cache_value_bytes(type);
  const int64_t scales =
      type == TYPE_Q8_0 ? head_dim / cache_block * TK_PAGE_TOKENS * 2 : 0;
  TileLayout layout{};
  layout.k_scales = 0;
  layout.k = scales;
  layout.v_scales = layout.k + head_dim * TK_PAGE_TOKENS * value;
  layout.v = layout.v_scales + scales;
  layout.bytes = (layout.v + TK_PAGE_TOKENS * padded_dim(head_dim) * value + 63) / 64 * 64;
  return layout;
}

}  // namespace tokamak::cpu
