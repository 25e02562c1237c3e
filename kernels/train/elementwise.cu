// SPDX-License-Identifier: Apache-2.0
//
// add, scale and the gradient of gate: value by value, from values to others.
//   all [rows, width], as one run of numbers
//   grid: 1024 numbers a block of 256 threads
//   bytes: add 12, scale 8, gate gradient 20 a number     operations: 1, 1, 12
//
// With s the logistic function of g, silu(g) = g s: its derivative is s (1 + g (1 - s)).

#include "arguments.h"
#include "launch.cuh"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

__global__ void __launch_bounds__(run_threads)
    add_to(const float* x, const float* y, float* out, int64_t end, bool aligned) {
  const int64_t i = run_start();
  if (i >= end) return;
  const float4 a = load4(x, i, end, aligned), b = load4(y, i, end, aligned);
  store4(out, i, end, aligned, make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w));
}

__global__ void __launch_bounds__(run_threads)
    scale_to(const float* x, float factor, float* out, int64_t end, bool aligned) {
  const int64_t i = run_start();
  if (i >= end) return;
  const float4 v = load4(x, i, end, aligned);
  store4(out, i, end, aligned,
         make_float4(factor * v.x, factor * v.y, factor * v.z, factor * v.w));
}

/** The derivatives by gate and by up. No power is above 1, so nothing overflows. */
FN float2 gate_slopes(float gate, float up) {
  const float power = expf(-fabsf(gate));
  const float larger = 1 / (1 + power), smaller = power / (1 + power);
  const float s = gate < 0 ? smaller : larger, rest = gate < 0 ? larger : smaller;
  return make_float2(up * s * fmaf(gate, rest, 1.0f), gate * s);
}

__global__ void __launch_bounds__(run_threads)
    gate_gradient(const float* gate, const float* up, const float* out_gradient, float* of_gate,
                  float* of_up, int64_t end, bool aligned) {
  const int64_t i = run_start();
  if (i >= end) return;
  const float4 g = load4(gate, i, end, aligned), u = load4(up, i, end, aligned);
  const float4 d = load4(out_gradient, i, end, aligned);
  const float2 a = gate_slopes(g.x, u.x), b = gate_slopes(g.y, u.y);
  const float2 c = gate_slopes(g.z, u.z), e = gate_slopes(g.w, u.w);
  store4(of_gate, i, end, aligned, make_float4(d.x * a.x, d.y * b.x, d.z * c.x, d.w * e.x));
  store4(of_up, i, end, aligned, make_float4(d.x * a.y, d.y * b.y, d.z * c.y, d.w * e.y));
}

void check_numbers(Arguments& arguments, int64_t rows, int64_t width) {
  arguments.range("rows", rows, 1, most_rows).width("width", width);
  if (arguments.status() == TK_OK) arguments.numbers(rows, width);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_add(void* stream, int64_t rows, const float* x, const float* y, int64_t width,
                      float* out) {
  Arguments arguments("tk_cuda_train_add");
  arguments.pointer("x", x).pointer("y", y).pointer("out", out);
  check_numbers(arguments, rows, width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = rows * width;
  report_work(12.0 * numbers, numbers);
  return launch(stream, {run_blocks(numbers), run_threads}, add_to, x, y, out, numbers,
                aligned16(x) && aligned16(y) && aligned16(out));
}

int tk_cuda_train_scale(void* stream, int64_t rows, const float* x, float factor, int64_t width,
                        float* out) {
  Arguments arguments("tk_cuda_train_scale");
  arguments.pointer("x", x).pointer("out", out);
  check_numbers(arguments, rows, width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = rows * width;
  report_work(8.0 * numbers, numbers);
  return launch(stream, {run_blocks(numbers), run_threads}, scale_to, x, factor, out, numbers,
                aligned16(x) && aligned16(out));
}

int tk_cuda_train_gate_gradient(void* stream, int64_t rows, const float* gate, const float* up,
                                int64_t width, const float* out_gradient, float* gate_gradient,
                                float* up_gradient) {
  Arguments arguments("tk_cuda_train_gate_gradient");
  arguments.pointer("gate", gate)
      .pointer("up", up)
      .pointer("out_gradient", out_gradient)
      .pointer("gate_gradient", gate_gradient)
      .pointer("up_gradient", up_gradient);
  check_numbers(arguments, rows, width);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = rows * width;
  report_work(20.0 * numbers, 12.0 * numbers);
  return launch(stream, {run_blocks(numbers), run_threads}, tokamak::cuda::gate_gradient, gate, up,
                out_gradient, gate_gradient, up_gradient, numbers,
                aligned16(gate) && aligned16(up) && aligned16(out_gradient) &&
                    aligned16(gate_gradient) && aligned16(up_gradient));
}
