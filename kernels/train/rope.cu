// SPDX-License-Identifier: Apache-2.0
//
// rope from one value to another, either way: a rotation's gradient turns back.
//   x, out [n, heads, head_dim]   table [positions, rotary_dim]: cosines, then sines
//   turned     (a, b) -> (a cos - b sin, a sin + b cos); back: with -sin
//   grid: 256 pairs (or untouched values) of a row a block
//   bytes: 8 a value     operations: 3 a value that is turned

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

struct Rope {
  const float* x;
  float* out;
  const int32_t* positions;
  const float* table;
  int64_t heads, head_dim, rotary_dim;
  bool interleaved, inverse;
};

__global__ void __launch_bounds__(run_threads) rope_between(const Rope work) {
  const int64_t half = work.rotary_dim / 2, rest = work.head_dim - work.rotary_dim;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x;
  const int64_t head = i / (half + rest), place = i % (half + rest);
  if (head >= work.heads) return;
  const int64_t at = (blockIdx.y * work.heads + head) * work.head_dim;
  const float* const x = work.x + at;
  float* const out = work.out + at;
  if (place >= half) {  // behind what is turned
    out[half + place] = x[half + place];
    return;
  }
  const float* const cosines = work.table + work.positions[blockIdx.y] * work.rotary_dim;
  const float c = cosines[place];
  const float s = work.inverse ? -cosines[half + place] : cosines[half + place];
  const int64_t first = work.interleaved ? 2 * place : place;
  const int64_t second = work.interleaved ? first + 1 : first + half;
  const float a = x[first], b = x[second];
  out[first] = fmaf(-b, s, a * c);
  out[second] = fmaf(b, c, a * s);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_rope(tk_cuda_step* step, const float* x, int64_t heads, int64_t head_dim,
                       int64_t rotary_dim, int pairing, const float* table, int64_t table_rows,
                       int inverse, float* out) {
  Arguments arguments("tk_cuda_train_rope");
  arguments.step(step)
      .pointer("x", x)
      .range("heads", heads, 1, most_rows)
      .width("head_dim", head_dim)
      .range("rotary_dim", rotary_dim, 2, head_dim)
      .multiple("rotary_dim", rotary_dim, "2", 2)
      .range("pairing", pairing, TK_PAIRING_INTERLEAVED, TK_PAIRING_HALF_SPLIT)
      .pointer("table", table)
      .range("table_rows", table_rows, 1, INT32_MAX)
      .range("inverse", inverse, 0, 1)
      .pointer("out", out)
      .that(x != out, TK_BAD_ARGUMENT, "out must not be x");
  if (arguments.status() == TK_OK) arguments.numbers(step->rows, heads * head_dim);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t places = heads * (head_dim - rotary_dim / 2);
  const dim3 blocks(static_cast<unsigned>((places + run_threads - 1) / run_threads),
                    static_cast<unsigned>(step->rows));
  const double values = 1.0 * step->rows * heads;
  report_work(8 * values * head_dim, 3 * values * rotary_dim);
  return launch(step->stream, {blocks, dim3(run_threads)}, rope_between,
                Rope{x, out, step->positions, table, heads, head_dim, rotary_dim,
                     pairing == TK_PAIRING_INTERLEAVED, inverse != 0});
}
