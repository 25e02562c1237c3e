// SPDX-License-Identifier: Apache-2.0
//
// All kernels of one instruction-set level. The build compiles this file once per level; see
// kernels.h for what may be included here.

#include "activations.h"
#include "kernels.h"
#include "pack.h"
#include "tokamak/block/q4_0.h"
#include "tokamak/block/q4_k.h"
#include "tokamak/block/q5_k.h"
#include "tokamak/block/q6_k.h"
#include "tokamak/block/q8_0.h"

#define TK_LEVEL TK_LEVEL_NAME
#include "vec.h"

namespace TK_LEVEL {
using namespace tokamak::cpu;
}

#include "activations.inl.h"
#include "add.inl.h"
#include "attention.inl.h"
#include "embed.inl.h"
#include "finite.inl.h"
#include "gate.inl.h"
#include "matmul.inl.h"
#include "norm.inl.h"
#include "pack.inl.h"
#include "rope.inl.h"
#include "roofline.inl.h"
#include "select.inl.h"
#include "store.inl.h"

namespace TK_LEVEL {

extern const TrainKernels train_kernels;  // train/kernels.cc
extern const Kernels kernels;
const Kernels kernels = {
    .embed = embed,
    .norm = norm,
    .rope = rope,
    .store = store_row,
    .gate = gate,
    .add = add_rows,
    .select = select_row,
    .attention = attention,
    .attention_scratch = attention_scratch,
    .attention_of_chunk = attention_of_chunk,
    .attention_part = attention_part,
    .attention_merge = attention_merge,
    .activation_format = activation_format,
    .quantize_row = quantize_row,
    .matmul = matmul,
    .finite = finite,
    .pack = pack,
    .train = &train_kernels,
    .read_all = read_all,
    .multiply_floats = multiply_floats,
    .multiply_bytes = multiply_bytes,
    .multiply_bf16 = multiply_bf16,
};

}  // namespace TK_LEVEL
