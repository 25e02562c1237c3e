// SPDX-License-Identifier: Apache-2.0
//
// attention: out = softmax(q K^T * scale) V for the rows of a step, over the paged cache.
//
//   q, out [n, heads, head_dim]    cache: cache.cuh    a row sees the positions 0 .. its own
//
// A query is one head of one row. The query heads that share a head of keys and values lie together
// in tiles of 16 queries, and meet the keys of their sequence 32 at a time (FlashAttention-2, Dao
// 2023). For each query, whatever the tile it is in:
//
//   per 32 keys    s = q . key * scale        products of parts.cuh, 16 values of the head a step
//                  m' = max(m, s);  c = 2^(m - m')
//                  p = 2^(s - m');  l = l * c + p;  o = o * c + p . values    16 keys a step
//   per 256 keys   (m, l, o) is merged into the query's total, and starts again from nothing
//   at the end     o / l
//
// so its bits depend on its position alone. Keys that it does not see get p = 0 and leave m, l and
// o as they are: it does not matter how far a tile goes for its other queries. Where blocks share
// its splits of 256 keys, `combine` merges what they left, in the same order.
//
// Three launches, whose grids depend on the shapes of the step alone; a block without work returns:
//
//   split      rows 0 .. 15, a tile and a split a block: few rows still fill the device
//              grid (kv_heads * pieces, tiles, splits), 1 m tile
//   combine    the same rows, where they have several splits; grid (heads, rows)
//   walk       rows 16 .. n-1, a tile a block, which walks over all its splits
//              grid (kv_heads * pieces, tiles), 4 m tiles
//
// A tile has rows of one sequence that follow each other in the step, so a run of positions shares
// what is loaded, and any other mixture is as right. Rows of long sequences are best put first.
//
//   block 128: 4 warps. Of an m tile's 16 queries x 32 keys, its 1, 2 or 4 warps each compute some
//              keys' scores, exchange them, and each multiply some of the values' columns
//   bytes      the cache of each sequence once, q and out; counted for sequences of full length
//   operations 4 a query, key and value of a head
//   needs      head_dim at most 256; less than the template's is not computed
//
// A NaN or an infinity in q or in a key that a query sees makes its score NaN, and with it l. In a
// value it would reach other queries as 0 * NaN: it is taken out, and l made NaN of those that see
// its key.

#include "attention_tile.cuh"
#include "launch.cuh"

namespace tokamak::cuda {
namespace {

/** Rows at the beginning of a step that the split launch has. */
constexpr int split_rows = 16;

/** The most rows of a run: they fill the queries of a block. */
__host__ __device__ constexpr int most_run(int queries, int group) {
  return group < queries ? queries / group : 1;
}

template <int Dim, int Tiles>
__global__ void __launch_bounds__(threads, 2) attention_split(const Attention work) {
  DYN_SMEM(shared);
  Block<Dim, Tiles> block(work, shared);
  const int rows = min(work.counts[0], split_rows);
  const Run run = find_run(work.sequences, 0, rows, most_run(16 * Tiles, work.group),
                           static_cast<int>(blockIdx.y));
  if (run.count == 0 || !block.take(run)) return;
  int split = static_cast<int>(blockIdx.z);
  if (split * split_keys >= block.keys) return;
  block.load_queries();
  for (; split * split_keys < block.keys; split += static_cast<int>(gridDim.z)) {
    const int begin = split * tiles_of_split;
    const int end = min(begin + tiles_of_split, (block.keys + tile_keys - 1) / tile_keys);
    block.walk(begin, end, [&](const auto& sums) {
      for (int half = 0; half < 2; half++) {
        if (block.position[half] < split * split_keys) continue;  // sees none of it
        if (block.position[half] < split_keys) {
          block.write_out(sums, half);
        } else {
          block.write_split(sums, half, split);
        }
      }
    });
  }
}

template <int Dim, int Tiles>
__global__ void __launch_bounds__(threads, 2) attention_walk(const Attention work) {
  DYN_SMEM(shared);
  Block<Dim, Tiles> block(work, shared);
  for (int number = static_cast<int>(blockIdx.y);; number += static_cast<int>(gridDim.y)) {
    const Run run = find_run(work.sequences, split_rows, work.counts[0],
                             most_run(16 * Tiles, work.group), number);
    if (run.count == 0) return;
    if (!block.take(run)) continue;
    block.load_queries();
    Sums<Block<Dim, Tiles>::vectors> total;
    total.clear();
    block.walk(0, (block.keys + tile_keys - 1) / tile_keys,
               [&](const auto& sums) { total.add(sums); });
    for (int half = 0; half < 2; half++) {
      if (block.position[half] >= 0) block.write_out(total, half);
    }
    __syncthreads();  // before the next queries
  }
}

/** Merges the splits of one head of one row, in order. */
__global__ void __launch_bounds__(threads) attention_combine(const Attention work) {
  const int row = static_cast<int>(blockIdx.y), head = static_cast<int>(blockIdx.x);
  if (row >= work.counts[0] || work.positions[row] < split_keys) return;
  const int splits = work.positions[row] / split_keys + 1;
  const int dim = work.cache.head_dim, stride = cache_row(dim);
  const int64_t query = static_cast<int64_t>(row) * work.heads + head;
  const float2* const sums = work.sums + query * work.splits;
  const float* const values = work.values + query * work.splits * stride;
  for (int d = static_cast<int>(threadIdx.x); d < dim; d += threads) {
    float m = nothing, l = 0, o = 0;
    constexpr int ahead = 8;  // loads that are under way
    for (int split = 0; split < splits; split += ahead) {
      float2 sum[ahead];
      float value[ahead];
      for (int i = 0; i < ahead; i++) {
        const int from = min(split + i, splits - 1);
        sum[i] = sums[from];
        value[i] = values[static_cast<int64_t>(from) * stride + d];
      }
      for (int i = 0; i < ahead; i++) {
        if (split + i >= splits) break;
        const Merge by = merge(m, sum[i].x);
        m = by.m;
        l = merged(by, l, sum[i].y);
        o = merged(by, o, value[i]);
      }
    }
    work.out[query * dim + d] = finished(o, 1 / l);
  }
}

// ---- launches -----------------------------------------------------------------------------

/** What every device from capability 8.0 on grants a block; 8.6, 8.9 and 12.0 no more than this. */
constexpr int most_shared = 99 << 10;

/** Two loads under way where they fit, else one. */
template <int Dim, int Tiles>
constexpr int shared_bytes(int tile_bytes, int stages) {
  return Shape<Dim, Tiles>::load_offset + stages * 2 * tile_bytes;
}
template <int Dim, int Tiles>
constexpr int stages_of(int tile_bytes) {
  return shared_bytes<Dim, Tiles>(tile_bytes, 2) <= most_shared ? 2 : 1;
}

/** About as many blocks as a large device can have at once; more would have less to do each. */
constexpr int most_split_blocks = 512;
/** Blocks of the walk beyond those that rows of one sequence need; each may take several runs. */
constexpr int more_walk_blocks = 64;

/** Blocks for the heads of a group that has more than a block has queries. */
unsigned columns(const Attention& work, int queries) {
  return static_cast<unsigned>(work.cache.kv_heads * ((work.group + queries - 1) / queries));
}

template <int Dim>
int launch_split(const tk_cuda_step* step, Attention work) {
  constexpr int tiles = 1;
  work.stages = stages_of<Dim, tiles>(work.cache.tile_bytes);
  dim3 blocks(columns(work, 16 * tiles), static_cast<unsigned>(min(step->rows, split_rows)));
  blocks.z = static_cast<unsigned>(
      min(work.splits, max(1, most_split_blocks / static_cast<int>(blocks.x * blocks.y))));
  const auto bytes =
      static_cast<size_t>(shared_bytes<Dim, tiles>(work.cache.tile_bytes, work.stages));
  return launch(step->stream, {blocks, dim3(threads), bytes}, attention_split<Dim, tiles>, work);
}

template <int Dim, int Tiles>
int launch_walk(const tk_cuda_step* step, Attention work) {
  work.stages = stages_of<Dim, Tiles>(work.cache.tile_bytes);
  const int rows = step->rows - split_rows, most = most_run(16 * Tiles, work.group);
  const dim3 blocks(columns(work, 16 * Tiles),
                    static_cast<unsigned>(min(rows, (rows + most - 1) / most + more_walk_blocks)));
  const auto bytes =
      static_cast<size_t>(shared_bytes<Dim, Tiles>(work.cache.tile_bytes, work.stages));
  return launch(step->stream, {blocks, dim3(threads), bytes}, attention_walk<Dim, Tiles>, work);
}

/** Four m tiles; of 256 values two, whose sums fit into the registers of two warps each, or one
 *  where the keys are F32 and even one load would pass most_shared. */
template <int Dim>
int launch_all(const tk_cuda_step* step, const Attention& work) {
  int status = launch_split<Dim>(step, work);
  if (status == TK_OK && work.splits > 1) {
    const dim3 blocks(static_cast<unsigned>(work.heads),
                      static_cast<unsigned>(min(step->rows, split_rows)));
    status = launch(step->stream, {blocks, dim3(threads)}, attention_combine, work);
  }
  if (status != TK_OK || step->rows <= split_rows) return status;
  if constexpr (Dim <= 128) {
    return launch_walk<Dim, 4>(step, work);
  } else {
    return shared_bytes<Dim, 2>(work.cache.tile_bytes, 1) <= most_shared
               ? launch_walk<Dim, 2>(step, work)
               : launch_walk<Dim, 1>(step, work);
  }
}

int64_t splits_of(int64_t positions) { return (positions + split_keys - 1) / split_keys; }

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_attention_bytes(int rows, int64_t heads, int64_t head_dim, int64_t positions) {
  Arguments arguments("tk_cuda_attention_bytes");
  arguments.range("rows", rows, 1, most_rows)
      .range("heads", heads, 1, most_rows)
      .range("head_dim", head_dim, 1, most_head_dim)
      .range("positions", positions, 1, INT32_MAX);
  if (arguments.status() != TK_OK) return -1;
  const int64_t splits = splits_of(positions);
  if (splits == 1) return 0;
  const int64_t one = (cache_row(static_cast<int>(head_dim)) + 2) * int64_t{sizeof(float)};
  return min(rows, split_rows) * heads * splits * one;
}

int tk_cuda_attention(tk_cuda_step* step, int layer, const float* q, int64_t heads, float scale,
                      void* scratch, float* out) {
  Arguments arguments("tk_cuda_attention");
  arguments.step(step)
      .pointer("q", q)
      .range("heads", heads, 1, most_rows)
      .that(__builtin_isfinite(scale), TK_BAD_ARGUMENT, "scale must be finite")
      .pointer("out", out);
  check_cache(arguments, step, layer);
  if (arguments.status() != TK_OK) return arguments.status();
  Attention work{};
  work.cache = cache_layer(step, layer);
  const int64_t positions = int64_t{step->pages_per_sequence} * TK_PAGE_TOKENS;
  work.splits = static_cast<int>(splits_of(positions));
  arguments.multiple("heads", heads, "kv_heads", work.cache.kv_heads)
      .width("heads * head_dim", heads * work.cache.head_dim);
  if (work.splits > 1) arguments.pointer("scratch", static_cast<const float2*>(scratch));
  if (arguments.status() != TK_OK) return arguments.status();
  work.counts = step->counts;
  work.positions = step->positions;
  work.sequences = step->sequences;
  work.page_table = step->page_table;
  work.pages_per_sequence = step->pages_per_sequence;
  work.q = q;
  work.out = out;
  work.heads = static_cast<int>(heads);
  work.group = static_cast<int>(heads) / work.cache.kv_heads;
  work.scale = scale * 1.44269504088896341f;
  work.sums = static_cast<float2*>(scratch);
  work.values = reinterpret_cast<float*>(
      work.sums + int64_t{min(step->rows, split_rows)} * heads * work.splits);

  const int dim = work.cache.head_dim;
  const int status = dim <= 64    ? launch_all<64>(step, work)
                     : dim <= 128 ? launch_all<128>(step, work)
                                  : launch_all<256>(step, work);
  const double values = double(heads) * dim * step->rows;
  const double sequences = min(step->rows, step->max_sequences);
  report_work(8 * values + sequences * double(positions) / TK_PAGE_TOKENS * 2 *
                               work.cache.kv_heads * work.cache.tile_bytes,
              4 * values * double(positions));
  return status;
}
