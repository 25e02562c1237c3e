// SPDX-License-Identifier: Apache-2.0
//
// Gradients of embed and select, which bring rows to where they came from. Several rows may come
// from one; they are added in their own order, without atomic operations on floats.
//   embed gradient    gradient [vocab, dim], row tokens[i] += out_gradient [n, dim] row i
//     grid (rows, 1024 columns), block 256: the block of a token's first row adds all its rows, the
//     others find an earlier one and leave. n^2 comparisons of tokens, which for 16384 rows is less
//     than reading the gradient once
//   select gradient   x_gradient [n, width], row output_rows[j] = out_gradient [m, width] row j
//     grid: row by row, 1024 numbers a block; outputs are ascending, so their place is searched
//   bytes: 4 a number read, 8 or 4 written     operations: 1 a number

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256, warps = threads / 32, columns = 4;

__global__ void __launch_bounds__(threads)
    embed_gradient(const int32_t* tokens, int rows, const float* out_gradient, int64_t dim,
                   float* gradient) {
  SHARED(int, earlier, 1);
  SHARED(int, found, warps);
  SHARED(int, matches, threads);
  const int row = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const int token = tokens[row], warp = thread / 32, lane = thread % 32;
  if (thread == 0) earlier[0] = 0;
  __syncthreads();
  for (int i = thread; i < row; i += threads) {
    if (tokens[i] == token) atomicMax(&earlier[0], 1);
  }
  __syncthreads();
  if (earlier[0] != 0) return;

  const int64_t first_column = blockIdx.y * int64_t{columns * threads} + thread;
  float* const to = gradient + token * dim;
  float sum[columns];
  for (int c = 0; c < columns; c++) {
    const int64_t column = first_column + c * threads;
    sum[c] = column < dim ? to[column] : 0;
  }
  for (int first = row; first < rows; first += threads) {
    const int other = first + thread;
    const bool match = other < rows && tokens[other] == token;
    const unsigned bits = __ballot_sync(~0u, match);
    if (lane == 0) found[warp] = __popc(bits);
    __syncthreads();  // and nobody reads the list before any more
    int before = 0, all = 0;
    for (int w = 0; w < warps; w++) {
      before += w < warp ? found[w] : 0;
      all += found[w];
    }
    if (match) matches[before + __popc(bits & ((1u << lane) - 1))] = other;
    __syncthreads();  // the list is complete
    for (int i = 0; i < all; i++) {
      const float* const from = out_gradient + matches[i] * dim;
      for (int c = 0; c < columns; c++) {
        const int64_t column = first_column + c * threads;
        if (column < dim) sum[c] += from[column];
      }
    }
  }
  for (int c = 0; c < columns; c++) {
    const int64_t column = first_column + c * threads;
    if (column < dim) to[column] = sum[c];
  }
}

__global__ void __launch_bounds__(run_threads)
    select_gradient(const int32_t* output_rows, int outputs, const float* out_gradient,
                    int64_t width, unsigned blocks_per_row, float* x_gradient, bool aligned) {
  const int row = static_cast<int>(blockIdx.x / blocks_per_row);
  const int64_t i = blockIdx.x % blocks_per_row * run_block + 4 * threadIdx.x;
  int low = 0, high = outputs;  // the first output of this row or of one behind it
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (output_rows[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  float4 sum = make_float4(0, 0, 0, 0);
  for (; low < outputs && output_rows[low] == row; low++) {
    const float4 v = load4(out_gradient + low * width, i, width, aligned);
    sum = make_float4(sum.x + v.x, sum.y + v.y, sum.z + v.z, sum.w + v.w);
  }
  store4(x_gradient + row * width, i, width, aligned, sum);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_embed_gradient(tk_cuda_step* step, const float* out_gradient, int64_t dim,
                                 float* gradient) {
  Arguments arguments("tk_cuda_train_embed_gradient");
  arguments.step(step)
      .pointer("out_gradient", out_gradient)
      .range("dim", dim, 1, most_rows * columns * threads)
      .pointer("gradient", gradient);
  if (arguments.status() == TK_OK) arguments.numbers(step->rows, dim);
  if (arguments.status() != TK_OK) return arguments.status();
  const dim3 blocks(static_cast<unsigned>(step->rows),
                    static_cast<unsigned>((dim + columns * threads - 1) / (columns * threads)));
  report_work(12.0 * step->rows * dim, 1.0 * step->rows * dim);
  return launch(step->stream, {blocks, dim3(threads)}, embed_gradient, step->tokens, step->rows,
                out_gradient, dim, gradient);
}

int tk_cuda_train_select_gradient(tk_cuda_step* step, const float* out_gradient, int64_t width,
                                  float* x_gradient) {
  Arguments arguments("tk_cuda_train_select_gradient");
  arguments.step(step)
      .pointer("out_gradient", out_gradient)
      .width("width", width)
      .pointer("x_gradient", x_gradient);
  if (arguments.status() == TK_OK) arguments.numbers(step->rows, width);
  if (arguments.status() != TK_OK) return arguments.status();
  const unsigned blocks_per_row = run_blocks(width);
  report_work(4.0 * (step->rows + step->outputs) * width, 1.0 * step->outputs * width);
  return launch(step->stream, {blocks_per_row * step->rows, run_threads}, select_gradient,
                step->output_rows, step->outputs, out_gradient, width, blocks_per_row, x_gradient,
                aligned16(out_gradient, width) && aligned16(x_gradient, width));
}
