// SPDX-License-Identifier: Apache-2.0
//
// F32 weights in the file's own layout, until the packed ones are there.
#pragma once

#include <stdint.h>
#include <string.h>

namespace tokamak::cpu {

static inline int activation_format(int) { return 0; }
static inline int64_t activation_bytes(int, int64_t rows, int64_t cols) { return rows * cols * 4; }
static inline int64_t row_groups(int64_t rows) { return (rows + 15) / 16; }
static inline int64_t packed_bytes(int type, int64_t rows, int64_t cols) {
  return type == 0 ? rows * cols * 4 : -1;
}
static inline void pack_groups(int, int64_t rows, int64_t cols, const void* source, int64_t first,
                               int64_t last, void* packed) {
  const int64_t from = first * 16 * cols * 4, to = (last * 16 < rows ? last * 16 : rows) * cols * 4;
  memcpy(static_cast<char*>(packed) + from, static_cast<const char*>(source) + from,
         static_cast<size_t>(to - from));
}

}  // namespace tokamak::cpu
