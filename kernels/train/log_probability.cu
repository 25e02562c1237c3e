// SPDX-License-Identifier: Apache-2.0
//
// log probability: of each output's target under the softmax of its logits, and its gradient in
// place of the logits.
//   logits [m, vocab]   targets, log_sums, log_probabilities, coefficients [m]
//   grid: a block of 512 threads a row; the gradient 1024 numbers a block of 256 threads, row by row
//   bytes: 4 a logit (the second reading comes from a cache); 8 of the gradient
//   operations: 4 a logit; 3
//
// Sum order: thread i of 512 adds the logits i + 512 j over j; then the lanes as a tree; then the
// warps in order.

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"
#include "step.h"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 512;

/** A NaN among the values, which fmaxf passes over, is found by the sum. */
FN float block_max(float value, float (&partial)[threads / warp_threads]) {
  for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
    value = fmaxf(value, __shfl_xor_sync(~0u, value, distance));
  }
  if (threadIdx.x % warp_threads == 0) partial[threadIdx.x / warp_threads] = value;
  __syncthreads();
  for (const float other : partial) value = fmaxf(value, other);
  __syncthreads();
  return value;
}

__global__ void __launch_bounds__(threads)
    log_probability(const float* logits, int64_t vocab, const int32_t* targets, float* log_sums,
                    float* log_probabilities) {
  SHARED(float, partial, threads / warp_threads);
  const float* const row = logits + blockIdx.x * vocab;
  float largest = -__builtin_inff();
  for (int64_t i = threadIdx.x; i < vocab; i += threads) largest = fmaxf(largest, row[i]);
  largest = block_max(largest, partial);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < vocab; i += threads) sum += expf(row[i] - largest);
  sum = block_sum<threads>(sum, partial);
  if (threadIdx.x != 0) return;
  const float above = logf(sum);
  log_sums[blockIdx.x] = largest + above;
  log_probabilities[blockIdx.x] = (row[targets[blockIdx.x]] - largest) - above;
}

__global__ void __launch_bounds__(run_threads)
    log_probability_gradient(float* logits, int64_t vocab, const int32_t* targets,
                             const float* log_sums, const float* coefficients,
                             unsigned blocks_per_row, bool aligned) {
  const int64_t row = blockIdx.x / blocks_per_row;
  const int64_t i = blockIdx.x % blocks_per_row * run_block + 4 * threadIdx.x;
  if (i >= vocab) return;
  float* const x = logits + row * vocab;
  const float log_sum = log_sums[row], coefficient = coefficients[row];
  const int64_t target = targets[row] - i;
  const float4 v = load4(x, i, vocab, aligned);
  const auto slope = [&](float logit, int place) {
    return coefficient * ((target == place ? 1.0f : 0.0f) - expf(logit - log_sum));
  };
  store4(x, i, vocab, aligned,
         make_float4(slope(v.x, 0), slope(v.y, 1), slope(v.z, 2), slope(v.w, 3)));
}

void check(Arguments& arguments, const tk_cuda_step* step, const float* logits, int64_t vocab,
           const int32_t* targets, const float* log_sums) {
  arguments.step(step)
      .pointer("logits", logits)
      .width("vocab", vocab)
      .pointer("targets", targets)
      .pointer("log_sums", log_sums);
  if (arguments.status() == TK_OK) {
    arguments.range("outputs", step->outputs, 1, most_rows).numbers(step->outputs, vocab);
  }
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_train_log_probability(tk_cuda_step* step, const float* logits, int64_t vocab,
                                  const int32_t* targets, float* log_sums,
                                  float* log_probabilities) {
  Arguments arguments("tk_cuda_train_log_probability");
  arguments.pointer("log_probabilities", log_probabilities);
  check(arguments, step, logits, vocab, targets, log_sums);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(4.0 * step->outputs * vocab, 4.0 * step->outputs * vocab);
  return launch(step->stream, {static_cast<unsigned>(step->outputs), threads}, log_probability,
                logits, vocab, targets, log_sums, log_probabilities);
}

int tk_cuda_train_log_probability_gradient(tk_cuda_step* step, float* logits, int64_t vocab,
                                           const int32_t* targets, const float* log_sums,
                                           const float* coefficients) {
  Arguments arguments("tk_cuda_train_log_probability_gradient");
  arguments.pointer("coefficients", coefficients);
  check(arguments, step, logits, vocab, targets, log_sums);
  if (arguments.status() != TK_OK) return arguments.status();
  const unsigned blocks_per_row = run_blocks(vocab);
  report_work(8.0 * step->outputs * vocab, 3.0 * step->outputs * vocab);
  return launch(step->stream,
                {blocks_per_row * static_cast<unsigned>(step->outputs), run_threads},
                log_probability_gradient, logits, vocab, targets, log_sums, coefficients,
                blocks_per_row, aligned16(logits, vocab));
}
