// SPDX-License-Identifier: Apache-2.0
//
// Four floats at a time, as one access of 16 bytes where addresses allow it. Who reads which four
// does not depend on that, so neither does the order of any sum.

#pragma once

#include "ptx.cuh"

namespace tokamak::cuda {

/** Whether float4 may be used at x and at what lies a multiple of `stride` floats behind it. */
inline bool aligned16(const void* x, int64_t stride = 4) {
  return reinterpret_cast<uintptr_t>(x) % 16 == 0 && stride % 4 == 0;
}

/** x[i .. i+3]; zeros from `end` on. */
FN float4 load4(const float* x, int64_t i, int64_t end, bool aligned) {
  if (aligned && i + 4 <= end) return *reinterpret_cast<const float4*>(x + i);
  float4 v = make_float4(0, 0, 0, 0);
  if (i < end) v.x = x[i];
  if (i + 1 < end) v.y = x[i + 1];
  if (i + 2 < end) v.z = x[i + 2];
  if (i + 3 < end) v.w = x[i + 3];
  return v;
}

/** Writes v to x[i .. i+3], nothing from `end` on. */
FN void store4(float* x, int64_t i, int64_t end, bool aligned, float4 v) {
  if (aligned && i + 4 <= end) {
    *reinterpret_cast<float4*>(x + i) = v;
    return;
  }
  if (i < end) x[i] = v.x;
  if (i + 1 < end) x[i + 1] = v.y;
  if (i + 2 < end) x[i + 2] = v.z;
  if (i + 3 < end) x[i + 3] = v.w;
}

// ---- kernels that treat a tensor [rows, width] as one run of numbers ----

constexpr int run_threads = 256;
constexpr int64_t run_block = 4 * run_threads;  // a thread takes four; a row of 4096 fills 4 blocks

/** Where this thread's four begin. */
FN int64_t run_start() { return blockIdx.x * run_block + 4 * threadIdx.x; }

constexpr unsigned run_blocks(int64_t numbers) {
  return static_cast<unsigned>((numbers + run_block - 1) / run_block);
}

}  // namespace tokamak::cuda
