// SPDX-License-Identifier: Apache-2.0
//
// roofline: what a device can do at best, to be timed from outside. Three loops that wait for
// nothing but what they measure: reads of memory, float32 fused multiply-adds, and bfloat16
// products on the tensor cores. The numbers are whole or halves, small and none of them 0: tests know the
// sums exactly, and tensor cores draw power as with real operands, on which their clock depends.
//   sums [blocks]
//   grid: as many blocks of 256 threads as the caller wants; at most 64 registers, so that four
//   blocks share a multiprocessor: 32 warps, and in each several loads or products under way
//   read       bytes: all once     operations: none
//   floats     operations: 2 * 16 a thread and round, nothing read
//   bf16       operations: 2 * 16 * 8 * 16 for each of 8 products a warp and round, nothing read

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256, blocks_together = 4;
constexpr int most_blocks = 1 << 16, most_rounds = 1 << 20;

/** Each thread has `loads` loads under way; all threads together read one piece of memory. */
constexpr int loads = 8;

FN uint32_t sum_of(const uint4& words) { return words.x + words.y + words.z + words.w; }

__global__ void __launch_bounds__(threads, blocks_together)
    read(const uint4* memory, int64_t count, int32_t* sums) {
  SHARED(uint32_t, partial, threads / warp_threads);
  const int64_t all = static_cast<int64_t>(gridDim.x) * threads;
  int64_t i = static_cast<int64_t>(blockIdx.x) * threads + threadIdx.x;
  uint32_t sum = 0;
  for (; i + (loads - 1) * all < count; i += loads * all) {
    uint4 words[loads];
#pragma unroll
    for (int j = 0; j < loads; j++) words[j] = ptx::load_streaming(memory + i + j * all);
#pragma unroll
    for (int j = 0; j < loads; j++) sum += sum_of(words[j]);
  }
  for (; i < count; i += all) sum += sum_of(ptx::load_streaming(memory + i));
  const uint32_t total = block_sum<threads>(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<int32_t>(total);
}

/** A scheduler that has 8 warps with as many chains needs none to hide what a product takes. */
constexpr int chains = 16;

/** factor is 1, which the compiler must not know: number i of a lane becomes lane + i + 1 + rounds.
 *  Equal numbers in all lanes would go to the uniform unit of newer devices. */
__global__ void __launch_bounds__(threads, blocks_together)
    multiply_floats(int rounds, float factor, float* sums) {
  SHARED(float, partial, threads / warp_threads);
  const int lane = threadIdx.x % warp_threads;
  float numbers[chains];
#pragma unroll
  for (int i = 0; i < chains; i++) numbers[i] = static_cast<float>(lane + i + 1);
#pragma unroll 8
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int i = 0; i < chains; i++) numbers[i] = fmaf(numbers[i], factor, factor);
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < chains; i++) sum += numbers[i];
  const float total = block_sum<threads>(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

constexpr int lefts = 2, rights = 4;

/** Of operand A number m, from -6.5 to 5.5; of operand B number n, from -5.5 to 4.5. */
FN float left(int m, int row, int k) {
  return static_cast<float>((row * 5 + k * 3 + m * 7) % 13) - 6.5f;
}
FN float right(int n, int k, int col) {
  return static_cast<float>((k * 7 + col * 4 + n * 5) % 11) - 5.5f;
}

__global__ void __launch_bounds__(threads, blocks_together)
    multiply_bf16(int rounds, float* sums) {
  SHARED(float, partial, threads / warp_threads);
  const int lane = threadIdx.x % warp_threads, g = lane / 4, t = lane % 4;
  uint32_t a[lefts][4], b[rights][2];
#pragma unroll
  for (int m = 0; m < lefts; m++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int row = g + i % 2 * 8, k = 2 * t + i / 2 * 8;
      a[m][i] = ptx::pack_bf16(left(m, row, k), left(m, row, k + 1));
    }
  }
#pragma unroll
  for (int n = 0; n < rights; n++) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
      const int k = 2 * t + i * 8;
      b[n][i] = ptx::pack_bf16(right(n, k, g), right(n, k + 1, g));
    }
  }
  float c[lefts][rights][4] = {};
#pragma unroll 4
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int n = 0; n < rights; n++) {
#pragma unroll
      for (int m = 0; m < lefts; m++) ptx::mma_bf16(c[m][n], a[m], b[n]);
    }
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < lefts * rights * 4; i++) sum += c[i / 4 / rights][i / 4 % rights][i % 4];
  const float total = block_sum<threads>(sum, partial);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

Arguments loop(const char* function, int blocks, int rounds, const float* sums) {
  Arguments arguments(function);
  arguments.range("blocks", blocks, 1, most_blocks)
      .range("rounds", rounds, 1, most_rounds)
      .pointer("sums", sums);
  return arguments;
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_read(void* stream, int blocks, const void* memory, int64_t bytes, int32_t* sums) {
  Arguments arguments("tk_cuda_read");
  arguments.range("blocks", blocks, 1, most_blocks)
      .pointer("memory", memory)
      .aligned("memory", memory, sizeof(uint4))
      .range("bytes", bytes, sizeof(uint4), int64_t{1} << 40)
      .multiple("bytes", bytes, "a load", sizeof(uint4))
      .pointer("sums", sums);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(static_cast<double>(bytes), 0);
  return launch(stream, {static_cast<unsigned>(blocks), threads}, read,
                static_cast<const uint4*>(memory), bytes / static_cast<int64_t>(sizeof(uint4)),
                sums);
}

int tk_cuda_multiply_floats(void* stream, int blocks, int rounds, float* sums) {
  const Arguments arguments = loop("tk_cuda_multiply_floats", blocks, rounds, sums);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(0, 2.0 * chains * threads * blocks * rounds);
  return launch(stream, {static_cast<unsigned>(blocks), threads}, multiply_floats, rounds, 1.0f,
                sums);
}

int tk_cuda_multiply_bf16(void* stream, int blocks, int rounds, float* sums) {
  const Arguments arguments = loop("tk_cuda_multiply_bf16", blocks, rounds, sums);
  if (arguments.status() != TK_OK) return arguments.status();
  constexpr double product = 2.0 * 16 * 8 * 16;
  report_work(0, product * lefts * rights * (threads / warp_threads) * blocks * rounds);
  return launch(stream, {static_cast<unsigned>(blocks), threads}, multiply_bf16, rounds, sums);
}
