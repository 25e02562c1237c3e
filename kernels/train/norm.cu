// SPDX-License-Identifier: Apache-2.0
//
// norm gradient: of RMS norm over groups of dim values, out = x * r * weight with r = 1 /
// sqrt(mean(x^2) + epsilon).
//   x_gradient = r * (d - x * r^2 * mean(d * x)), where d = out_gradient * weight
//   weight_gradient += the sum over groups of out_gradient * x * r
//   x, out_gradient, x_gradient [groups, dim]
//   grid: a warp a group, 8 of them a block; above 512 values a block of 256 threads a group; then
//   as columns.cu, 128 groups one after the other
//   bytes: 12 a value, 8 more with a weight gradient     operations: 10 a value
//
// Sum order: thread i of T adds the elements 4i + 4Tj + c, over j, for each c apart; then the four
// sums as (0+1)+(2+3); then the lanes of a warp as a tree; then the warps in order.

#include "arguments.h"
#include "fold.cuh"
#include "launch.cuh"
#include "reduce.cuh"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

struct NormGradient {
  const float* x;
  const float* weight;
  const float* out_gradient;
  float* x_gradient;
  float* factors;  // r of each group; may be null
  int64_t groups, dim;
  float epsilon;
  bool aligned;
};

template <int threads, int groups>
__global__ void __launch_bounds__(threads* groups) norm_gradient(const NormGradient work) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * groups + threadIdx.x / threads;
  if (group >= work.groups) return;  // a whole block, or a whole warp
  const int thread = threadIdx.x % threads;
  const int64_t dim = work.dim;
  const bool aligned = work.aligned;
  const float* const x = work.x + group * dim;
  const float* const out_gradient = work.out_gradient + group * dim;
  float square[4] = {}, product[4] = {};
  for (int64_t i = 4 * thread; i < dim; i += 4 * threads) {
    const float4 v = load4(x, i, dim, aligned), w = load4(work.weight, i, dim, aligned);
    const float4 g = load4(out_gradient, i, dim, aligned);
    square[0] = fmaf(v.x, v.x, square[0]), product[0] = fmaf(g.x * w.x, v.x, product[0]);
    square[1] = fmaf(v.y, v.y, square[1]), product[1] = fmaf(g.y * w.y, v.y, product[1]);
    square[2] = fmaf(v.z, v.z, square[2]), product[2] = fmaf(g.z * w.z, v.z, product[2]);
    square[3] = fmaf(v.w, v.w, square[3]), product[3] = fmaf(g.w * w.w, v.w, product[3]);
  }
  const float squares = sum_over<threads>((square[0] + square[1]) + (square[2] + square[3]));
  const float products = sum_over<threads>((product[0] + product[1]) + (product[2] + product[3]));
  const float r = 1 / sqrtf(squares / static_cast<float>(dim) + work.epsilon);
  const float back = r * r * (products / static_cast<float>(dim));
  if (work.factors != nullptr && thread == 0) work.factors[group] = r;
  for (int64_t i = 4 * thread; i < dim; i += 4 * threads) {
    const float4 v = load4(x, i, dim, aligned), w = load4(work.weight, i, dim, aligned);
    const float4 g = load4(out_gradient, i, dim, aligned);
    store4(work.x_gradient + group * dim, i, dim, aligned,
           make_float4(r * fmaf(-v.x, back, g.x * w.x), r * fmaf(-v.y, back, g.y * w.y),
                       r * fmaf(-v.z, back, g.z * w.z), r * fmaf(-v.w, back, g.w * w.w)));
  }
}

__global__ void __launch_bounds__(run_threads)
    norm_columns(const NormGradient work, float* sums) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x;
  if (column >= work.dim) return;
  const int64_t first = blockIdx.y * column_rows, end = min(first + column_rows, work.groups);
  float sum = 0;
  for (int64_t group = first; group < end; group++) {
    const int64_t i = group * work.dim + column;
    sum = fmaf(work.out_gradient[i] * work.factors[group], work.x[i], sum);
  }
  sums[blockIdx.y * work.dim + column] = sum;
}

constexpr int64_t most_of_warp = 512;
constexpr int warps = 8, threads = 256;

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_norm_gradient(void* stream, int64_t rows, const float* x, int64_t width,
                                const float* weight, int64_t dim, float epsilon,
                                const float* out_gradient, float* x_gradient, void* scratch,
                                float* weight_gradient) {
  Arguments arguments("tk_cuda_train_norm_gradient");
  arguments.range("rows", rows, 1, most_rows)
      .pointer("x", x)
      .width("width", width)
      .pointer("weight", weight)
      .width("dim", dim)
      .that(epsilon >= 0 && epsilon < 1e30f, TK_BAD_ARGUMENT,
            "epsilon must be finite and not negative")
      .pointer("out_gradient", out_gradient)
      .pointer("x_gradient", x_gradient)
      .optional("weight_gradient", weight_gradient);
  if (weight_gradient != nullptr) {
    arguments.pointer("scratch", static_cast<float*>(scratch));
  }
  if (arguments.status() == TK_OK) {
    arguments.multiple("width", width, "dim", dim).numbers(rows, width);
  }
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t groups = rows * (width / dim), segments = (groups + column_rows - 1) / column_rows;
  arguments.range("groups", segments, 1, most_rows);
  if (arguments.status() != TK_OK) return arguments.status();
  float* const sums = static_cast<float*>(scratch);
  const NormGradient work{x,
                          weight,
                          out_gradient,
                          x_gradient,
                          weight_gradient == nullptr ? nullptr : sums + segments * dim,
                          groups,
                          dim,
                          epsilon,
                          aligned16(x, dim) && aligned16(weight, dim) &&
                              aligned16(out_gradient, dim) && aligned16(x_gradient, dim)};
  report_work((weight_gradient == nullptr ? 12.0 : 20.0) * groups * dim, 10.0 * groups * dim);
  const int status =
      dim <= most_of_warp
          ? launch(stream,
                   {static_cast<unsigned>((groups + warps - 1) / warps), warps * warp_threads},
                   norm_gradient<warp_threads, warps>, work)
          : launch(stream, {static_cast<unsigned>(groups), threads}, norm_gradient<threads, 1>,
                   work);
  if (status != TK_OK || weight_gradient == nullptr) return status;
  const dim3 blocks(static_cast<unsigned>((dim + run_threads - 1) / run_threads),
                    static_cast<unsigned>(segments));
  const int summed = launch(stream, {blocks, dim3(run_threads)}, norm_columns, work, sums);
  return summed == TK_OK ? launch_fold(stream, sums, segments, dim, weight_gradient) : summed;
}
