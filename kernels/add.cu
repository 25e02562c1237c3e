// SPDX-License-Identifier: Apache-2.0
//
// add: the residual, x += y.
//   x, y [rows, width]; the rows lie behind each other, so both are one run of numbers
//   grid: 1024 numbers a block of 256 threads     bytes: 12 a number     operations: 1

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

__global__ void __launch_bounds__(run_threads)
    add(const int32_t* rows, float* x, const float* y, int64_t width, bool aligned) {
  const int64_t end = *rows * width, i = run_start();
  if (i >= end) return;
  const float4 a = load4(x, i, end, aligned), b = load4(y, i, end, aligned);
  store4(x, i, end, aligned, make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w));
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_add(tk_cuda_step* step, int rows, float* x, const float* y, int64_t width) {
  Arguments arguments("tk_cuda_add");
  arguments.step(step).rows(rows).pointer("x", x).pointer("y", y).width("width", width);
  if (arguments.status() == TK_OK) arguments.numbers(step->most(rows), width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = step->most(rows) * width;
  report_work(12.0 * numbers, numbers);
  return launch(step->stream, {run_blocks(numbers), run_threads}, add, step->count(rows), x, y,
                width, aligned16(x) && aligned16(y));
}
