// SPDX-License-Identifier: Apache-2.0
//
// All training kernels of one instruction-set level. The build compiles this file once per level.

#include "kernels.h"

#define TK_LEVEL TK_LEVEL_NAME
#include "../vec.h"

namespace TK_LEVEL {
using namespace tokamak::cpu;
using namespace tokamak::cpu::train;
}

#include "gemm.inl.h"
#include "rows.inl.h"

#include "attention.inl.h"
#include "log_probability.inl.h"
#include "norm.inl.h"
#include "update.inl.h"

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
    .embed = train_embed,
    .norm = train_norm,
    .norm_gradient = train_norm_gradient,
    .rope = train_rope,
    .gate = train_gate,
    .gate_gradient = train_gate_gradient,
    .add = train_add,
    .scale = train_scale,
    .select = train_select,
    .select_gradient = train_select_gradient,
    .log_probability = train_log_probability,
    .log_probability_gradient = train_log_probability_gradient,
    .embed_gradient = train_embed_gradient,
    .norm_partials = train_norm_partials,
    .attention = train_attention,
    .attention_gradient = train_attention_gradient,
    .attention_scratch = train_attention_scratch,
    .squares = train_squares,
    .adamw = train_adamw,
    .momentum = train_momentum,
    .combine = train_combine,
};

}  // namespace TK_LEVEL
