// SPDX-License-Identifier: Apache-2.0
//
// tokamak_train.h: training on the CPU, the other half of the ABI of tokamak.h, whose conventions
// and status numbers hold here too. JavaCPP parses this file.
//
// A training tape holds a forward pass and the backward pass that was derived from it, each a list
// of operations on arrays of the caller. Operations are numbered from 0 in the order of appending,
// through both passes. Each writes arrays of its own and leaves those it reads as they are, unless
// the text says otherwise; arrays may share memory with others that are used at other times.
//
// A step works on n rows: tokens of sequences that lie one behind the other. m of them, the outputs,
// have a target. Arrays of rows TK_ROWS_STEP have room for max_rows rows, those of TK_ROWS_OUTPUTS
// for max_outputs. Gradients of arrays are written, those of parameters are added to; an address of
// a parameter's gradient that may be null is so where the parameter is frozen.
//
// Determinism: the order of every sum depends on the batch and on shapes alone, never on threads.

#pragma once

#include "tokamak/tokamak.h"

#if defined(__cplusplus)
extern "C" {
#endif

enum tk_arithmetic {
  TK_ARITHMETIC_F32 = 0,
  TK_ARITHMETIC_BF16 = 1  // factors of matmuls are rounded to bfloat16, nearest even
};

enum tk_role {
  TK_ROLE_MATRIX = 0,  // decays; its updates are Muon's where that is the optimizer
  TK_ROLE_TABLE = 1,   // decays
  TK_ROLE_VECTOR = 2   // does not decay
};

enum tk_optimizer { TK_OPTIMIZER_ADAMW = 0, TK_OPTIMIZER_MUON = 1 };

typedef struct tk_train tk_train;

/** An empty training tape. The batch of a step is read from these arrays, which the caller fills
 *  before each step: tokens, positions, starts [max_rows], the last being the number of the first
 *  row of a row's sequence; outputs [max_outputs], row numbers that never fall; targets
 *  [max_outputs], tokens; coefficients [max_outputs], the derivative of the loss by each output's
 *  log probability. The log probabilities [max_outputs] are written by the forward pass. */
TK_API tk_train* tk_train_create(tk_team* team, int max_rows, int max_outputs, int arithmetic,
                                 const int32_t* tokens, const int32_t* positions,
                                 const int32_t* starts, const int32_t* outputs,
                                 const int32_t* targets, const float* coefficients,
                                 float* log_probabilities);
TK_API void tk_train_free(tk_train* tape);

// ---- the forward pass ---------------------------------------------------------------------

/** out[n, dim] = rows of table [vocab, dim] chosen by the tokens. */
TK_API int tk_train_embed(tk_train* tape, const float* table, int64_t vocab, int64_t dim,
                          float* out);

/** RMS norm over groups of dim values of x [rows, width], as tk_cpu_norm. */
TK_API int tk_train_norm(tk_train* tape, int rows, const float* x, int64_t width,
                         const float* weight, int64_t dim, float epsilon, float* out);

/** out[rows, out_dim] = x[rows, cols] * weight^T (+ bias[out_dim]); weight [out_dim, cols]. bias may
 *  be null. */
TK_API int tk_train_matmul(tk_train* tape, int rows, const float* x, int64_t cols,
                           const float* weight, int64_t out_dim, const float* bias, float* out);

/** Rotary embedding as tk_cpu_rope, from x to out [n, heads, head_dim]; inverse 1 turns the other
 *  way. */
TK_API int tk_train_rope(tk_train* tape, const float* x, int64_t heads, int64_t head_dim,
                         int64_t rotary_dim, int pairing, const float* table, int64_t table_rows,
                         int inverse, float* out);

/** Causal attention among the rows of the step: q, out [n, heads * head_dim], k, v [n, kv_heads *
 *  head_dim]; a row sees the rows of its sequence up to itself. log_sums [n, heads]: the logarithm
 *  of the sum of e^score, for the backward pass. */
TK_API int tk_train_attention(tk_train* tape, const float* q, const float* k, const float* v,
                              int64_t heads, int64_t kv_heads, int64_t head_dim, float scale,
                              float* out, float* log_sums);

/** out = silu(gate) * up, all [rows, width]. */
TK_API int tk_train_gate(tk_train* tape, int rows, const float* gate, const float* up,
                         int64_t width, float* out);

/** out = x + y, all [rows, width]; out may be x or y. */
TK_API int tk_train_add(tk_train* tape, int rows, const float* x, const float* y, int64_t width,
                        float* out);

/** out = factor * x, both [rows, width]. */
TK_API int tk_train_scale(tk_train* tape, int rows, const float* x, float factor, int64_t width,
                          float* out);

/** out[m, width] = the rows of x [n, width] that are outputs. */
TK_API int tk_train_select(tk_train* tape, const float* x, int64_t width, float* out);

/** The log probability of each target under softmax(logits [m, vocab]), to log_probabilities;
 *  log_sums [m]: the logarithm of the sum of e^logit. */
TK_API int tk_train_log_probability(tk_train* tape, const float* logits, int64_t vocab,
                                    float* log_sums);

// ---- the backward pass --------------------------------------------------------------------

/** What is appended from here on is the backward pass; that may hold operations of the forward
 *  pass, to make again what was not kept. */
TK_API int tk_train_begin_backward(tk_train* tape);

/** logits[i, j] = coefficient i * ([j = target i] - softmax(logits)[i, j]), in place. */
TK_API int tk_train_log_probability_gradient(tk_train* tape, float* logits, int64_t vocab,
                                             const float* log_sums);

/** table_gradient [token i] += out_gradient [i], in the order of rows. */
TK_API int tk_train_embed_gradient(tk_train* tape, const float* out_gradient, int64_t vocab,
                                   int64_t dim, float* table_gradient);

/** x_gradient [rows, width]; weight_gradient [dim], which may be null. */
TK_API int tk_train_norm_gradient(tk_train* tape, int rows, const float* x, int64_t width,
                                  const float* weight, int64_t dim, float epsilon,
                                  const float* out_gradient, float* x_gradient,
                                  float* weight_gradient);

/** x_gradient [rows, cols] = (accumulate 1: +=) out_gradient [rows, out_dim] * weight [out_dim,
 *  cols]. */
TK_API int tk_train_input_gradient(tk_train* tape, int rows, const float* out_gradient,
                                   int64_t out_dim, const float* weight, int64_t cols,
                                   int accumulate, float* x_gradient);

/** weight_gradient [out_dim, cols] += out_gradient^T [out_dim, rows] * x [rows, cols]. */
TK_API int tk_train_weight_gradient(tk_train* tape, int rows, const float* out_gradient,
                                    int64_t out_dim, const float* x, int64_t cols,
                                    float* weight_gradient);

/** bias_gradient [out_dim] += the sum of the rows of out_gradient [rows, out_dim]. */
TK_API int tk_train_bias_gradient(tk_train* tape, int rows, const float* out_gradient,
                                  int64_t out_dim, float* bias_gradient);

/** Gradients of q, k and v of an attention, from what it read and wrote and out_gradient [n, heads *
 *  head_dim] (Dao et al. 2022). */
TK_API int tk_train_attention_gradient(tk_train* tape, const float* q, const float* k,
                                       const float* v, const float* out, const float* log_sums,
                                       int64_t heads, int64_t kv_heads, int64_t head_dim,
                                       float scale, const float* out_gradient, float* q_gradient,
                                       float* k_gradient, float* v_gradient);

/** Gradients of gate and up, all [rows, width]. */
TK_API int tk_train_gate_gradient(tk_train* tape, int rows, const float* gate, const float* up,
                                  int64_t width, const float* out_gradient, float* gate_gradient,
                                  float* up_gradient);

/** x_gradient [n, width]: the rows of out_gradient [m, width] where they came from, else zero. */
TK_API int tk_train_select_gradient(tk_train* tape, const float* out_gradient, int64_t width,
                                    float* x_gradient);

// ---- steps --------------------------------------------------------------------------------

/** Runs the forward pass for n rows and m outputs. The batch is checked first: a value that would
 *  lead outside an array fails the step. Where a log probability is not finite, the step runs once
 *  more with a look at every array that is written, and returns TK_NOT_FINITE. */
TK_API int tk_train_forward(tk_train* tape, int n, int m);

/** Runs the backward pass of the forward pass before, with the same n and m. Where the last array
 *  written is not finite, both run again with a look at every array; gradients of parameters are of
 *  no use then. */
TK_API int tk_train_backward(tk_train* tape, int n, int m);

/** The number of the first operation whose output was not finite in the last step; -1: none. */
TK_API int tk_train_failed(const tk_train* tape);

// ---- the optimizer ------------------------------------------------------------------------

/** The arrays that updates work on, of `count` floats each: the trainable weights, and what lies at
 *  the same places of their gradients and moments. Floats between parameters must be zero. */
TK_API int tk_train_state(tk_train* tape, float* weights, float* gradients, float* first_moments,
                          float* second_moments, int64_t count);

/** Names a parameter [rows, cols] at an offset of these arrays, in rising order. */
TK_API int tk_train_parameter(tk_train* tape, int role, int rows, int cols, int64_t offset);

/** Changes the weights by one step of an optimizer and sets the gradients to zero. norm: of all
 *  gradients together; where it is above clip (0: never), gradients are scaled down to clip first.
 *  Where it is not finite, nothing changes, TK_NOT_FINITE is returned and tk_train_failed gives the
 *  number of the first parameter with such a gradient.
 *
 *  AdamW (Loshchilov and Hutter 2019): m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 *  w = w (1 - rate decay) - rate / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + epsilon).
 *  Muon (Jordan et al. 2024) for matrices: b = momentum b + (1 - momentum) g; u = (1 - momentum) g +
 *  momentum b, made orthogonal by 5 steps of Newton and Schulz; w = w (1 - rate decay) - rate
 *  0.2 sqrt(max(rows, cols)) u (Liu et al. 2025). */
TK_API int tk_train_update(tk_train* tape, int optimizer, int64_t step, double learning_rate,
                           double weight_decay, double clip, double beta1, double beta2,
                           double epsilon, double momentum, double* norm);

#if defined(__cplusplus)
}
#endif
