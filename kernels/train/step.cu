// SPDX-License-Identifier: Apache-2.0
//
// Steps of training: those of inference without a cache, and with exact numbers of rows, so that
// launchers may count with them.

#include "step.h"

#include "arguments.h"
#include "tokamak/tokamak_cuda_train.h"

using namespace tokamak::cuda;

tk_cuda_step* tk_cuda_train_step(void* stream, int rows, int outputs, const int32_t* counts,
                                 const int32_t* tokens, const int32_t* positions,
                                 const int32_t* starts, const int32_t* output_rows) {
  const char* const function = "tk_cuda_train_step";
  Arguments arguments(function);
  arguments.range("rows", rows, 1, most_rows)
      .range("outputs", outputs, 0, rows)
      .pointer("counts", counts)
      .pointer("tokens", tokens)
      .pointer("positions", positions)
      .pointer("starts", starts)
      .pointer("output_rows", output_rows);
  if (arguments.status() != TK_OK) return nullptr;
  return keep(function, {.stream = stream,
                         .rows = rows,
                         .outputs = outputs,
                         .counts = counts,
                         .tokens = tokens,
                         .positions = positions,
                         .sequences = starts,  // a sequence goes by its first row
                         .output_rows = output_rows,
                         .page_table = nullptr,
                         .max_sequences = 0,
                         .pages_per_sequence = 0,
                         .cache = {}});
}
