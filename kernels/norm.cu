// SPDX-License-Identifier: Apache-2.0
//
// norm: RMS norm (Zhang and Sennrich 2019) over groups of dim values; a group is the whole row, or
// a head where the model norms queries and keys.
//   x, out [rows, width], weight [dim]; out = x / sqrt(mean(x^2) + epsilon) * weight; out may be x:
//   a thread writes only where it alone has read
//   grid: a block of 512 threads a group; up to 512 values, a warp a group and 8 of them a block
//   bytes: 8 a value (the second reading of x comes from a cache), and the weight's 4 dim
//   operations: 4 a value
//
// Sum order: thread i of T adds the squares of the elements 4i + 4Tj + c, over j, for each c apart;
// then the four sums as (0+1)+(2+3); then the lanes of a warp as a tree; then the warps in order.
// T depends on dim alone.

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

/** What one thread of `threads` has of the sum of (x * scale)^2. */
template <int threads>
FN float squares(const float* x, int64_t dim, float scale, int thread, bool aligned) {
  float sum[4] = {};
  for (int64_t i = 4 * thread; i < dim; i += 4 * threads) {
    const float4 v = load4(x, i, dim, aligned);
    const float a = v.x * scale, b = v.y * scale, c = v.z * scale, d = v.w * scale;
    sum[0] = fmaf(a, a, sum[0]);
    sum[1] = fmaf(b, b, sum[1]);
    sum[2] = fmaf(c, c, sum[2]);
    sum[3] = fmaf(d, d, sum[3]);
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <int threads, int groups>
__global__ void __launch_bounds__(threads* groups)
    norm(const int32_t* rows, const float* x, int64_t width, const float* weight, int64_t dim,
         float epsilon, float* out, bool aligned) {
  const int64_t group = static_cast<int64_t>(blockIdx.x) * groups + threadIdx.x / threads;
  if (group >= *rows * (width / dim)) return;  // a whole block, or a whole warp
  const int thread = threadIdx.x % threads;
  x += group * dim;
  out += group * dim;
  // Squares of values above 1.8e19 overflow: those are norms of x * 2^-70. Exact, being a power of
  // two, but where small values fall away beside the large ones.
  float before = 1;
  float sum = sum_over<threads>(squares<threads>(x, dim, before, thread, aligned));
  if (!(sum < __uint_as_float(0x7f800000))) {
    before = 0x1p-70f;
    sum = sum_over<threads>(squares<threads>(x, dim, before, thread, aligned));
  }
  const float mean = sum / static_cast<float>(dim);
  const float after = 1 / sqrtf(mean + epsilon * before * before);
  for (int64_t i = 4 * thread; i < dim; i += 4 * threads) {
    const float4 v = load4(x, i, dim, aligned), w = load4(weight, i, dim, aligned);
    store4(out, i, dim, aligned,
           make_float4(v.x * before * after * w.x, v.y * before * after * w.y,
                       v.z * before * after * w.z, v.w * before * after * w.w));
  }
}

// A warp has a head's 64 to 256 values in two loads a lane and needs no barrier. A row of 4096 is
// two loads a thread of 512: there is one block for it, and it should be over soon.
constexpr int64_t most_of_warp = 512;
constexpr int warps = 8, threads = 512;

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_norm(tk_cuda_step* step, int rows, const float* x, int64_t width, const float* weight,
                 int64_t dim, float epsilon, float* out) {
  Arguments arguments("tk_cuda_norm");
  arguments.step(step)
      .rows(rows)
      .pointer("x", x)
      .width("width", width)
      .pointer("weight", weight)
      .width("dim", dim)
      .pointer("out", out);
  arguments.that(epsilon >= 0 && epsilon < 1e30f, TK_BAD_ARGUMENT,
                 "epsilon must be finite and not negative");
  if (arguments.status() == TK_OK) {
    arguments.multiple("width", width, "dim", dim).numbers(step->most(rows), width);
  }
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t groups = step->most(rows) * (width / dim);
  const bool aligned = aligned16(x, dim) && aligned16(weight, dim) && aligned16(out, dim);
  report_work(8.0 * groups * dim + 4.0 * dim, 4.0 * groups * dim);
  if (dim <= most_of_warp) {
    const auto blocks = static_cast<unsigned>((groups + warps - 1) / warps);
    return launch(step->stream, {blocks, warps * warp_threads}, norm<warp_threads, warps>,
                  step->count(rows), x, width, weight, dim, epsilon, out, aligned);
  }
  return launch(step->stream, {static_cast<unsigned>(groups), threads}, norm<threads, 1>,
                step->count(rows), x, width, weight, dim, epsilon, out, aligned);
}
