// SPDX-License-Identifier: Apache-2.0
//
// All kernels of one instruction-set level. The build compiles this file once per level; see
// kernels.h for what may be included here.

#include "kernels.h"

#define TK_LEVEL TK_LEVEL_NAME
#include "vec.h"

namespace TK_LEVEL {
using namespace tokamak::cpu;
}

#include "add.inl.h"
#include "attention.inl.h"
#include "embed.inl.h"
#include "finite.inl.h"
#include "gate.inl.h"
#include "norm.inl.h"
#include "rope.inl.h"
#include "select.inl.h"
#include "store.inl.h"

namespace TK_LEVEL {

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
    .finite = finite,
};

}  // namespace TK_LEVEL
