// SPDX-License-Identifier: Apache-2.0
//
// select: copies the rows whose logits are wanted.
//   x [n, width], out [m, width]; row j of out is row output_rows[j] of x
//   grid: row by row, 1024 numbers a block of 256 threads     bytes: 8 a number

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

__global__ void __launch_bounds__(run_threads)
    select_rows(const int32_t* outputs, const int32_t* output_rows, const float* x, float* out,
           int64_t width, unsigned blocks_per_row, bool aligned) {
  const int64_t row = blockIdx.x / blocks_per_row;
  if (row >= *outputs) return;
  const int64_t i = blockIdx.x % blocks_per_row * run_block + 4 * threadIdx.x;
  const float4 v = load4(x + output_rows[row] * width, i, width, aligned);
  store4(out + row * width, i, width, aligned, v);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_select(tk_cuda_step* step, const float* x, int64_t width, float* out) {
  Arguments arguments("tk_cuda_select");
  arguments.step(step).pointer("x", x).width("width", width).pointer("out", out);
  if (arguments.status() == TK_OK) arguments.numbers(step->outputs, width);
  if (arguments.status() != TK_OK) return arguments.status();
  const unsigned blocks_per_row = run_blocks(width);
  report_work(8.0 * step->outputs * width, 0);
  return launch(step->stream, {blocks_per_row * step->outputs, run_threads}, select_rows,
                step->counts + 1, step->output_rows, x, out, width, blocks_per_row,
                aligned16(x, width) && aligned16(out, width));
}
