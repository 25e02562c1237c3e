// SPDX-License-Identifier: Apache-2.0
//
// The table of training kernels that one instruction-set level supplies. The rules of
// ../kernels.h hold: kernels.cc of this folder is compiled once per level.

#pragma once

#include "gemm.h"
#include "operations.h"

namespace tokamak::cpu {

struct TrainKernels {
  GemmKernels gemm;

  // Of one row of the step, or one output.
  void (*embed)(const train::Embed&, const train::Batch&, int64_t row);
  void (*norm)(const train::Norm&, const train::Batch&, int64_t row);
  void (*norm_gradient)(const train::NormGradient&, const train::Batch&, int64_t row);
  void (*rope)(const train::Rope&, const train::Batch&, int64_t row);
  void (*gate)(const train::Gate&, const train::Batch&, int64_t row);
  void (*gate_gradient)(const train::GateGradient&, const train::Batch&, int64_t row);
  void (*add)(const train::Add&, const train::Batch&, int64_t row);
  void (*scale)(const train::Scale&, const train::Batch&, int64_t row);
  void (*select)(const train::Select&, const train::Batch&, int64_t output);
  void (*select_gradient)(const train::SelectGradient&, const train::Batch&, int64_t row);
  void (*log_probability)(const train::LogProbability&, const train::Batch&, int64_t output);
  void (*log_probability_gradient)(const train::LogProbabilityGradient&, const train::Batch&,
                                   int64_t output);

  // Of columns first .. last-1, over all rows.
  void (*embed_gradient)(const train::EmbedGradient&, const train::Batch&, int64_t first,
                         int64_t last);
  void (*norm_partials)(const train::NormGradient&, int64_t rows, int64_t first, int64_t last);

  // Of a sequence, rows first .. last-1, and a key-value head.
  void (*attention)(const train::Attention&, int64_t first, int64_t last, int64_t kv_head,
                    float* scratch);
  void (*attention_gradient)(const train::AttentionGradient&, int64_t first, int64_t last,
                             int64_t kv_head, float* scratch);
  /** Floats of scratch, aligned to 64 bytes, for sequences of as many rows. */
  int64_t (*attention_scratch)(int64_t head_dim, int64_t rows);

  // Of the optimizers, for values first .. last-1.
  double (*squares)(const float* x, int64_t count);
  void (*adamw)(const train::AdamW&, int64_t first, int64_t last);
  void (*momentum)(const train::Momentum&, int64_t first, int64_t last);
  void (*combine)(const train::Combination&, int64_t first, int64_t last);
};

}  // namespace tokamak::cpu
