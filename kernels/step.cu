// SPDX-License-Identifier: Apache-2.0
//
// Steps: made, checked and freed on the host.

#include "step.h"

#include <limits.h>

#include <new>

#include "arguments.h"

using namespace tokamak::cuda;

tk_cuda_step* tokamak::cuda::keep(const char* function, const tk_cuda_step& step) {
  auto* kept = new (std::nothrow) tk_cuda_step(step);
  if (kept == nullptr) refuse(TK_OUT_OF_MEMORY, "%s: no memory", function);
  return kept;
}

tk_cuda_step* tk_cuda_step_create(void* stream, int rows, int outputs, const int32_t* counts,
                                  const int32_t* tokens, const int32_t* positions,
                                  const int32_t* sequences, const int32_t* output_rows,
                                  const int32_t* page_table, int max_sequences,
                                  int pages_per_sequence) {
  const char* const function = "tk_cuda_step_create";
  Arguments arguments(function);
  arguments.range("rows", rows, 1, most_rows)
      .range("outputs", outputs, 1, rows)
      .pointer("counts", counts)
      .pointer("tokens", tokens)
      .pointer("positions", positions)
      .pointer("sequences", sequences)
      .pointer("output_rows", output_rows)
      .pointer("page_table", page_table)
      .range("max_sequences", max_sequences, 1, most_rows)
      .range("pages_per_sequence", pages_per_sequence, 1, INT_MAX / TK_PAGE_TOKENS);
  if (arguments.status() != TK_OK) return nullptr;
  return keep(function, {.stream = stream,
                         .rows = rows,
                         .outputs = outputs,
                         .counts = counts,
                         .tokens = tokens,
                         .positions = positions,
                         .sequences = sequences,
                         .output_rows = output_rows,
                         .page_table = page_table,
                         .max_sequences = max_sequences,
                         .pages_per_sequence = pages_per_sequence,
                         .cache = {}});
}

void tk_cuda_step_free(tk_cuda_step* step) { delete step; }
