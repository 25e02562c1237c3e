// SPDX-License-Identifier: Apache-2.0
//
// The layout of the paged KV cache, to the byte: the one place that computes its addresses.
//
//   memory   [layers][keys, values][pages][kv_heads] tiles
//   tile     one head's keys, or values, of TK_PAGE_TOKENS consecutive positions
//     F32, F16, BF16   values [16][row]; row is head_dim rounded up to 8, the rest zeros
//     Q8_0             int8 [16][head_dim], then scales F16 [16][head_dim / 32];
//                      a scale covers 32 consecutive values of one position
//
// A tile is one run of bytes, a multiple of 32 long, so a page is fetched in whole sectors by
// copies of 16 bytes whatever the shape. Both keys and values lie position by position: attention
// turns them as ldmatrix reads them.

#pragma once

#include <stdint.h>

#include "arguments.h"
#include "ptx.cuh"
#include "step.h"
#include "tokamak/tokamak.h"
#include "types.h"

namespace tokamak::cuda {

/** Values that share a scale in a Q8_0 cache. */
constexpr int cache_block = 32;

/** The largest head_dim that attention takes. */
constexpr int most_head_dim = 256;

/** Bytes of one value; 0: not a cache type. */
constexpr int cache_value_bytes(int type) {
  return type == TYPE_F32                        ? 4
         : type == TYPE_F16 || type == TYPE_BF16 ? 2
         : type == TYPE_Q8_0                     ? 1
                                                 : 0;
}

/** Values of a row in a tile. */
__host__ __device__ constexpr int cache_row(int head_dim) { return (head_dim + 7) / 8 * 8; }

constexpr int cache_tile_bytes(int type, int head_dim) {
  const int values = TK_PAGE_TOKENS * cache_row(head_dim) * cache_value_bytes(type);
  return type == TYPE_Q8_0 ? values + TK_PAGE_TOKENS * (head_dim / cache_block) * 2 : values;
}

/** The keys and values of one layer, as kernels get them. */
struct CacheLayer {
  int type, kv_heads, head_dim;
  int row_bytes, tile_bytes;
  char* keys;    // [pages][kv_heads] tiles
  char* values;

  FN int64_t tile(int page, int kv_head) const {
    return (static_cast<int64_t>(page) * kv_heads + kv_head) * tile_bytes;
  }
};

/** Of a step whose cache and layer are in order. */
inline CacheLayer cache_layer(const tk_cuda_step* step, int layer) {
  const auto& cache = step->cache;
  const int tile_bytes = cache_tile_bytes(cache.type, cache.head_dim);
  const int64_t half = static_cast<int64_t>(cache.pages) * cache.kv_heads * tile_bytes;
  char* const keys = static_cast<char*>(cache.memory) + 2 * layer * half;
  return {cache.type,
          cache.kv_heads,
          cache.head_dim,
          cache_row(cache.head_dim) * cache_value_bytes(cache.type),
          tile_bytes,
          keys,
          keys + half};
}

inline void check_cache(Arguments& arguments, const tk_cuda_step* step, int layer) {
  if (arguments.status() != TK_OK) return;
  arguments.that(step->cache.memory != nullptr, TK_BAD_ARGUMENT,
                 "the step has no cache: call tk_cuda_cache first");
  arguments.range("layer", layer, 0, step->cache.layers - 1);
}

/** The scale of the `block`th 32 values of a row of a Q8_0 tile. */
template <typename Byte>
FN Byte* cache_scale(Byte* tile, int row, int block, int head_dim) {
  return tile + TK_PAGE_TOKENS * head_dim + (row * (head_dim / cache_block) + block) * 2;
}

}  // namespace tokamak::cuda
