// SPDX-License-Identifier: Apache-2.0
//
// tokamak_cuda_train.h: the C ABI of the CUDA kernels that training adds to those of
// tokamak_cuda.h, with the same conventions. What a training step shares with inference (embed,
// norm, gate, select) is launched by the functions there, on the step that is made here.
//
// Gradients of values are written, those of parameters are added to. Parameters, their gradients
// and moments are float32, row-major.
//
// Determinism: the order of every sum is fixed by the shape of its problem (and by the batch, where
// it says which rows meet); never by threads. No atomic addition of floats anywhere.

#pragma once

#include <stdint.h>

#include "tokamak/tokamak_cuda.h"

#if defined(__cplusplus)
extern "C" {
#endif

// How products are computed; sums and all that is stored are float32.
enum tk_train_arithmetic {
  TK_TRAIN_F32 = 0,  // factors are sums of three bfloat16 values, of which six products are added
  TK_TRAIN_BF16 = 1  // factors are rounded to bfloat16, to nearest even
};

// ---- step ---------------------------------------------------------------------------------

/** A step of exactly `rows` rows and `outputs` outputs: the rows of several sequences behind each
 *  other. In device memory: counts [2], which say the same; tokens, positions, starts [rows], of
 *  which starts is the first row of each row's sequence; output_rows [outputs], ascending. Tokens,
 *  positions and rows must be in range: kernels do not check. Freed by tk_cuda_step_free. Null:
 *  refused. */
TK_API tk_cuda_step* tk_cuda_train_step(void* stream, int rows, int outputs, const int32_t* counts,
                                        const int32_t* tokens, const int32_t* positions,
                                        const int32_t* starts, const int32_t* output_rows);

// ---- products -----------------------------------------------------------------------------
// Factors are packed first, once for all products that they are in: weights after each update, a
// value before the products that follow.

/** Bytes of a matrix [rows, cols] as a factor; -1: not supported. */
TK_API int64_t tk_cuda_train_packed_bytes(int arithmetic, int64_t rows, int64_t cols);

/** packed = the matrix x [rows, cols] as a factor of products. */
TK_API int tk_cuda_train_pack(void* stream, int arithmetic, int64_t rows, int64_t cols,
                              const float* x, void* packed);

/** out[rows, out_dim] = x[rows, cols] * W^T (+ bias[out_dim]), W [out_dim, cols]; x and W packed.
 *  bias may be null. */
TK_API int tk_cuda_train_matmul(void* stream, int arithmetic, int64_t rows, const void* x,
                                int64_t cols, const void* weight, int64_t out_dim,
                                const float* bias, float* out);

/** x_gradient[rows, cols] = out_gradient[rows, out_dim] * W [out_dim, cols], both packed; with
 *  `accumulate` += . */
TK_API int tk_cuda_train_input_gradient(void* stream, int arithmetic, int64_t rows,
                                        const void* out_gradient, int64_t out_dim,
                                        const void* weight, int64_t cols, int accumulate,
                                        float* x_gradient);

/** Bytes of scratch memory that tk_cuda_train_weight_gradient needs, never more for fewer rows; may be
 *  0; -1: not supported. Calls of one stream may share it, as all scratch memory. */
TK_API int64_t tk_cuda_train_weight_gradient_bytes(int64_t rows, int64_t out_dim, int64_t cols);

/** gradient[out_dim, cols] += out_gradient^T [out_dim, rows] * x [rows, cols], both packed. Rows are
 *  summed in segments that the shape fixes, and those in order. */
TK_API int tk_cuda_train_weight_gradient(void* stream, int arithmetic, int64_t rows,
                                         const void* out_gradient, int64_t out_dim, const void* x,
                                         int64_t cols, void* scratch, float* gradient);

/** Bytes of scratch memory of tk_cuda_train_bias_gradient and, with a row for each group, of
 *  tk_cuda_train_norm_gradient. */
TK_API int64_t tk_cuda_train_column_bytes(int64_t rows, int64_t cols);

/** gradient[cols] += the sum of the rows of out_gradient [rows, cols]. */
TK_API int tk_cuda_train_bias_gradient(void* stream, int64_t rows, const float* out_gradient,
                                       int64_t cols, void* scratch, float* gradient);

// ---- row by row ---------------------------------------------------------------------------

/** Of tk_cuda_norm: x_gradient [rows, width]; weight_gradient [dim] += unless it is null. scratch:
 *  tk_cuda_train_column_bytes(rows * width / dim, dim); unused without weight_gradient. */
TK_API int tk_cuda_train_norm_gradient(void* stream, int64_t rows, const float* x, int64_t width,
                                       const float* weight, int64_t dim, float epsilon,
                                       const float* out_gradient, float* x_gradient, void* scratch,
                                       float* weight_gradient);

/** tk_cuda_rope from x to out, all rows of a step; inverse: turned the other way. */
TK_API int tk_cuda_train_rope(tk_cuda_step* step, const float* x, int64_t heads, int64_t head_dim,
                              int64_t rotary_dim, int pairing, const float* table,
                              int64_t table_rows, int inverse, float* out);

/** Of tk_cuda_gate, all [rows, width]. */
TK_API int tk_cuda_train_gate_gradient(void* stream, int64_t rows, const float* gate,
                                       const float* up, int64_t width, const float* out_gradient,
                                       float* gate_gradient, float* up_gradient);

/** out = x + y, all [rows, width]. */
TK_API int tk_cuda_train_add(void* stream, int64_t rows, const float* x, const float* y,
                             int64_t width, float* out);

/** out = factor * x, both [rows, width]. */
TK_API int tk_cuda_train_scale(void* stream, int64_t rows, const float* x, float factor,
                               int64_t width, float* out);

/** x_gradient [rows, width] = the rows of out_gradient [outputs, width] where they came from,
 *  summed where several came from one; zero elsewhere. */
TK_API int tk_cuda_train_select_gradient(tk_cuda_step* step, const float* out_gradient,
                                         int64_t width, float* x_gradient);

/** gradient [vocab, dim]: row tokens[i] += out_gradient [rows, dim] row i, in the order of rows. */
TK_API int tk_cuda_train_embed_gradient(tk_cuda_step* step, const float* out_gradient, int64_t dim,
                                        float* gradient);

/** log_sums [outputs] = log sum exp of each row of logits [outputs, vocab]; log_probabilities
 *  [outputs] = the logit of targets[i] - that. */
TK_API int tk_cuda_train_log_probability(tk_cuda_step* step, const float* logits, int64_t vocab,
                                         const int32_t* targets, float* log_sums,
                                         float* log_probabilities);

/** logits[i, j] = coefficients[i] * ((j = targets[i]) - softmax(logits)[i, j]), in place. */
TK_API int tk_cuda_train_log_probability_gradient(tk_cuda_step* step, float* logits, int64_t vocab,
                                                  const int32_t* targets, const float* log_sums,
                                                  const float* coefficients);

// ---- attention ----------------------------------------------------------------------------

/** Causal attention among the rows of a step: q, out [rows, heads * head_dim], k, v [rows, kv_heads
 *  * head_dim]; a row sees the rows of its own sequence up to itself. log_sums [rows, heads] = log
 *  sum exp(scale * score). head_dim is at most 256. */
TK_API int tk_cuda_train_attention(tk_cuda_step* step, int arithmetic, const float* q,
                                   const float* k, const float* v, int64_t heads, int64_t kv_heads,
                                   int64_t head_dim, float scale, float* out, float* log_sums);

/** Bytes of scratch memory that tk_cuda_train_attention_gradient needs. */
TK_API int64_t tk_cuda_train_attention_gradient_bytes(int64_t rows, int64_t heads);

/** Gradients of q, k and v from that of out, the softmax made again from log_sums. */
TK_API int tk_cuda_train_attention_gradient(tk_cuda_step* step, int arithmetic, const float* q,
                                            const float* k, const float* v, int64_t heads,
                                            int64_t kv_heads, int64_t head_dim, float scale,
                                            const float* out, const float* log_sums,
                                            const float* out_gradient, void* scratch,
                                            float* q_gradient, float* k_gradient,
                                            float* v_gradient);

// ---- optimisers ---------------------------------------------------------------------------

/** Bytes of scratch memory of tk_cuda_train_squares. */
TK_API int64_t tk_cuda_train_squares_bytes(void);

/** sum[0] = the sum of the squares of x [count], in double precision. scratch of
 *  tk_cuda_train_squares_bytes. */
TK_API int tk_cuda_train_squares(void* stream, int64_t count, const float* x, void* scratch,
                                 double* sum);

// What tk_cuda_train_adamw does to each parameter with gradient g, after g *= gradient_factor:
//   m += first_share * (g - m)        v += second_share * (g * g - v)
//   w -= decay * w                    w -= rate * m / (sqrt(v) * second_factor + epsilon)
// first_share = 1 - beta1, second_share = 1 - beta2; with a step's corrections rate = learning rate
// / (1 - beta1^step), second_factor = 1 / sqrt(1 - beta2^step); decay = learning rate * weight decay.
typedef struct tk_cuda_adamw {
  float gradient_factor, first_share, second_share, epsilon, rate, second_factor, decay;
} tk_cuda_adamw;

/** AdamW (Loshchilov and Hutter 2019) on `count` parameters; gradients become zero. `update` lies in
 *  host memory. */
TK_API int tk_cuda_train_adamw(void* stream, int64_t count, const tk_cuda_adamw* update,
                               float* weights, float* gradients, float* first, float* second);

/** Bytes of scratch memory of tk_cuda_train_muon; -1: not supported. */
TK_API int64_t tk_cuda_train_muon_bytes(int arithmetic, int64_t rows, int64_t cols);

/** Muon (Jordan et al. 2024) on a matrix weight [rows, cols], after g *= gradient_factor: momentum +=
 *  share * (g - momentum); u = g + (1 - share) * (momentum - g), made nearly orthogonal by five steps
 *  of Newton and Schulz; w -= decay * w; w -= rate * u. The gradient becomes zero. */
TK_API int tk_cuda_train_muon(void* stream, int arithmetic, int64_t rows, int64_t cols,
                              float gradient_factor, float share, float rate, float decay,
                              void* scratch, float* weight, float* gradient, float* momentum);

#if defined(__cplusplus)
}
#endif
