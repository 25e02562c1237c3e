// SPDX-License-Identifier: Apache-2.0
//
// check: lowers *failed to the number of an operation whose output holds a NaN or an infinity, so
// that the first of a step remains.
//   x [rows, width]
//   grid: 1024 numbers a block of 256 threads     bytes: 4 a number     operations: 1

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

__global__ void __launch_bounds__(run_threads)
    check(const int32_t* rows, const float* x, int64_t width, int32_t operation, int32_t* failed,
          bool aligned) {
  const int64_t end = *rows * width, i = run_start();
  if (i >= end) return;
  const float4 v = load4(x, i, end, aligned);
  if (!(isfinite(v.x) && isfinite(v.y) && isfinite(v.z) && isfinite(v.w))) {
    atomicMin(failed, operation);
  }
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_check(tk_cuda_step* step, int rows, const float* x, int64_t width, int32_t operation,
                  int32_t* failed) {
  Arguments arguments("tk_cuda_check");
  arguments.step(step).rows(rows).pointer("x", x).width("width", width).pointer("failed", failed);
  if (arguments.status() == TK_OK) arguments.numbers(step->most(rows), width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = step->most(rows) * width;
  report_work(4.0 * numbers, numbers);
  return launch(step->stream, {run_blocks(numbers), run_threads}, check, step->count(rows), x,
                width, operation, failed, aligned16(x));
}
