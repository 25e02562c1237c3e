// SPDX-License-Identifier: Apache-2.0

#include "training.h"

#include <algorithm>

namespace tokamak::tests {
namespace {

Floats unwritten(int64_t count) { return Floats(static_cast<size_t>(count), NAN); }

void append(Floats& all, const Floats& more) { all.insert(all.end(), more.begin(), more.end()); }

void ok(int status) { expect_status(status, TK_OK, "training"); }

}  // namespace

TrainBatch::TrainBatch(int rows, int outputs)
    : tokens(static_cast<size_t>(rows)),
      positions(tokens.size()),
      outputs(static_cast<size_t>(outputs)),
      targets(this->outputs.size()),
      coefficients(this->outputs.size()),
      log_probabilities(this->outputs.size(), 0) {
  for (int row = 0; row < rows; row++) starts.push_back(row);
}

TrainBatch::TrainBatch(const TrainingRows& step)
    : tokens(step.tokens),
      positions(step.positions),
      starts(step.starts),
      outputs(step.outputs),
      targets(step.targets) {
  if (outputs.empty()) outputs.push_back(0);
  targets.resize(outputs.size());
  coefficients.resize(outputs.size());
  log_probabilities.resize(outputs.size(), 0);
}

TrainTape::TrainTape(const Team& team, TrainBatch& batch, int arithmetic)
    : handle(tk_train_create(team.handle, static_cast<int>(batch.tokens.size()),
                             static_cast<int>(batch.outputs.size()), arithmetic,
                             batch.tokens.data(), batch.positions.data(), batch.starts.data(),
                             batch.outputs.data(), batch.targets.data(), batch.coefficients.data(),
                             batch.log_probabilities.data())) {
  if (handle == nullptr) fail("training tape: %s", tk_last_error());
}

template <typename F>
void CpuTraining::run(TrainBatch batch, bool bf16, F f) {
  const TrainTape tape(team_, batch, bf16 ? TK_ARITHMETIC_BF16 : TK_ARITHMETIC_F32);
  tk_train* const t = tape.handle;
  // A pass that has no operation is refused: this one is of no consequence.
  Floats none(batch.tokens.size());
  ok(tk_train_scale(t, TK_ROWS_STEP, none.data(), 1, 1, none.data()));
  ok(tk_train_begin_backward(t));
  ok(tk_train_scale(t, TK_ROWS_STEP, none.data(), 1, 1, none.data()));
  f(t);
  const int n = static_cast<int>(batch.tokens.size()), m = static_cast<int>(batch.outputs.size());
  ok(tk_train_forward(t, n, m));
  const int status = tk_train_backward(t, n, m);
  if (status != TK_NOT_FINITE) ok(status);  // the values are the caller's to look at
}

Floats CpuTraining::matmul(bool bf16, int64_t rows, int64_t cols, int64_t out_dim, const Floats& x,
                           const Floats& weight, const Floats& bias) {
  Floats out = unwritten(rows * out_dim);
  run(TrainBatch(static_cast<int>(rows), 1), bf16, [&](tk_train* t) {
    ok(tk_train_matmul(t, TK_ROWS_STEP, x.data(), cols, weight.data(), out_dim,
                       bias.empty() ? nullptr : bias.data(), out.data()));
  });
  return out;
}

Floats CpuTraining::input_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                   const Floats& out_gradient, const Floats& weight,
                                   const Floats& before) {
  Floats out = before.empty() ? unwritten(rows * cols) : before;
  run(TrainBatch(static_cast<int>(rows), 1), bf16, [&](tk_train* t) {
    ok(tk_train_input_gradient(t, TK_ROWS_STEP, out_gradient.data(), out_dim, weight.data(), cols,
                               !before.empty(), out.data()));
  });
  return out;
}

Floats CpuTraining::weight_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                    const Floats& out_gradient, const Floats& x,
                                    const Floats& before) {
  Floats out = before;
  run(TrainBatch(static_cast<int>(rows), 1), bf16, [&](tk_train* t) {
    ok(tk_train_weight_gradient(t, TK_ROWS_STEP, out_gradient.data(), out_dim, x.data(), cols,
                                out.data()));
  });
  return out;
}

Floats CpuTraining::bias_gradient(int64_t rows, int64_t cols, const Floats& out_gradient,
                                  const Floats& before) {
  Floats out = before;
  run(TrainBatch(static_cast<int>(rows), 1), false, [&](tk_train* t) {
    ok(tk_train_bias_gradient(t, TK_ROWS_STEP, out_gradient.data(), cols, out.data()));
  });
  return out;
}

Floats CpuTraining::norm_gradient(int64_t rows, int64_t width, int64_t dim, float epsilon,
                                  const Floats& x, const Floats& weight,
                                  const Floats& out_gradient, Floats& of_weight) {
  Floats out = unwritten(rows * width);
  run(TrainBatch(static_cast<int>(rows), 1), false, [&](tk_train* t) {
    ok(tk_train_norm_gradient(t, TK_ROWS_STEP, x.data(), width, weight.data(), dim, epsilon,
                              out_gradient.data(), out.data(),
                              of_weight.empty() ? nullptr : of_weight.data()));
  });
  return out;
}

Floats CpuTraining::rope(const TrainingRows& step, int64_t heads, int64_t head_dim,
                         int64_t rotary_dim, int pairing, const Floats& table, int64_t table_rows,
                         bool inverse, const Floats& x) {
  Floats out = unwritten(static_cast<int64_t>(x.size()));
  run(TrainBatch(step), false, [&](tk_train* t) {
    ok(tk_train_rope(t, x.data(), heads, head_dim, rotary_dim, pairing, table.data(), table_rows,
                     inverse, out.data()));
  });
  return out;
}

Floats CpuTraining::gate_gradient(int64_t rows, int64_t width, const Floats& gate, const Floats& up,
                                  const Floats& out_gradient) {
  Floats of_gate = unwritten(rows * width), of_up = of_gate;
  run(TrainBatch(static_cast<int>(rows), 1), false, [&](tk_train* t) {
    ok(tk_train_gate_gradient(t, TK_ROWS_STEP, gate.data(), up.data(), width, out_gradient.data(),
                              of_gate.data(), of_up.data()));
  });
  append(of_gate, of_up);
  return of_gate;
}

Floats CpuTraining::add(int64_t rows, int64_t width, const Floats& x, const Floats& y) {
  Floats out = unwritten(rows * width);
  run(TrainBatch(static_cast<int>(rows), 1), false, [&](tk_train* t) {
    ok(tk_train_add(t, TK_ROWS_STEP, x.data(), y.data(), width, out.data()));
  });
  return out;
}

Floats CpuTraining::scale(int64_t rows, int64_t width, float factor, const Floats& x) {
  Floats out = unwritten(rows * width);
  run(TrainBatch(static_cast<int>(rows), 1), false, [&](tk_train* t) {
    ok(tk_train_scale(t, TK_ROWS_STEP, x.data(), factor, width, out.data()));
  });
  return out;
}

Floats CpuTraining::select_gradient(const TrainingRows& step, int64_t width,
                                    const Floats& out_gradient) {
  Floats out = unwritten(step.rows * width);
  run(TrainBatch(step), false, [&](tk_train* t) {
    ok(tk_train_select_gradient(t, out_gradient.data(), width, out.data()));
  });
  return out;
}

Floats CpuTraining::embed_gradient(const TrainingRows& step, int64_t dim,
                                   const Floats& out_gradient, const Floats& before) {
  Floats out = before;
  run(TrainBatch(step), false, [&](tk_train* t) {
    ok(tk_train_embed_gradient(t, out_gradient.data(), static_cast<int64_t>(before.size()) / dim,
                               dim, out.data()));
  });
  return out;
}

Floats CpuTraining::log_probability(const TrainingRows& step, int64_t vocab, const Floats& logits,
                                    const Floats& coefficients) {
  TrainBatch batch(step);
  batch.coefficients = coefficients;
  const TrainTape tape(team_, batch);
  tk_train* const t = tape.handle;
  Floats in_place = logits, sums = unwritten(static_cast<int64_t>(step.outputs.size()));
  ok(tk_train_log_probability(t, in_place.data(), vocab, sums.data()));
  ok(tk_train_begin_backward(t));
  ok(tk_train_log_probability_gradient(t, in_place.data(), vocab, sums.data()));
  const int m = static_cast<int>(step.outputs.size());
  ok(tk_train_forward(t, step.rows, m));
  ok(tk_train_backward(t, step.rows, m));
  Floats all = batch.log_probabilities;
  append(all, in_place);
  return all;
}

Floats CpuTraining::attention(const TrainingRows& step, bool bf16, int64_t heads, int64_t kv_heads,
                              int64_t head_dim, float scale, const Floats& q, const Floats& k,
                              const Floats& v, const Floats& out_gradient) {
  Floats out = unwritten(static_cast<int64_t>(q.size())), log_sums = unwritten(step.rows * heads);
  Floats dq = out, dk = unwritten(static_cast<int64_t>(k.size())), dv = dk;
  run(TrainBatch(step), bf16, [&](tk_train* t) {
    ok(tk_train_attention(t, q.data(), k.data(), v.data(), heads, kv_heads, head_dim, scale,
                          out.data(), log_sums.data()));
    ok(tk_train_attention_gradient(t, q.data(), k.data(), v.data(), out.data(), log_sums.data(),
                                   heads, kv_heads, head_dim, scale, out_gradient.data(), dq.data(),
                                   dk.data(), dv.data()));
  });
  for (const Floats* more : {&log_sums, &dq, &dk, &dv}) append(out, *more);
  return out;
}

double CpuTraining::update(bool bf16, int optimizer, int64_t rows, int64_t cols, const Rule& rule,
                           State& state) {
  TrainBatch batch(1, 1);
  const TrainTape tape(team_, batch, bf16 ? TK_ARITHMETIC_BF16 : TK_ARITHMETIC_F32);
  tk_train* const t = tape.handle;
  Floats second = state.second.empty() ? Floats(state.weights.size()) : state.second;
  ok(tk_train_state(t, state.weights.data(), state.gradients.data(), state.first.data(),
                    second.data(), static_cast<int64_t>(state.weights.size())));
  ok(tk_train_parameter(t, TK_ROLE_MATRIX, static_cast<int>(rows), static_cast<int>(cols), 0));
  // Clipping makes the factor that the rule asks for.
  double squares = 0, norm;
  for (float g : state.gradients) squares += static_cast<double>(g) * static_cast<double>(g);
  ok(tk_train_update(t, optimizer, rule.step, rule.learning_rate, rule.weight_decay,
                     rule.gradient_factor * std::sqrt(squares), rule.beta1, rule.beta2,
                     rule.epsilon, rule.beta1, &norm));
  if (!state.second.empty()) state.second = second;
  return norm * norm;
}

double CpuTraining::adamw(const Rule& rule, State& state) {
  return update(false, TK_OPTIMIZER_ADAMW, 1, static_cast<int64_t>(state.weights.size()), rule,
                state);
}

void CpuTraining::muon(bool bf16, int64_t rows, int64_t cols, const Rule& rule, State& state) {
  update(bf16, TK_OPTIMIZER_MUON, rows, cols, rule, state);
}

}  // namespace tokamak::tests
