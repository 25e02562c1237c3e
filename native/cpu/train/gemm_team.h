// SPDX-License-Identifier: Apache-2.0
//
// A product of gemm.h on a team of threads.

#pragma once

#include "../threads.h"
#include "gemm.h"

namespace tokamak::cpu {

/** The jobs of one phase, each once; called on every thread, `claims` fresh. */
inline void pack_b(const GemmKernels& kernels, const Gemm& gemm, void* packed, Claims& claims) {
  const int64_t jobs = kernels.pack_jobs(gemm);
  for (int64_t job; (job = claims.take(1)) < jobs;) kernels.pack(gemm, packed, job);
}
inline void multiply_packed(const GemmKernels& kernels, const Gemm& gemm, const void* packed,
                            void* own, Claims& claims) {
  const int64_t jobs = kernels.multiply_jobs(gemm);
  for (int64_t job; (job = claims.take(1)) < jobs;) kernels.multiply(gemm, packed, own, job);
}

/** A product inside a job of the team, called on every thread: C is complete when it returns. */
inline void run_gemm(tk_team& team, const GemmKernels& kernels, const Gemm& gemm, void* packed,
                     void* own, Claims (&claims)[2]) {
  pack_b(kernels, gemm, packed, claims[0]);
  team.barrier();
  multiply_packed(kernels, gemm, packed, own, claims[1]);
  team.barrier();
}

}  // namespace tokamak::cpu
