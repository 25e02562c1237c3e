// SPDX-License-Identifier: Apache-2.0
//
// Weight and cache types: the type numbers of the GGUF specification, and their blocks.

#pragma once

#include <stdint.h>

namespace tokamak::cuda {

enum Type {
#define TK_TYPE(name, number, elements, bytes) TYPE_##name = number,
#include "tokamak/quant.def"
#undef TK_TYPE
};

struct BlockSize {
  int elements, bytes;
};

/** Of a type in the GGUF file; elements 0: no such type. */
constexpr BlockSize block_size(int type) {
  switch (type) {
#define TK_TYPE(name, number, elements, bytes) \
  case number:                                 \
    return {elements, bytes};
#include "tokamak/quant.def"
#undef TK_TYPE
    default:
      return {0, 0};
  }
}

}  // namespace tokamak::cuda
