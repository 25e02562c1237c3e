// SPDX-License-Identifier: Apache-2.0
//
// All training kernels of one instruction-set level. The build compiles this file once per level.

#include "kernels.h"

#define TK_LEVEL TK_LEVEL_NAME
#include "../vec.h"

namespace TK_LEVEL {
using namespace tokamak::cpu;
}

#include "gemm.inl.h"

namespace TK_LEVEL {

extern const TrainKernels train_kernels;
const TrainKernels train_kernels = {
    .gemm = {.packed_bytes = gemm_packed_bytes,
             .own_bytes = gemm_own_bytes,
             .pack_jobs = gemm_pack_jobs,
             .pack = gemm_pack,
             .multiply_jobs = gemm_multiply_jobs,
             .multiply = gemm_multiply,
             .column_sums = column_sums},
};

}  // namespace TK_LEVEL
