// SPDX-License-Identifier: Apache-2.0
//
// Sums and maxima over the threads of a warp or a block, in an order that depends on the number of
// threads alone.

#pragma once

#include "ptx.cuh"

namespace tokamak::cuda {

constexpr int warp_threads = 32;

/** Every lane gets the same bits: at each step both partners add the same two numbers. */
template <class T>
FN T warp_sum(T value) {
  for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(~0u, value, distance);
  }
  return value;
}

/** Over the block; every thread gets it. The sums of the warps are added in order. `partial` is
 *  shared memory, free again at the next barrier. */
template <int threads, class T>
FN T block_sum(T value, T (&partial)[threads / warp_threads]) {
  const T sum = warp_sum(value);
  if (threadIdx.x % warp_threads == 0) partial[threadIdx.x / warp_threads] = sum;
  __syncthreads();
  T total = 0;
  for (int warp = 0; warp < threads / warp_threads; warp++) total += partial[warp];
  return total;
}

/** Over a warp or a whole block; every thread gets it, and another may follow at once. */
template <int threads>
FN float sum_over(float value) {
  if constexpr (threads == warp_threads) {
    return warp_sum(value);
  } else {
    SHARED(float, partial, threads / warp_threads);
    const float sum = block_sum<threads>(value, partial);
    __syncthreads();
    return sum;
  }
}

}  // namespace tokamak::cuda
