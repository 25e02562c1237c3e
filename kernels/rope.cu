// SPDX-License-Identifier: Apache-2.0
//
// rope, store: turn the queries and keys of a step by their positions and append keys and values to
// the cache. One kernel serves the three functions of the ABI, so that a step needs one launch
// where it can and the bits are the same where it cannot.
//
//   q [n, heads, head_dim]   k, v [n, kv_heads, head_dim]   table [positions, rotary_dim]
//   turned     (a, b) -> (a cos - b sin, a sin + b cos), in place, in q and k
//   stored     a turned row of k and a row of v at slot position % 16 of their page (cache.cuh)
//   grid (heads / 8, rows), block 256: a warp has one head of one row of q, k or v
//   needs      rotary_dim even and at most head_dim; positions below the rows of the table
//   bytes      8 a value that is turned, 4 and those of the cache a value that is stored
//   operations 3 a value that is turned (its products are rounded apart from their sum, as a fused
//              multiply-add rounds it: one rounding less than on a CPU without)
//
// Rounding is to nearest, even on a tie. Q8_0: scale = largest magnitude of the 32 values / 127,
// rounded to F16; value = round(x / scale). A block with NaN or infinity gets a NaN scale, so that
// it is not lost.

#include "arguments.h"
#include "cache.cuh"
#include "launch.cuh"

namespace tokamak::cuda {
namespace {

constexpr int warps_of_block = 8;
constexpr unsigned whole_warp = ~0u;

/** What the launch does: nothing to q where heads is 0, nothing to k and v where kv_heads is 0,
 *  no turning where table is null, no storing where cache.keys is null. */
struct RopeStore {
  const int32_t* counts;
  const int32_t* positions;
  const int32_t* sequences;
  const int32_t* page_table;
  int pages_per_sequence;
  CacheLayer cache;
  float* q;
  float* k;
  const float* v;
  int heads, kv_heads, head_dim, rotary_dim, pairing;
  const float* table;
};

/** Turns one head of one row; a lane has every 32nd pair. */
FN void turn(const RopeStore& work, int lane, int position, float* x) {
  const int half = work.rotary_dim / 2;
  const float* cosines = work.table + static_cast<int64_t>(position) * work.rotary_dim;
  const float* sines = cosines + half;
  const bool interleaved = work.pairing == TK_PAIRING_INTERLEAVED;
  for (int i = lane; i < half; i += 32) {
    float* const first = interleaved ? x + 2 * i : x + i;
    float* const second = interleaved ? first + 1 : first + half;
    const float a = *first, b = *second;
    *first = fmaf(-b, sines[i], a * cosines[i]);
    *second = fmaf(b, cosines[i], a * sines[i]);
  }
}

/** Stores 32 values, one a lane, with their scale. */
FN void store_block(int lane, float value, char* to, char* scale) {
  float largest = fabsf(value);
  for (int distance = 16; distance > 0; distance /= 2) {
    largest = fmaxf(largest, __shfl_xor_sync(whole_warp, largest, distance));
  }
  const bool finite = __all_sync(whole_warp, isfinite(value));
  const uint16_t half = ptx::float_to_half(finite ? largest / 127 : __uint_as_float(0x7fc00000));
  const float step = ptx::half_to_float(half);
  // 127.06 at most, where the scale was rounded down
  *reinterpret_cast<int8_t*>(to + lane) =
      static_cast<int8_t>(rintf(step > 0 ? value * (1 / step) : 0));
  if (lane == 0) *reinterpret_cast<uint16_t*>(scale) = half;
}

/** Stores one head of one row at `row` of its tile. */
FN void store_head(const CacheLayer& cache, int lane, const float* x, char* tile, int row) {
  char* const to = tile + row * cache.row_bytes;
  if (cache.type == TYPE_Q8_0) {
    for (int block = 0; block < cache.head_dim / cache_block; block++) {
      store_block(lane, x[block * cache_block + lane], to + block * cache_block,
                  cache_scale(tile, row, block, cache.head_dim));
    }
    return;
  }
  for (int d = lane; d < cache_row(cache.head_dim); d += 32) {
    const float value = d < cache.head_dim ? x[d] : 0;
    if (cache.type == TYPE_F32) {
      reinterpret_cast<float*>(to)[d] = value;
    } else {
      reinterpret_cast<uint16_t*>(to)[d] =
          cache.type == TYPE_F16 ? ptx::float_to_half(value) : ptx::float_to_bf16(value);
    }
  }
}

__global__ void __launch_bounds__(32 * warps_of_block) rope_store(const RopeStore work) {
  const int row = static_cast<int>(blockIdx.y), lane = static_cast<int>(threadIdx.x % 32);
  if (row >= work.counts[0]) return;
  // heads of q, then of k, then of v
  int head = static_cast<int>(blockIdx.x * warps_of_block + threadIdx.x / 32);
  const int position = work.positions[row];
  if (head < work.heads) {
    turn(work, lane, position,
         work.q + (static_cast<int64_t>(row) * work.heads + head) * work.head_dim);
    return;
  }
  head -= work.heads;
  if (head >= 2 * work.kv_heads) return;
  const bool key = head < work.kv_heads;
  if (!key) head -= work.kv_heads;
  const int64_t at = (static_cast<int64_t>(row) * work.kv_heads + head) * work.head_dim;
  if (key && work.table != nullptr) {
    turn(work, lane, position, work.k + at);
    __syncwarp();  // the lanes read what others have turned
  }
  const int page = work.page_table[static_cast<int64_t>(work.sequences[row]) *
                                       work.pages_per_sequence +
                                   position / TK_PAGE_TOKENS];
  store_head(work.cache, lane, (key ? work.k : work.v) + at,
             (key ? work.cache.keys : work.cache.values) + work.cache.tile(page, head),
             position % TK_PAGE_TOKENS);
}

RopeStore work_of(const tk_cuda_step* step) {
  RopeStore work{};
  work.counts = step->counts;
  work.positions = step->positions;
  work.sequences = step->sequences;
  work.page_table = step->page_table;
  work.pages_per_sequence = step->pages_per_sequence;
  return work;
}

void add_cache(const tk_cuda_step* step, int layer, RopeStore& work) {
  work.cache = cache_layer(step, layer);
  work.kv_heads = work.cache.kv_heads;
  work.head_dim = work.cache.head_dim;
}

int launch_rope_store(const tk_cuda_step* step, const RopeStore& work) {
  const int heads = work.heads + 2 * work.kv_heads;
  const double turned =
      work.table == nullptr
          ? 0
          : double(step->rows) * (work.heads + work.kv_heads) * work.rotary_dim;
  const double stored = 2.0 * step->rows * work.kv_heads;  // heads
  report_work(8 * turned + stored * (4.0 * work.head_dim + work.cache.tile_bytes / TK_PAGE_TOKENS),
              3 * turned);
  const dim3 blocks(static_cast<unsigned>((heads + warps_of_block - 1) / warps_of_block),
                    static_cast<unsigned>(step->rows));
  return launch(step->stream, {blocks, dim3(32 * warps_of_block)}, rope_store, work);
}

void check_rope(Arguments& arguments, int64_t head_dim, int64_t rotary_dim, int pairing,
                const float* table, int64_t table_rows) {
  arguments.range("rotary_dim", rotary_dim, 2, head_dim)
      .multiple("rotary_dim", rotary_dim, "the size of a pair", 2)
      .range("pairing", pairing, TK_PAIRING_INTERLEAVED, TK_PAIRING_HALF_SPLIT)
      .pointer("table", table)
      .range("table_rows", table_rows, 1, INT32_MAX);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) {
  const char* const function = "tk_cuda_cache_bytes";
  Arguments arguments(function);
  arguments.range("layers", layers, 1, most_rows)
      .range("kv_heads", kv_heads, 1, most_rows)
      .range("head_dim", head_dim, 1, most_head_dim)
      .range("pages", pages, 1, INT32_MAX)
      .that(cache_value_bytes(type) != 0, TK_UNSUPPORTED,
            "no cache of this type: must be F32, F16, BF16 or Q8_0");
  if (type == TYPE_Q8_0) arguments.multiple("head_dim", head_dim, "block", cache_block);
  if (arguments.status() != TK_OK) return -1;
  int64_t bytes = int64_t{2} * cache_tile_bytes(type, head_dim);
  if (__builtin_mul_overflow(bytes, int64_t{layers} * kv_heads, &bytes) ||
      __builtin_mul_overflow(bytes, int64_t{pages}, &bytes)) {
    refuse(TK_BAD_ARGUMENT, "%s: layers=%d, kv_heads=%d, head_dim=%d, pages=%d: too large",
           function, layers, kv_heads, head_dim, pages);
    return -1;
  }
  return bytes;
}

int tk_cuda_cache(tk_cuda_step* step, int type, int layers, int kv_heads, int head_dim, int pages,
                  void* memory) {
  Arguments arguments("tk_cuda_cache");
  arguments.step(step).pointer("memory", memory).aligned("memory", memory, 256);
  if (arguments.status() != TK_OK) return arguments.status();
  arguments.that(step->cache.memory == nullptr, TK_BAD_ARGUMENT, "the step has a cache already");
  if (arguments.status() != TK_OK) return arguments.status();
  if (tk_cuda_cache_bytes(type, layers, kv_heads, head_dim, pages) < 0) return TK_BAD_ARGUMENT;
  step->cache = {type, layers, kv_heads, head_dim, pages, memory};
  return TK_OK;
}

int tk_cuda_rope(tk_cuda_step* step, float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim,
                 int pairing, const float* table, int64_t table_rows) {
  Arguments arguments("tk_cuda_rope");
  arguments.step(step)
      .pointer("x", x)
      .range("heads", heads, 1, most_rows)
      .range("head_dim", head_dim, 2, most_rows)
      .width("heads * head_dim", heads * head_dim);
  check_rope(arguments, head_dim, rotary_dim, pairing, table, table_rows);
  if (arguments.status() != TK_OK) return arguments.status();
  RopeStore work = work_of(step);
  work.q = x;
  work.heads = static_cast<int>(heads);
  work.head_dim = static_cast<int>(head_dim);
  work.rotary_dim = static_cast<int>(rotary_dim);
  work.pairing = pairing;
  work.table = table;
  return launch_rope_store(step, work);
}

int tk_cuda_store(tk_cuda_step* step, int layer, const float* k, const float* v) {
  Arguments arguments("tk_cuda_store");
  arguments.step(step).pointer("k", k).pointer("v", v);
  check_cache(arguments, step, layer);
  if (arguments.status() != TK_OK) return arguments.status();
  RopeStore work = work_of(step);
  add_cache(step, layer, work);
  work.k = const_cast<float*>(k);  // not turned: only read
  work.v = v;
  return launch_rope_store(step, work);
}

int tk_cuda_rope_store(tk_cuda_step* step, int layer, float* q, int64_t heads, float* k,
                       const float* v, int64_t rotary_dim, int pairing, const float* table,
                       int64_t table_rows) {
  Arguments arguments("tk_cuda_rope_store");
  arguments.step(step)
      .pointer("q", q)
      .range("heads", heads, 1, most_rows)
      .pointer("k", k)
      .pointer("v", v);
  check_cache(arguments, step, layer);
  if (arguments.status() != TK_OK) return arguments.status();
  check_rope(arguments, step->cache.head_dim, rotary_dim, pairing, table, table_rows);
  if (arguments.status() != TK_OK) return arguments.status();
  RopeStore work = work_of(step);
  add_cache(step, layer, work);
  work.q = q;
  work.k = k;
  work.v = v;
  work.heads = static_cast<int>(heads);
  work.rotary_dim = static_cast<int>(rotary_dim);
  work.pairing = pairing;
  work.table = table;
  return launch_rope_store(step, work);
}
