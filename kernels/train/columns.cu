// SPDX-License-Identifier: Apache-2.0
//
// Sums over rows: of the segments of a product (fold.cuh), and of a bias's gradient.
//   bias gradient   out_gradient [rows, cols]; gradient [cols] += the sum of the rows
//   fold            gradient [count] += the sums [segments][count], in order
//   grid: 256 columns and 128 rows a block of 256 threads; then as for runs of numbers
//   bytes: 4 a number that is read, 8 a sum     operations: 1 a number
//
// Sum order: 128 rows one after the other; these sums one after the other; then the gradient.

#include "arguments.h"
#include "fold.cuh"
#include "launch.cuh"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

__global__ void __launch_bounds__(run_threads)
    fold(const float* sums, int64_t segments, int64_t count, float* gradient) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x;
  if (i >= count) return;
  float sum = sums[i];
  for (int64_t segment = 1; segment < segments; segment++) sum += sums[segment * count + i];
  gradient[i] += sum;
}

__global__ void __launch_bounds__(run_threads)
    sum_columns(const float* x, int64_t rows, int64_t cols, float* sums) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x;
  if (column >= cols) return;
  const int64_t first = blockIdx.y * column_rows, end = min(first + column_rows, rows);
  float sum = 0;
  for (int64_t row = first; row < end; row++) sum += x[row * cols + column];
  sums[blockIdx.y * cols + column] = sum;
}

}  // namespace

int launch_fold(void* stream, const float* sums, int64_t segments, int64_t count,
                float* gradient) {
  const auto blocks = static_cast<unsigned>((count + run_threads - 1) / run_threads);
  return launch(stream, {blocks, run_threads}, fold, sums, segments, count, gradient);
}

}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_train_column_bytes(int64_t rows, int64_t cols) {
  Arguments arguments("tk_cuda_train_column_bytes");
  arguments.range("rows", rows, 1, most_numbers).width("cols", cols);
  if (arguments.status() == TK_OK) arguments.numbers(rows, cols);
  if (arguments.status() != TK_OK) return -1;
  // the sums, and for a norm a factor of each row
  return ((rows + column_rows - 1) / column_rows * cols + rows) * int64_t{sizeof(float)};
}

int tk_cuda_train_bias_gradient(void* stream, int64_t rows, const float* out_gradient,
                                int64_t cols, void* scratch, float* gradient) {
  Arguments arguments("tk_cuda_train_bias_gradient");
  arguments.range("rows", rows, 1, most_rows * column_rows)
      .width("cols", cols)
      .pointer("out_gradient", out_gradient)
      .pointer("scratch", static_cast<float*>(scratch))
      .pointer("gradient", gradient);
  if (arguments.status() == TK_OK) arguments.numbers(rows, cols);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t segments = (rows + column_rows - 1) / column_rows;
  const dim3 blocks(static_cast<unsigned>((cols + run_threads - 1) / run_threads),
                    static_cast<unsigned>(segments));
  float* const sums = static_cast<float*>(scratch);
  report_work(4.0 * rows * cols + 8.0 * segments * cols, 1.0 * rows * cols);
  const int status =
      launch(stream, {blocks, dim3(run_threads)}, sum_columns, out_gradient, rows, cols, sums);
  return status == TK_OK ? launch_fold(stream, sums, segments, cols, gradient) : status;
}
