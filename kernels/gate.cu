// SPDX-License-Identifier: Apache-2.0
//
// gate: out = silu(gate) * up, with silu(g) = g / (1 + e^-g) (Elfwing et al. 2017), value by value.
//   gate, up, out [rows, width]; out may be gate or up: a thread writes only where it has read
//   grid: 1024 numbers a block of 256 threads     bytes: 12 a number     operations: 5

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

/** The power is never above 1, so nothing overflows, and far below zero the result goes to zero as
 *  it should. A NaN stays one. */
FN float silu(float x) {
  const float power = expf(-fabsf(x));
  return (x < 0 ? x * power : x) / (1 + power);
}

__global__ void __launch_bounds__(run_threads)
    gate(const int32_t* rows, const float* gate, const float* up, float* out, int64_t width,
         bool aligned) {
  const int64_t end = *rows * width, i = run_start();
  if (i >= end) return;
  const float4 g = load4(gate, i, end, aligned), u = load4(up, i, end, aligned);
  store4(out, i, end, aligned,
         make_float4(silu(g.x) * u.x, silu(g.y) * u.y, silu(g.z) * u.z, silu(g.w) * u.w));
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_gate(tk_cuda_step* step, int rows, const float* gate, const float* up, int64_t width,
                 float* out) {
  Arguments arguments("tk_cuda_gate");
  arguments.step(step)
      .rows(rows)
      .pointer("gate", gate)
      .pointer("up", up)
      .width("width", width)
      .pointer("out", out);
  if (arguments.status() == TK_OK) arguments.numbers(step->most(rows), width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = step->most(rows) * width;
  report_work(12.0 * numbers, 5.0 * numbers);
  return launch(step->stream, {run_blocks(numbers), run_threads}, tokamak::cuda::gate,
                step->count(rows), gate, up, out, width,
                aligned16(gate) && aligned16(up) && aligned16(out));
}
