// SPDX-License-Identifier: Apache-2.0
//
// The operations of training as data: operands as in tokamak_train.h, addresses of row 0.

#pragma once

#include <stdint.h>

#include "gemm.h"

namespace tokamak::cpu::train {

/** The batch of a step: see tk_train_create. All values were checked. */
struct Batch {
  int n, m;
  const int32_t* tokens;
  const int32_t* positions;
  const int32_t* starts;
  const int32_t* outputs;
  const int32_t* targets;
  const float* coefficients;
  float* log_probabilities;
  const int32_t* first_outputs;  // [n + 1]: outputs first_outputs[i] .. [i + 1] - 1 are row i's
};

struct Embed {
  const float* table;
  int64_t vocab, dim;
  float* out;
};

struct EmbedGradient {
  const float* out_gradient;
  int64_t vocab, dim;
  float* table_gradient;
};

struct Norm {
  const float* x;
  int64_t width;
  const float* weight;
  int64_t dim;
  float epsilon;
  float* out;
};

/** Rows whose weight gradients are summed by themselves first. */
constexpr int64_t norm_block = 32;

struct NormGradient {
  const float* x;
  int64_t width;
  const float* weight;
  int64_t dim;
  float epsilon;
  const float* out_gradient;
  float* x_gradient;
  float* weight_gradient;  // null: none
  float* partials;         // [blocks of norm_block rows, dim]
};

/** One of the three products, with its form in `gemm` but for the rows of the step: they are m, or
 *  k where the weights' gradient is summed over them. */
struct Product {
  Gemm gemm;
  bool sums_rows;
};

struct BiasGradient {
  const float* out_gradient;
  int64_t width;
  float* bias_gradient;
};

struct Rope {
  const float* x;
  int64_t heads, head_dim, rotary_dim;
  int pairing;
  const float* table;
  int64_t table_rows;
  bool inverse;
  float* out;
};

struct Attention {
  const float* q;
  const float* k;
  const float* v;
  int64_t heads, kv_heads, head_dim;
  float scale;
  float* out;
  float* log_sums;
};

struct AttentionGradient {
  Attention forward;
  const float* out_gradient;
  float* q_gradient;
  float* k_gradient;
  float* v_gradient;
};

struct Gate {
  const float* gate;
  const float* up;
  int64_t width;
  float* out;
};

struct GateGradient {
  const float* gate;
  const float* up;
  int64_t width;
  const float* out_gradient;
  float* gate_gradient;
  float* up_gradient;
};

struct Add {
  const float* x;
  const float* y;
  int64_t width;
  float* out;
};

struct Scale {
  const float* x;
  float factor;
  int64_t width;
  float* out;
};

struct Select {
  const float* x;
  int64_t width;
  float* out;
};

struct SelectGradient {
  const float* out_gradient;
  int64_t width;
  float* x_gradient;
};

struct LogProbability {
  const float* logits;
  int64_t vocab;
  float* log_sums;
};

struct LogProbabilityGradient {
  float* logits;
  int64_t vocab;
  const float* log_sums;
};

/** AdamW's step; numbers that are the same for all values are worked out before, in double. */
struct AdamW {
  float* weights;
  float* gradients;
  float* first_moments;
  float* second_moments;
  float factor;        // of gradients: clipping
  float beta1, rest1;  // rest: 1 - beta
  float beta2, rest2;
  float shrink;      // 1 - learning rate * decay; 1: none
  float rate;        // learning rate / (1 - beta1^step)
  float correction;  // 1 / sqrt(1 - beta2^step)
  float epsilon;
};

/** Muon's momentum (Nesterov): b = momentum b + rest factor g; out = momentum b + rest factor g; g = 0. */
struct Momentum {
  float* gradients;
  float* moments;
  float* out;
  float factor;
  float momentum, rest;
};

/** out = a x + b y. */
struct Combination {
  float* out;
  float a;
  const float* x;
  float b;
  const float* y;
};

}  // namespace tokamak::cpu::train
