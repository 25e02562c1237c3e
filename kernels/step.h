// SPDX-License-Identifier: Apache-2.0
//
// What the launches of one forward pass share: see tokamak_cuda.h. Launchers read it on the host;
// kernels get the addresses they need as arguments, and the counts of the step that runs from
// device memory: counts[0] = n rows, counts[1] = m outputs.

#pragma once

#include <stdint.h>

#include "tokamak/tokamak_cuda.h"

struct tk_cuda_step {
  void* stream;            // cudaStream_t
  int rows, outputs;       // the most that a step has
  const int32_t* counts;   // [2]; with the arrays below in device memory
  const int32_t* tokens;   // [n]
  const int32_t* positions;
  const int32_t* sequences;
  const int32_t* output_rows;  // [m]
  const int32_t* page_table;   // [max_sequences, pages_per_sequence]
  int max_sequences, pages_per_sequence;

  struct {
    int type, layers, kv_heads, head_dim, pages;
    void* memory;  // null: tk_cuda_cache was not called yet
  } cache;

  /** The most rows of a tk_rows: what a grid has to cover. */
  int most(int kind) const { return kind == TK_ROWS_OUTPUTS ? outputs : rows; }

  /** How many there are in the step that runs; read by the kernel. */
  const int32_t* count(int kind) const { return kind == TK_ROWS_OUTPUTS ? counts + 1 : counts; }
};

namespace tokamak::cuda {

/** A copy on the heap; null, and `function` refused, where there is no memory for it. */
tk_cuda_step* keep(const char* function, const tk_cuda_step& step);

}  // namespace tokamak::cuda
