// SPDX-License-Identifier: Apache-2.0
//
// Attention among the rows of a training step, and its gradients (Dao et al. 2022): scores are never
// stored, the gradients make them again from the logarithms of the softmaxes' sums.
//   q, out, their gradients [n, heads, head_dim]   k, v, theirs [n, kv_heads, head_dim]
//   log_sums [n, heads]   starts [n], the first row of each row's sequence, ascending
//   row_tile.cuh says what a block of which kernel does; grid: (tiles of 16 rows a warp, heads)
//   bytes: each value once     operations: 4 head_dim for each score, the gradients 14
//
// The gradients of queries and of keys are two kernels, which make the scores twice: 7 products in
// place of 5, and no sum that blocks would have to take turns for.
//
// Sum order: tiles of streamed rows ascending, for keys the heads of a group one after the other.

#include "row_tile.cuh"

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"
#include "step.h"
#include "tokamak/tokamak_cuda_train.h"

namespace tokamak::cuda {
namespace {

constexpr float nothing = -__builtin_inff();

/** The two queries of a lane: rows first + g, first + 8 + g; none: their start is beyond all. */
struct Queries {
  int row[2], start[2];

  FN Queries(const TrainAttention& work, int first, int lane) {
    for (int half = 0; half < 2; half++) {
      row[half] = first + 8 * half + lane / 4;
      start[half] = row[half] < work.rows ? work.starts[row[half]] : 0x7fffffff;
    }
  }
  FN bool sees(int half, int key) const { return key >= start[half] && key <= row[half]; }
};

template <int Dim, int Planes>
__global__ void __launch_bounds__(AttentionShape<Dim, Planes>::threads)
    train_attention(const TrainAttention work) {
  using S = AttentionShape<Dim, Planes>;
  DYN_SMEM(memory);
  const RowTile<Dim, Planes, S::owned> queries{reinterpret_cast<char*>(memory)};
  const RowTile<Dim, Planes, S::streamed> keys{queries.memory + queries.bytes};
  const RowTile<Dim, Planes, S::streamed> values{keys.memory + keys.bytes};
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y), dim = work.head_dim;
  // the last rows, which see most, first
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * S::owned;
  const int end = min(first + S::owned, work.rows);
  const int64_t q_stride = int64_t{work.heads} * dim, k_stride = int64_t{work.kv_heads} * dim;
  const int64_t k_at = int64_t{head / (work.heads / work.kv_heads)} * dim;

  queries.template load<S::threads>(work.q + int64_t{head} * dim, q_stride, first, end, dim,
                                    work.aligned);
  const int own = first + 16 * warp;
  const Queries query(work, own, lane);
  float m[2] = {nothing, nothing}, l[2] = {0, 0}, o[Dim / 8][4] = {};
  const float scale = work.scale * log2_e;
#pragma unroll 1
  for (int tile = work.starts[first] / S::streamed * S::streamed; tile < end; tile += S::streamed) {
    __syncthreads();  // nobody reads the tiles before any more
    keys.template load<S::threads>(work.k + k_at, k_stride, tile, end, dim, work.aligned);
    values.template load<S::threads>(work.v + k_at, k_stride, tile, end, dim, work.aligned);
    __syncthreads();
    if (tile > own + 15 || own >= work.rows) continue;  // nothing that this warp's queries see
    float s[S::streamed / 8][4];
    scores_of<Dim, Planes, S::owned, S::streamed>(s, queries, 16 * warp, keys, work.steps(), lane);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float highest = nothing;
#pragma unroll
      for (int j = 0; j < S::streamed / 8; j++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
          float& score = s[j][2 * half + i];
          score = query.sees(half, tile + 8 * j + lane % 4 * 2 + i) ? score * scale : nothing;
          highest = fmaxf(highest, score);
        }
      }
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
      highest = fmaxf(highest, m[half]);
      const float from = highest == nothing ? 0 : highest;  // nothing - nothing is NaN
      const float correction = exp2f(m[half] - from);
      m[half] = highest;
      l[half] *= correction;
#pragma unroll
      for (int j = 0; j < S::streamed / 8; j++) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; i++) {
          s[j][i] = exp2f(s[j][i] - from);
          l[half] += s[j][i];
        }
      }
#pragma unroll
      for (int c = 0; c < Dim / 8; c++) {
        o[c][2 * half] *= correction;
        o[c][2 * half + 1] *= correction;
      }
    }
    add_rows<Dim / 8, Dim, Planes, S::streamed>(o, s, values, 0, work.steps(), lane);
  }
  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    l[half] += __shfl_xor_sync(~0u, l[half], 1);
    l[half] += __shfl_xor_sync(~0u, l[half], 2);
    inverse[half] = 1 / l[half];
    if (lane % 4 == 0 && query.row[half] < work.rows) {
      work.out_log_sums[int64_t{query.row[half]} * work.heads + head] =
          ln_2 * m[half] + logf(l[half]);
    }
  }
  write_rows(o, inverse, work.out + int64_t{head} * dim, q_stride, own, end, 0, dim, lane);
}

/** products [n, heads]: of out_gradient and out, head by head; a warp each. */
__global__ void __launch_bounds__(256)
    attention_products(const float* out, const float* out_gradient, int64_t heads, int dim,
                       float* products) {
  const int64_t head = static_cast<int64_t>(blockIdx.x) * 8 + threadIdx.x / 32;
  if (head >= heads) return;
  float sum = 0;
  for (int i = threadIdx.x % 32; i < dim; i += 32) {
    sum = fmaf(out[head * dim + i], out_gradient[head * dim + i], sum);
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) products[head] = sum;
}

/** The weight of a score, made again, and with dp the gradient of the score. */
FN float weight_of(float score, float scale, float log_sum) {
  return exp2f(fmaf(score, scale * log2_e, -log_sum * log2_e));
}

template <int Dim, int Planes>
__global__ void __launch_bounds__(AttentionShape<Dim, Planes>::threads)
    attention_gradient_q(const TrainAttention work) {
  using S = AttentionShape<Dim, Planes>;
  DYN_SMEM(memory);
  const RowTile<Dim, Planes, S::owned> queries{reinterpret_cast<char*>(memory)};
  const RowTile<Dim, Planes, S::owned> slopes{queries.memory + queries.bytes};
  const RowTile<Dim, Planes, S::streamed> keys{slopes.memory + slopes.bytes};
  const RowTile<Dim, Planes, S::streamed> values{keys.memory + keys.bytes};
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int head = static_cast<int>(blockIdx.y), dim = work.head_dim;
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * S::owned;
  const int end = min(first + S::owned, work.rows);
  const int64_t q_stride = int64_t{work.heads} * dim, k_stride = int64_t{work.kv_heads} * dim;
  const int64_t q_at = int64_t{head} * dim;
  const int64_t k_at = int64_t{head / (work.heads / work.kv_heads)} * dim;

  queries.template load<S::threads>(work.q + q_at, q_stride, first, end, dim, work.aligned);
  slopes.template load<S::threads>(work.out_gradient + q_at, q_stride, first, end, dim,
                                   work.aligned);
  const int own = first + 16 * warp;
  const Queries query(work, own, lane);
  float log_sum[2] = {}, product[2] = {};
  for (int half = 0; half < 2; half++) {
    if (query.row[half] >= work.rows) continue;
    const int64_t at = int64_t{query.row[half]} * work.heads + head;
    log_sum[half] = work.log_sums[at], product[half] = work.products[at];
  }
  float sum[Dim / 8][4] = {};
#pragma unroll 1
  for (int tile = work.starts[first] / S::streamed * S::streamed; tile < end; tile += S::streamed) {
    __syncthreads();  // nobody reads the tiles before any more
    keys.template load<S::threads>(work.k + k_at, k_stride, tile, end, dim, work.aligned);
    values.template load<S::threads>(work.v + k_at, k_stride, tile, end, dim, work.aligned);
    __syncthreads();
    if (tile > own + 15 || own >= work.rows) continue;
    float s[S::streamed / 8][4], dp[S::streamed / 8][4];
    scores_of<Dim, Planes, S::owned, S::streamed>(s, queries, 16 * warp, keys, work.steps(), lane);
    scores_of<Dim, Planes, S::owned, S::streamed>(dp, slopes, 16 * warp, values, work.steps(),
                                                  lane);
#pragma unroll
    for (int j = 0; j < S::streamed / 8; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int half = i / 2;
        const bool seen = query.sees(half, tile + 8 * j + lane % 4 * 2 + i % 2);
        const float p = weight_of(s[j][i], work.scale, log_sum[half]);
        s[j][i] = seen ? p * (dp[j][i] - product[half]) : 0;
      }
    }
    add_rows<Dim / 8, Dim, Planes, S::streamed>(sum, s, keys, 0, work.steps(), lane);
  }
  const float factor[2] = {work.scale, work.scale};
  write_rows(sum, factor, work.out + q_at, q_stride, own, end, 0, dim, lane);
}

/** How many of the ascending starts are at most `row`: the rows behind are of later sequences. */
FN int rows_until(const int32_t* starts, int rows, int row) {
  int low = 0, high = rows;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (starts[middle] <= row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

template <int Dim, int Planes>
__global__ void __launch_bounds__(AttentionShape<Dim, Planes>::threads)
    attention_gradient_kv(const TrainAttention work) {
  using S = AttentionShape<Dim, Planes>;
  DYN_SMEM(memory);
  const RowTile<Dim, Planes, S::owned> keys{reinterpret_cast<char*>(memory)};
  const RowTile<Dim, Planes, S::owned> values{keys.memory + keys.bytes};
  const RowTile<Dim, Planes, S::streamed> queries{values.memory + values.bytes};
  const RowTile<Dim, Planes, S::streamed> slopes{queries.memory + queries.bytes};
  // not static: a kernel that asks for all the dynamic memory there is must have no other
  float* const log_sums = reinterpret_cast<float*>(slopes.memory + slopes.bytes);
  float* const products = log_sums + S::streamed;
  int* const starts = reinterpret_cast<int*>(products + S::streamed);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int kv_head = static_cast<int>(blockIdx.y), dim = work.head_dim;
  const int column = static_cast<int>(blockIdx.z) * S::columns;
  const int first = static_cast<int>(blockIdx.x) * S::owned;
  const int end = min(first + S::owned, work.rows);
  const int group = work.heads / work.kv_heads;
  const int64_t q_stride = int64_t{work.heads} * dim, k_stride = int64_t{work.kv_heads} * dim;
  const int64_t k_at = int64_t{kv_head} * dim;

  keys.template load<S::threads>(work.k + k_at, k_stride, first, end, dim, work.aligned);
  values.template load<S::threads>(work.v + k_at, k_stride, first, end, dim, work.aligned);
  const int own = first + 16 * warp;
  const int last = rows_until(work.starts, work.rows, end - 1);
  float dk[S::columns / 8][4] = {}, dv[S::columns / 8][4] = {};
#pragma unroll 1
  for (int head = kv_head * group; head < (kv_head + 1) * group; head++) {
    const int64_t q_at = int64_t{head} * dim;
#pragma unroll 1
    for (int tile = first; tile < last; tile += S::streamed) {
      __syncthreads();  // nobody reads the tiles before any more
      queries.template load<S::threads>(work.q + q_at, q_stride, tile, last, dim, work.aligned);
      slopes.template load<S::threads>(work.out_gradient + q_at, q_stride, tile, last, dim,
                                       work.aligned);
      if (thread < S::streamed) {
        const bool there = tile + thread < last;
        const int64_t at = int64_t{tile + thread} * work.heads + head;
        log_sums[thread] = there ? work.log_sums[at] : 0;
        products[thread] = there ? work.products[at] : 0;
        starts[thread] = there ? work.starts[tile + thread] : 0x7fffffff;
      }
      __syncthreads();
      if (tile + S::streamed <= own || own >= work.rows) continue;  // queries before these keys
      float s[S::streamed / 8][4], dp[S::streamed / 8][4];
      scores_of<Dim, Planes, S::owned, S::streamed>(s, keys, 16 * warp, queries, work.steps(),
                                                    lane);
      scores_of<Dim, Planes, S::owned, S::streamed>(dp, values, 16 * warp, slopes, work.steps(),
                                                    lane);
#pragma unroll
      for (int j = 0; j < S::streamed / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const int query = 8 * j + lane % 4 * 2 + i % 2, key = own + 8 * (i / 2) + lane / 4;
          const bool seen = key >= starts[query] && key <= tile + query;
          const float p = weight_of(s[j][i], work.scale, log_sums[query]);
          s[j][i] = seen ? p : 0;
          dp[j][i] = seen ? p * (dp[j][i] - products[query]) : 0;
        }
      }
      const int chunk = column / 8;
      add_rows<S::columns / 8, Dim, Planes, S::streamed>(dv, s, slopes, chunk, work.steps(), lane);
      add_rows<S::columns / 8, Dim, Planes, S::streamed>(dk, dp, queries, chunk, work.steps(),
                                                         lane);
    }
  }
  const float one[2] = {1, 1}, factor[2] = {work.scale, work.scale};
  write_rows(dv, one, work.v_gradient + k_at, k_stride, own, end, column, dim, lane);
  write_rows(dk, factor, work.k_gradient + k_at, k_stride, own, end, column, dim, lane);
}

// ---- launches -----------------------------------------------------------------------------

/** A grid of blocks with so many owned and two streamed tiles, and three words for each streamed row;
 *  z: pieces of the columns. */
template <int Dim, int Planes>
Grid grid_of(const TrainAttention& work, int heads, int owned_tiles, int columns = 1) {
  using S = AttentionShape<Dim, Planes>;
  constexpr size_t row_bytes = size_t{2} * Dim * Planes;
  constexpr size_t words = size_t{3 * 4} * S::streamed;
  static_assert(row_bytes * 2 * (S::owned + S::streamed) + words <= 99 << 10);
  return {dim3(static_cast<unsigned>((work.rows + S::owned - 1) / S::owned),
               static_cast<unsigned>(heads), static_cast<unsigned>(columns)),
          dim3(S::threads), row_bytes * (owned_tiles * S::owned + 2 * S::streamed) + words};
}

template <int Dim, int Planes>
int launch_attention(void* stream, const TrainAttention& work) {
  return launch(stream, grid_of<Dim, Planes>(work, work.heads, 1), train_attention<Dim, Planes>,
                work);
}

template <int Dim, int Planes>
int launch_gradients(void* stream, const TrainAttention& work) {
  const int status = launch(stream, grid_of<Dim, Planes>(work, work.heads, 2),
                            attention_gradient_q<Dim, Planes>, work);
  if (status != TK_OK) return status;
  return launch(stream,
                grid_of<Dim, Planes>(work, work.kv_heads, 2,
                                     Dim / AttentionShape<Dim, Planes>::columns),
                attention_gradient_kv<Dim, Planes>, work);
}

void check(Arguments& arguments, const tk_cuda_step* step, int arithmetic, const float* q,
           const float* k, const float* v, int64_t heads, int64_t kv_heads, int64_t head_dim,
           float scale) {
  arguments.step(step)
      .range("arithmetic", arithmetic, TK_TRAIN_F32, TK_TRAIN_BF16)
      .pointer("q", q)
      .pointer("k", k)
      .pointer("v", v)
      .range("heads", heads, 1, most_rows)
      .range("kv_heads", kv_heads, 1, most_rows)
      .multiple("heads", heads, "kv_heads", kv_heads)
      .range("head_dim", head_dim, 1, most_head_dim)
      .that(__builtin_isfinite(scale), TK_BAD_ARGUMENT, "scale must be finite");
  if (arguments.status() == TK_OK) arguments.numbers(step->rows, heads * head_dim);
}

TrainAttention work_of(const tk_cuda_step* step, const float* q, const float* k, const float* v,
                       int64_t heads, int64_t kv_heads, int64_t head_dim, float scale) {
  TrainAttention work{};
  work.q = q, work.k = k, work.v = v;
  work.starts = step->sequences;
  work.rows = step->rows;
  work.heads = static_cast<int>(heads), work.kv_heads = static_cast<int>(kv_heads);
  work.head_dim = static_cast<int>(head_dim);
  work.scale = scale;
  work.aligned = aligned16(q, head_dim) && aligned16(k) && aligned16(v);
  return work;
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_attention(tk_cuda_step* step, int arithmetic, const float* q, const float* k,
                            const float* v, int64_t heads, int64_t kv_heads, int64_t head_dim,
                            float scale, float* out, float* log_sums) {
  Arguments arguments("tk_cuda_train_attention");
  check(arguments, step, arithmetic, q, k, v, heads, kv_heads, head_dim, scale);
  arguments.pointer("out", out).pointer("log_sums", log_sums);
  if (arguments.status() != TK_OK) return arguments.status();
  TrainAttention work = work_of(step, q, k, v, heads, kv_heads, head_dim, scale);
  work.out = out;
  work.out_log_sums = log_sums;
  const double rows = step->rows;
  report_work(8 * rows * (heads + kv_heads) * head_dim, 2 * rows * rows * heads * head_dim);
  return with_head_size(head_dim, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    return arithmetic == TK_TRAIN_BF16 ? launch_attention<dim, 1>(step->stream, work)
                                       : launch_attention<dim, 3>(step->stream, work);
  });
}

int64_t tk_cuda_train_attention_gradient_bytes(int64_t rows, int64_t heads) {
  Arguments arguments("tk_cuda_train_attention_gradient_bytes");
  arguments.range("rows", rows, 1, most_rows).range("heads", heads, 1, most_rows);
  return arguments.status() == TK_OK ? rows * heads * int64_t{sizeof(float)} : -1;
}

int tk_cuda_train_attention_gradient(tk_cuda_step* step, int arithmetic, const float* q,
                                     const float* k, const float* v, int64_t heads,
                                     int64_t kv_heads, int64_t head_dim, float scale,
                                     const float* out, const float* log_sums,
                                     const float* out_gradient, void* scratch, float* q_gradient,
                                     float* k_gradient, float* v_gradient) {
  Arguments arguments("tk_cuda_train_attention_gradient");
  check(arguments, step, arithmetic, q, k, v, heads, kv_heads, head_dim, scale);
  arguments.pointer("out", out)
      .pointer("log_sums", log_sums)
      .pointer("out_gradient", out_gradient)
      .pointer("scratch", static_cast<float*>(scratch))
      .pointer("q_gradient", q_gradient)
      .pointer("k_gradient", k_gradient)
      .pointer("v_gradient", v_gradient);
  if (arguments.status() != TK_OK) return arguments.status();
  TrainAttention work = work_of(step, q, k, v, heads, kv_heads, head_dim, scale);
  float* const products = static_cast<float*>(scratch);
  work.log_sums = log_sums;
  work.out_gradient = out_gradient;
  work.products = products;
  work.out = q_gradient;
  work.k_gradient = k_gradient;
  work.v_gradient = v_gradient;
  work.aligned = work.aligned && aligned16(out_gradient);
  const double rows = step->rows;
  const int64_t all_heads = step->rows * heads;
  report_work(16 * rows * (heads + kv_heads) * head_dim, 7 * rows * rows * heads * head_dim);
  int status = launch(step->stream, {static_cast<unsigned>((all_heads + 7) / 8), 256},
                      attention_products, out, out_gradient, all_heads,
                      static_cast<int>(head_dim), products);
  if (status != TK_OK) return status;
  return with_head_size(head_dim, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    return arithmetic == TK_TRAIN_BF16 ? launch_gradients<dim, 1>(step->stream, work)
                                       : launch_gradients<dim, 3>(step->stream, work);
  });
}
