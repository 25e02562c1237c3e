// SPDX-License-Identifier: Apache-2.0
//
// add: x += y, value by value.

namespace TK_LEVEL {

static void add_rows(const Add& operation, int64_t row) {
  float* x = operation.x + row * operation.width;
  const float* y = operation.y + row * operation.width;
  for (int64_t i = 0; i < operation.width; i++) x[i] += y[i];
}

}  // namespace TK_LEVEL
