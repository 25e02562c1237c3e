// SPDX-License-Identifier: Apache-2.0
//
// The ABI's functions of training: each checks what it is given, names what is wrong, and leaves the
// work to the training tape. Nothing here throws further than its caller.

#include <limits.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "../../status.h"
#include "../check.h"
#include "tokamak/tokamak_train.h"
#include "train.h"

// Not all of tokamak::cpu: it has operations of the same names.
using namespace tokamak::cpu::train;
using tokamak::fail;
using tokamak::cpu::Check;
using tokamak::cpu::Long;
using tokamak::cpu::most_rows;

namespace {

/** Calls f, turning what the library throws into a status. */
template <typename F>
int guarded(const char* function, F f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail(TK_OUT_OF_MEMORY, "%s: no memory", function);
  }
}

int append(const char* function, tk_train* tape, Work work, int rows) {
  return guarded(function, [&] {
    tape->append(std::move(work), rows);
    return static_cast<int>(TK_OK);
  });
}

Check check_tape(const char* function, const tk_train* tape) {
  Check check(function);
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null");
  return check;
}

bool is_finite(float value) { return std::isfinite(value); }

Check& check_heads(Check& check, int64_t heads, int64_t head_dim) {
  return check.range("heads", heads, 1, most_rows)
      .range("head_dim", head_dim, 1, most_rows)
      .width("heads * head_dim", heads * head_dim);
}

Check& check_attention(Check& check, const Attention& op) {
  check.pointer("q", op.q).pointer("k", op.k).pointer("v", op.v);
  check_heads(check, op.heads, op.head_dim).range("kv_heads", op.kv_heads, 1, op.heads);
  if (check.status() == TK_OK) check.multiple("heads", op.heads, "kv_heads", op.kv_heads);
  return check.that(is_finite(op.scale), TK_BAD_ARGUMENT, "scale must be finite")
      .pointer("out", op.out)
      .pointer("log_sums", op.log_sums);
}

}  // namespace

tk_train* tk_train_create(tk_team* team, int max_rows, int max_outputs, int arithmetic,
                          const int32_t* tokens, const int32_t* positions, const int32_t* starts,
                          const int32_t* outputs, const int32_t* targets,
                          const float* coefficients, float* log_probabilities) {
  const char* const function = "tk_train_create";
  Check check(function);
  check.that(team != nullptr, TK_BAD_ARGUMENT, "team is null")
      .range("max_rows", max_rows, 1, most_rows)
      .range("max_outputs", max_outputs, 1, max_rows)
      .range("arithmetic", arithmetic, TK_ARITHMETIC_F32, TK_ARITHMETIC_BF16)
      .pointer("tokens", tokens)
      .pointer("positions", positions)
      .pointer("starts", starts)
      .pointer("outputs", outputs)
      .pointer("targets", targets)
      .pointer("coefficients", coefficients)
      .pointer("log_probabilities", log_probabilities);
  if (check.status() != TK_OK) return nullptr;
  tk_train* tape = nullptr;
  const int status = guarded(function, [&] {
    tape = new tk_train{};
    tape->team = team;
    tape->max_rows = max_rows;
    tape->max_outputs = max_outputs;
    using tokamak::cpu::Arithmetic;
    tape->arithmetic = arithmetic == TK_ARITHMETIC_BF16 ? Arithmetic::bf16 : Arithmetic::float32;
    tape->batch = {0,       0,       tokens,       positions,         starts,
                   outputs, targets, coefficients, log_probabilities, nullptr};
    tape->prepare();
    return static_cast<int>(TK_OK);
  });
  if (status == TK_OK) return tape;
  delete tape;
  return nullptr;
}

void tk_train_free(tk_train* tape) { delete tape; }

// ---- the forward pass ---------------------------------------------------------------------

int tk_train_embed(tk_train* tape, const float* table, int64_t vocab, int64_t dim, float* out) {
  const char* const function = "tk_train_embed";
  Check check = check_tape(function, tape);
  check.pointer("table", table)
      .range("vocab", vocab, 1, INT_MAX)
      .width("dim", dim)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Embed{table, vocab, dim, out}, TK_ROWS_STEP);
}

int tk_train_norm(tk_train* tape, int rows, const float* x, int64_t width, const float* weight,
                  int64_t dim, float epsilon, float* out) {
  const char* const function = "tk_train_norm";
  Check check = check_tape(function, tape);
  check.rows(rows)
      .pointer("x", x)
      .width("width", width)
      .pointer("weight", weight)
      .width("dim", dim)
      .pointer("out", out);
  if (check.status() == TK_OK) check.multiple("width", width, "dim", dim);
  check.that(epsilon >= 0 && epsilon < 1e30f, TK_BAD_ARGUMENT,
             "epsilon must be finite and not negative");
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Norm{x, width, weight, dim, epsilon, out}, rows);
}

int tk_train_matmul(tk_train* tape, int rows, const float* x, int64_t cols, const float* weight,
                    int64_t out_dim, const float* bias, float* out) {
  const char* const function = "tk_train_matmul";
  Check check = check_tape(function, tape);
  check.rows(rows)
      .pointer("x", x)
      .width("cols", cols)
      .pointer("weight", weight)
      .width("out_dim", out_dim)
      .optional("bias", bias)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  Product product{};
  product.gemm.n = out_dim;
  product.gemm.k = cols;
  product.gemm.a = x;
  product.gemm.a_stride = cols;
  product.gemm.b = weight;
  product.gemm.b_stride = cols;
  product.gemm.b_transposed = true;
  product.gemm.bias = bias;
  product.gemm.c = out;
  product.gemm.c_stride = out_dim;
  product.gemm.arithmetic = tape->arithmetic;
  return append(function, tape, product, rows);
}

int tk_train_rope(tk_train* tape, const float* x, int64_t heads, int64_t head_dim,
                  int64_t rotary_dim, int pairing, const float* table, int64_t table_rows,
                  int inverse, float* out) {
  const char* const function = "tk_train_rope";
  Check check = check_tape(function, tape);
  check.pointer("x", x);
  check_heads(check, heads, head_dim)
      .range("rotary_dim", rotary_dim, 2, head_dim)
      .multiple("rotary_dim", rotary_dim, "a pair", 2)
      .range("pairing", pairing, TK_PAIRING_INTERLEAVED, TK_PAIRING_HALF_SPLIT)
      .pointer("table", table)
      .range("table_rows", table_rows, 1, INT_MAX)
      .range("inverse", inverse, 0, 1)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(
      function, tape,
      Rope{x, heads, head_dim, rotary_dim, pairing, table, table_rows, inverse != 0, out},
      TK_ROWS_STEP);
}

int tk_train_attention(tk_train* tape, const float* q, const float* k, const float* v,
                       int64_t heads, int64_t kv_heads, int64_t head_dim, float scale, float* out,
                       float* log_sums) {
  const char* const function = "tk_train_attention";
  Check check = check_tape(function, tape);
  const Attention op{q, k, v, heads, kv_heads, head_dim, scale, out, log_sums};
  if (check_attention(check, op).status() != TK_OK) return check.status();
  return append(function, tape, op, TK_ROWS_STEP);
}

int tk_train_gate(tk_train* tape, int rows, const float* gate, const float* up, int64_t width,
                  float* out) {
  const char* const function = "tk_train_gate";
  Check check = check_tape(function, tape);
  check.rows(rows)
      .pointer("gate", gate)
      .pointer("up", up)
      .width("width", width)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Gate{gate, up, width, out}, rows);
}

int tk_train_add(tk_train* tape, int rows, const float* x, const float* y, int64_t width,
                 float* out) {
  const char* const function = "tk_train_add";
  Check check = check_tape(function, tape);
  check.rows(rows).pointer("x", x).pointer("y", y).width("width", width).pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Add{x, y, width, out}, rows);
}

int tk_train_scale(tk_train* tape, int rows, const float* x, float factor, int64_t width,
                   float* out) {
  const char* const function = "tk_train_scale";
  Check check = check_tape(function, tape);
  check.rows(rows)
      .pointer("x", x)
      .that(is_finite(factor), TK_BAD_ARGUMENT, "factor must be finite")
      .width("width", width)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Scale{x, factor, width, out}, rows);
}

int tk_train_select(tk_train* tape, const float* x, int64_t width, float* out) {
  const char* const function = "tk_train_select";
  Check check = check_tape(function, tape);
  check.pointer("x", x).width("width", width).pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, Select{x, width, out}, TK_ROWS_OUTPUTS);
}

int tk_train_log_probability(tk_train* tape, const float* logits, int64_t vocab, float* log_sums) {
  const char* const function = "tk_train_log_probability";
  Check check = check_tape(function, tape);
  check.pointer("logits", logits).width("vocab", vocab).pointer("log_sums", log_sums);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, LogProbability{logits, vocab, log_sums}, TK_ROWS_OUTPUTS);
}

// ---- the backward pass --------------------------------------------------------------------

int tk_train_begin_backward(tk_train* tape) {
  Check check = check_tape("tk_train_begin_backward", tape);
  if (check.status() != TK_OK) return check.status();
  check.that(!tape->in_backward, TK_BAD_ARGUMENT, "the backward pass has begun already");
  if (check.status() != TK_OK) return check.status();
  tape->in_backward = true;
  return TK_OK;
}

namespace {

/** What is appended to the backward pass only. */
Check check_backward(const char* function, const tk_train* tape) {
  Check check = check_tape(function, tape);
  check.that(tape != nullptr && tape->in_backward, TK_BAD_ARGUMENT,
             "the backward pass has not begun: call tk_train_begin_backward first");
  return check;
}

}  // namespace

int tk_train_log_probability_gradient(tk_train* tape, float* logits, int64_t vocab,
                                      const float* log_sums) {
  const char* const function = "tk_train_log_probability_gradient";
  Check check = check_backward(function, tape);
  check.pointer("logits", logits).width("vocab", vocab).pointer("log_sums", log_sums);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, LogProbabilityGradient{logits, vocab, log_sums}, TK_ROWS_OUTPUTS);
}

int tk_train_embed_gradient(tk_train* tape, const float* out_gradient, int64_t vocab, int64_t dim,
                            float* table_gradient) {
  const char* const function = "tk_train_embed_gradient";
  Check check = check_backward(function, tape);
  check.pointer("out_gradient", out_gradient)
      .range("vocab", vocab, 1, INT_MAX)
      .width("dim", dim)
      .pointer("table_gradient", table_gradient);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, EmbedGradient{out_gradient, vocab, dim, table_gradient},
                TK_ROWS_STEP);
}

int tk_train_norm_gradient(tk_train* tape, int rows, const float* x, int64_t width,
                           const float* weight, int64_t dim, float epsilon,
                           const float* out_gradient, float* x_gradient, float* weight_gradient) {
  const char* const function = "tk_train_norm_gradient";
  Check check = check_backward(function, tape);
  check.rows(rows)
      .pointer("x", x)
      .width("width", width)
      .pointer("weight", weight)
      .width("dim", dim)
      .pointer("out_gradient", out_gradient)
      .pointer("x_gradient", x_gradient)
      .optional("weight_gradient", weight_gradient);
  if (check.status() == TK_OK) check.multiple("width", width, "dim", dim);
  check.that(epsilon >= 0 && epsilon < 1e30f, TK_BAD_ARGUMENT,
             "epsilon must be finite and not negative");
  if (check.status() != TK_OK) return check.status();
  return append(function, tape,
                NormGradient{x, width, weight, dim, epsilon, out_gradient, x_gradient,
                             weight_gradient, nullptr},
                rows);
}

int tk_train_input_gradient(tk_train* tape, int rows, const float* out_gradient, int64_t out_dim,
                            const float* weight, int64_t cols, int accumulate, float* x_gradient) {
  const char* const function = "tk_train_input_gradient";
  Check check = check_backward(function, tape);
  check.rows(rows)
      .pointer("out_gradient", out_gradient)
      .width("out_dim", out_dim)
      .pointer("weight", weight)
      .width("cols", cols)
      .range("accumulate", accumulate, 0, 1)
      .pointer("x_gradient", x_gradient);
  if (check.status() != TK_OK) return check.status();
  Product product{};
  product.gemm.n = cols;
  product.gemm.k = out_dim;
  product.gemm.a = out_gradient;
  product.gemm.a_stride = out_dim;
  product.gemm.b = weight;
  product.gemm.b_stride = cols;
  product.gemm.c = x_gradient;
  product.gemm.c_stride = cols;
  product.gemm.accumulate = accumulate != 0;
  product.gemm.arithmetic = tape->arithmetic;
  return append(function, tape, product, rows);
}

int tk_train_weight_gradient(tk_train* tape, int rows, const float* out_gradient, int64_t out_dim,
                             const float* x, int64_t cols, float* weight_gradient) {
  const char* const function = "tk_train_weight_gradient";
  Check check = check_backward(function, tape);
  check.rows(rows)
      .pointer("out_gradient", out_gradient)
      .width("out_dim", out_dim)
      .pointer("x", x)
      .width("cols", cols)
      .pointer("weight_gradient", weight_gradient);
  if (check.status() != TK_OK) return check.status();
  Product product{};
  product.sums_rows = true;
  product.gemm.m = out_dim;
  product.gemm.n = cols;
  product.gemm.a = out_gradient;
  product.gemm.a_stride = out_dim;
  product.gemm.a_transposed = true;
  product.gemm.b = x;
  product.gemm.b_stride = cols;
  product.gemm.c = weight_gradient;
  product.gemm.c_stride = cols;
  product.gemm.accumulate = true;
  product.gemm.arithmetic = tape->arithmetic;
  return append(function, tape, product, rows);
}

int tk_train_bias_gradient(tk_train* tape, int rows, const float* out_gradient, int64_t out_dim,
                           float* bias_gradient) {
  const char* const function = "tk_train_bias_gradient";
  Check check = check_backward(function, tape);
  check.rows(rows)
      .pointer("out_gradient", out_gradient)
      .width("out_dim", out_dim)
      .pointer("bias_gradient", bias_gradient);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, BiasGradient{out_gradient, out_dim, bias_gradient}, rows);
}

int tk_train_attention_gradient(tk_train* tape, const float* q, const float* k, const float* v,
                                const float* out, const float* log_sums, int64_t heads,
                                int64_t kv_heads, int64_t head_dim, float scale,
                                const float* out_gradient, float* q_gradient, float* k_gradient,
                                float* v_gradient) {
  const char* const function = "tk_train_attention_gradient";
  Check check = check_backward(function, tape);
  // The gradient only reads what the forward pass wrote.
  const Attention forward{q,     k, v, heads, kv_heads, head_dim, scale, const_cast<float*>(out),
                          const_cast<float*>(log_sums)};
  check_attention(check, forward)
      .pointer("out_gradient", out_gradient)
      .pointer("q_gradient", q_gradient)
      .pointer("k_gradient", k_gradient)
      .pointer("v_gradient", v_gradient);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape,
                AttentionGradient{forward, out_gradient, q_gradient, k_gradient, v_gradient},
                TK_ROWS_STEP);
}

int tk_train_gate_gradient(tk_train* tape, int rows, const float* gate, const float* up,
                           int64_t width, const float* out_gradient, float* gate_gradient,
                           float* up_gradient) {
  const char* const function = "tk_train_gate_gradient";
  Check check = check_backward(function, tape);
  check.rows(rows)
      .pointer("gate", gate)
      .pointer("up", up)
      .width("width", width)
      .pointer("out_gradient", out_gradient)
      .pointer("gate_gradient", gate_gradient)
      .pointer("up_gradient", up_gradient);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape,
                GateGradient{gate, up, width, out_gradient, gate_gradient, up_gradient}, rows);
}

int tk_train_select_gradient(tk_train* tape, const float* out_gradient, int64_t width,
                             float* x_gradient) {
  const char* const function = "tk_train_select_gradient";
  Check check = check_backward(function, tape);
  check.pointer("out_gradient", out_gradient)
      .width("width", width)
      .pointer("x_gradient", x_gradient);
  if (check.status() != TK_OK) return check.status();
  return append(function, tape, SelectGradient{out_gradient, width, x_gradient}, TK_ROWS_STEP);
}

// ---- steps --------------------------------------------------------------------------------

namespace {

int check_values(const char* function, const char* name, const int32_t* values, int count,
                 int64_t limit, const char* of) {
  for (int i = 0; i < count; i++) {
    if (values[i] < 0 || values[i] >= limit) {
      return fail(TK_BAD_ARGUMENT, "%s: %s[%d]=%d, must be 0 to %lld (%s)", function, name, i,
                  static_cast<int>(values[i]), static_cast<Long>(limit - 1), of);
    }
  }
  return TK_OK;
}

/** The batch against everything that operations index with it. */
int check_batch(const char* function, const tk_train& tape, int n, int m) {
  const Batch& batch = tape.batch;
  int64_t vocab = INT_MAX, positions = INT_MAX, targets = INT_MAX;
  for (const Pass* pass : {&tape.forward, &tape.backward}) {
    for (const Operation& operation : pass->operations) {
      if (const auto* op = std::get_if<Embed>(&operation.work)) vocab = std::min(vocab, op->vocab);
      if (const auto* op = std::get_if<EmbedGradient>(&operation.work)) {
        vocab = std::min(vocab, op->vocab);
      }
      if (const auto* op = std::get_if<Rope>(&operation.work)) {
        positions = std::min(positions, op->table_rows);
      }
      if (const auto* op = std::get_if<LogProbability>(&operation.work)) {
        targets = std::min(targets, op->vocab);
      }
      if (const auto* op = std::get_if<LogProbabilityGradient>(&operation.work)) {
        targets = std::min(targets, op->vocab);
      }
    }
  }
  if (int s = check_values(function, "tokens", batch.tokens, n, vocab, "vocabulary")) return s;
  if (int s = check_values(function, "positions", batch.positions, n, positions, "rotary table")) {
    return s;
  }
  if (int s = check_values(function, "outputs", batch.outputs, m, n, "rows of the step")) return s;
  if (int s = check_values(function, "targets", batch.targets, m, targets, "logits")) return s;
  for (int i = 0; i < n; i++) {
    if (batch.starts[i] != i && (i == 0 || batch.starts[i] != batch.starts[i - 1])) {
      return fail(TK_BAD_ARGUMENT, "%s: starts[%d]=%d, must be %d or as before", function, i,
                  static_cast<int>(batch.starts[i]), i);
    }
  }
  for (int i = 1; i < m; i++) {
    if (batch.outputs[i] < batch.outputs[i - 1]) {
      return fail(TK_BAD_ARGUMENT, "%s: outputs[%d]=%d, must not be below %d", function, i,
                  static_cast<int>(batch.outputs[i]), static_cast<int>(batch.outputs[i - 1]));
    }
  }
  return TK_OK;
}

/** The tables that are made of a batch. */
void index_batch(tk_train& tape, int n, int m) {
  tape.batch.n = n;
  tape.batch.m = m;
  int output = 0;
  for (int row = 0; row <= n; row++) {
    while (output < m && tape.batch.outputs[output] < row) output++;
    tape.first_outputs[static_cast<size_t>(row)] = output;
  }
  tape.sequences.clear();
  for (int row = 0; row < n; row++) {
    if (tape.batch.starts[row] == row) tape.sequences.emplace_back(row, row + 1);
    tape.sequences.back().second = row + 1;
  }
  // Long ones first, so that threads end together.
  std::sort(tape.sequences.begin(), tape.sequences.end(), [](const auto& a, const auto& b) {
    const int32_t length = a.second - a.first, other = b.second - b.first;
    return length != other ? length > other : a.first < b.first;
  });
}

}  // namespace

int tk_train_forward(tk_train* tape, int n, int m) {
  const char* const function = "tk_train_forward";
  Check check = check_tape(function, tape);
  if (check.status() != TK_OK) return check.status();
  tape->failed = -1;
  tape->can_go_back = false;
  check.that(!tape->forward.operations.empty(), TK_BAD_ARGUMENT, "the tape is empty")
      .range("n", n, 1, tape->max_rows)
      .range("m", m, 0, tape->max_outputs);
  if (check.status() != TK_OK) return check.status();
  if (const int status = check_batch(function, *tape, n, m); status != TK_OK) return status;
  return guarded(function, [&] {
    index_batch(*tape, n, m);
    const int status = tape->run_forward();
    tape->can_go_back = status == TK_OK;
    return status;
  });
}

int tk_train_backward(tk_train* tape, int n, int m) {
  const char* const function = "tk_train_backward";
  Check check = check_tape(function, tape);
  if (check.status() != TK_OK) return check.status();
  tape->failed = -1;
  check.that(tape->can_go_back, TK_BAD_ARGUMENT, "needs a forward pass of its own before it")
      .that(!tape->backward.operations.empty(), TK_BAD_ARGUMENT, "the tape has no backward pass");
  if (check.status() == TK_OK) {
    check.range("n", n, tape->batch.n, tape->batch.n).range("m", m, tape->batch.m, tape->batch.m);
  }
  if (check.status() != TK_OK) return check.status();
  // The arrays are the caller's: they may have changed in between.
  if (const int status = check_batch(function, *tape, n, m); status != TK_OK) return status;
  for (int i = 0; i < m; i++) {
    if (!is_finite(tape->batch.coefficients[i])) {
      return fail(TK_BAD_ARGUMENT, "%s: coefficients[%d]=%g, must be finite", function, i,
                  static_cast<double>(tape->batch.coefficients[i]));
    }
  }
  tape->can_go_back = false;
  return guarded(function, [&] {
    index_batch(*tape, n, m);
    return tape->run_backward();
  });
}

int tk_train_failed(const tk_train* tape) { return tape == nullptr ? -1 : tape->failed; }

// ---- the optimizer ------------------------------------------------------------------------

int tk_train_state(tk_train* tape, float* weights, float* gradients, float* first_moments,
                   float* second_moments, int64_t count) {
  Check check = check_tape("tk_train_state", tape);
  check.pointer("weights", weights)
      .pointer("gradients", gradients)
      .pointer("first_moments", first_moments)
      .pointer("second_moments", second_moments)
      .range("count", count, 1, INT64_MAX / 64);
  if (check.status() != TK_OK) return check.status();
  check.that(tape->state.count == 0, TK_BAD_ARGUMENT, "the tape has a state already");
  if (check.status() != TK_OK) return check.status();
  tape->state = {weights, gradients, first_moments, second_moments, count};
  return TK_OK;
}

int tk_train_parameter(tk_train* tape, int role, int rows, int cols, int64_t offset) {
  const char* const function = "tk_train_parameter";
  Check check = check_tape(function, tape);
  check.range("role", role, TK_ROLE_MATRIX, TK_ROLE_VECTOR)
      .range("rows", rows, 1, INT_MAX)
      .range("cols", cols, 1, INT_MAX);
  if (check.status() != TK_OK) return check.status();
  int64_t least = 0;
  if (!tape->parameters.empty()) {
    const Parameter& before = tape->parameters.back();
    least = before.offset + before.rows * before.cols;
  }
  const int64_t count = static_cast<int64_t>(rows) * cols;
  check.range("offset", offset, least, tape->state.count - count);
  if (check.status() != TK_OK) return check.status();
  return guarded(function, [&] {
    tape->parameters.push_back({role, rows, cols, offset});
    return static_cast<int>(TK_OK);
  });
}

int tk_train_update(tk_train* tape, int optimizer, int64_t step, double learning_rate,
                    double weight_decay, double clip, double beta1, double beta2, double epsilon,
                    double momentum, double* norm) {
  const char* const function = "tk_train_update";
  Check check = check_tape(function, tape);
  const auto share = [&](const char* what, double value) {
    check.that(value >= 0 && value < 1, TK_BAD_ARGUMENT, what);
  };
  check.range("optimizer", optimizer, TK_OPTIMIZER_ADAMW, TK_OPTIMIZER_MUON)
      .range("step", step, 1, INT64_MAX)
      .that(std::isfinite(learning_rate) && std::isfinite(weight_decay), TK_BAD_ARGUMENT,
            "learning_rate and weight_decay must be finite")
      .that(clip >= 0 && std::isfinite(clip), TK_BAD_ARGUMENT, "clip must be 0 or above")
      .that(epsilon >= 0 && std::isfinite(epsilon), TK_BAD_ARGUMENT, "epsilon must be 0 or above")
      .pointer("norm", norm);
  share("beta1 must be 0 or above, and below 1", beta1);
  share("beta2 must be 0 or above, and below 1", beta2);
  share("momentum must be 0 or above, and below 1", momentum);
  if (check.status() != TK_OK) return check.status();
  check.that(!tape->parameters.empty(), TK_BAD_ARGUMENT, "no parameter was named");
  if (check.status() != TK_OK) return check.status();
  return guarded(function, [&] {
    return tape->update({optimizer, step, learning_rate, weight_decay, clip, beta1, beta2, epsilon,
                         momentum},
                        *norm);
  });
}
