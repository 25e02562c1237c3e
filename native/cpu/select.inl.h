// SPDX-License-Identifier: Apache-2.0
//
// select: copies the rows of x whose logits are wanted.

namespace TK_LEVEL {

static void select_row(const Select& select, const Batch& batch, int64_t row) {
  __builtin_memcpy(select.out + row * select.width, select.x + batch.outputs[row] * select.width,
                   static_cast<size_t>(select.width) * sizeof(float));
}

}  // namespace TK_LEVEL
