// SPDX-License-Identifier: Apache-2.0

#include "training.h"

#include <algorithm>

#include "tokamak/tokamak_cuda_train.h"

namespace tokamak::tests {
namespace {

int arithmetic(bool bf16) { return bf16 ? TK_TRAIN_BF16 : TK_TRAIN_F32; }

/** A step, with what it reads on the device. */
struct Step {
  Step(Cuda& machine, void* stream, const TrainingRows& rows)
      : counts(machine, std::vector<int32_t>{rows.rows, static_cast<int32_t>(rows.outputs.size())}),
        tokens(machine, rows.tokens),
        positions(machine, rows.positions),
        starts(machine, rows.starts),
        outputs(machine, rows.outputs),
        targets(machine, rows.targets),
        handle(tk_cuda_train_step(stream, rows.rows, static_cast<int>(rows.outputs.size()),
                                  counts.data(), tokens.data(), positions.data(), starts.data(),
                                  outputs.data())) {
    if (handle == nullptr) fail("step: %s", tk_cuda_last_error());
  }
  ~Step() { tk_cuda_step_free(handle); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const Array<int32_t> counts, tokens, positions, starts, outputs, targets;
  tk_cuda_step* const handle;
};

void append(Floats& all, const Array<float>& values) {
  const Floats read = values.read();
  all.insert(all.end(), read.begin(), read.end());
}

int64_t count_of(const Floats& values) { return static_cast<int64_t>(values.size()); }

}  // namespace

Array<uint8_t> CudaTraining::scratch(int64_t bytes, const char* what) {
  if (bytes < 0) fail("%s: %s", what, tk_cuda_last_error());
  return Array<uint8_t>(machine_, bytes);
}

void CudaTraining::run(const char* what, int status) {
  expect_status(status, TK_OK, what);
  device::synchronize(stream_.handle);
}

Array<uint8_t> CudaTraining::packed(bool bf16, int64_t rows, int64_t cols, const Floats& x) {
  device::use(schedule_);
  const Array<float> source = array(x);
  Array<uint8_t> made =
      scratch(tk_cuda_train_packed_bytes(arithmetic(bf16), rows, cols), "packed bytes");
  run("pack", tk_cuda_train_pack(stream_.handle, arithmetic(bf16), rows, cols, source.data(),
                                 made.data()));
  return made;
}

Floats CudaTraining::matmul(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                            const Floats& x, const Floats& weight, const Floats& bias) {
  const Array<uint8_t> of_x = packed(bf16, rows, cols, x);
  const Array<uint8_t> of_weight = packed(bf16, out_dim, cols, weight);
  const Array<float> added = array(bias), out = result(rows * out_dim);
  run("matmul", tk_cuda_train_matmul(stream_.handle, arithmetic(bf16), rows, of_x.data(), cols,
                                     of_weight.data(), out_dim,
                                     bias.empty() ? nullptr : added.data(), out.data()));
  return out.read();
}

Floats CudaTraining::input_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                    const Floats& out_gradient, const Floats& weight,
                                    const Floats& before) {
  const Array<uint8_t> of_out = packed(bf16, rows, out_dim, out_gradient);
  const Array<uint8_t> of_weight = packed(bf16, out_dim, cols, weight);
  Array<float> out = result(rows * cols);
  if (!before.empty()) out.write(before.data(), count_of(before));
  run("input gradient",
      tk_cuda_train_input_gradient(stream_.handle, arithmetic(bf16), rows, of_out.data(), out_dim,
                                   of_weight.data(), cols, !before.empty(), out.data()));
  return out.read();
}

Floats CudaTraining::weight_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                     const Floats& out_gradient, const Floats& x,
                                     const Floats& before) {
  const Array<uint8_t> of_out = packed(bf16, rows, out_dim, out_gradient);
  const Array<uint8_t> of_x = packed(bf16, rows, cols, x);
  const Array<uint8_t> sums =
      scratch(tk_cuda_train_weight_gradient_bytes(rows, out_dim, cols), "weight gradient");
  const Array<float> gradient = array(before);
  run("weight gradient",
      tk_cuda_train_weight_gradient(stream_.handle, arithmetic(bf16), rows, of_out.data(), out_dim,
                                    of_x.data(), cols, sums.data(), gradient.data()));
  return gradient.read();
}

Floats CudaTraining::bias_gradient(int64_t rows, int64_t cols, const Floats& out_gradient,
                                   const Floats& before) {
  device::use(schedule_);
  const Array<float> of_out = array(out_gradient), gradient = array(before);
  const Array<uint8_t> sums = scratch(tk_cuda_train_column_bytes(rows, cols), "bias gradient");
  run("bias gradient", tk_cuda_train_bias_gradient(stream_.handle, rows, of_out.data(), cols,
                                                   sums.data(), gradient.data()));
  return gradient.read();
}

Floats CudaTraining::norm_gradient(int64_t rows, int64_t width, int64_t dim, float epsilon,
                                   const Floats& x, const Floats& weight,
                                   const Floats& out_gradient, Floats& of_weight) {
  device::use(schedule_);
  const Array<float> in = array(x), by = array(weight), of_out = array(out_gradient);
  const Array<float> gradient = array(of_weight), of_x = result(rows * width);
  const Array<uint8_t> sums = scratch(tk_cuda_train_column_bytes(rows * width / dim, dim), "norm");
  run("norm gradient",
      tk_cuda_train_norm_gradient(stream_.handle, rows, in.data(), width, by.data(), dim, epsilon,
                                  of_out.data(), of_x.data(), sums.data(),
                                  of_weight.empty() ? nullptr : gradient.data()));
  of_weight = gradient.read();
  return of_x.read();
}

Floats CudaTraining::rope(const TrainingRows& rows, int64_t heads, int64_t head_dim,
                          int64_t rotary_dim, int pairing, const Floats& table,
                          int64_t table_rows, bool inverse, const Floats& x) {
  device::use(schedule_);
  const Step step(machine_, stream_.handle, rows);
  const Array<float> in = array(x), angles = array(table), out = result(count_of(x));
  run("rope", tk_cuda_train_rope(step.handle, in.data(), heads, head_dim, rotary_dim, pairing,
                                 angles.data(), table_rows, inverse, out.data()));
  return out.read();
}

Floats CudaTraining::gate_gradient(int64_t rows, int64_t width, const Floats& gate,
                                   const Floats& up, const Floats& out_gradient) {
  device::use(schedule_);
  const Array<float> g = array(gate), u = array(up), of_out = array(out_gradient);
  const Array<float> of_gate = result(rows * width), of_up = result(rows * width);
  run("gate gradient",
      tk_cuda_train_gate_gradient(stream_.handle, rows, g.data(), u.data(), width, of_out.data(),
                                  of_gate.data(), of_up.data()));
  Floats all;
  append(all, of_gate);
  append(all, of_up);
  return all;
}

Floats CudaTraining::add(int64_t rows, int64_t width, const Floats& x, const Floats& y) {
  device::use(schedule_);
  const Array<float> a = array(x), b = array(y), out = result(rows * width);
  run("add", tk_cuda_train_add(stream_.handle, rows, a.data(), b.data(), width, out.data()));
  return out.read();
}

Floats CudaTraining::scale(int64_t rows, int64_t width, float factor, const Floats& x) {
  device::use(schedule_);
  const Array<float> in = array(x), out = result(rows * width);
  run("scale",
      tk_cuda_train_scale(stream_.handle, rows, in.data(), factor, width, out.data()));
  return out.read();
}

Floats CudaTraining::select_gradient(const TrainingRows& rows, int64_t width,
                                     const Floats& out_gradient) {
  device::use(schedule_);
  const Step step(machine_, stream_.handle, rows);
  const Array<float> of_out = array(out_gradient), of_x = result(rows.rows * width);
  run("select gradient",
      tk_cuda_train_select_gradient(step.handle, of_out.data(), width, of_x.data()));
  return of_x.read();
}

Floats CudaTraining::embed_gradient(const TrainingRows& rows, int64_t dim,
                                    const Floats& out_gradient, const Floats& before) {
  device::use(schedule_);
  const Step step(machine_, stream_.handle, rows);
  const Array<float> of_out = array(out_gradient), gradient = array(before);
  run("embed gradient",
      tk_cuda_train_embed_gradient(step.handle, of_out.data(), dim, gradient.data()));
  return gradient.read();
}

Floats CudaTraining::log_probability(const TrainingRows& rows, int64_t vocab,
                                     const Floats& logits, const Floats& coefficients) {
  device::use(schedule_);
  const Step step(machine_, stream_.handle, rows);
  const auto outputs = static_cast<int64_t>(rows.outputs.size());
  const Array<float> x = array(logits), by = array(coefficients);
  const Array<float> log_sums = result(outputs), log_probabilities = result(outputs);
  run("log probability",
      tk_cuda_train_log_probability(step.handle, x.data(), vocab, step.targets.data(),
                                    log_sums.data(), log_probabilities.data()));
  run("log probability gradient",
      tk_cuda_train_log_probability_gradient(step.handle, x.data(), vocab, step.targets.data(),
                                             log_sums.data(), by.data()));
  Floats all;
  append(all, log_probabilities);
  append(all, x);
  return all;
}

Floats CudaTraining::attention(const TrainingRows& rows, bool bf16, int64_t heads,
                               int64_t kv_heads, int64_t head_dim, float scale, const Floats& q,
                               const Floats& k, const Floats& v, const Floats& out_gradient) {
  device::use(schedule_);
  const Step step(machine_, stream_.handle, rows);
  const Array<float> of_q = array(q), of_k = array(k), of_v = array(v), by = array(out_gradient);
  const Array<float> out = result(count_of(q)), log_sums = result(rows.rows * heads);
  const Array<float> dq = result(count_of(q)), dk = result(count_of(k)), dv = result(count_of(v));
  const Array<uint8_t> memory =
      scratch(tk_cuda_train_attention_gradient_bytes(rows.rows, heads), "attention gradient");
  run("attention", tk_cuda_train_attention(step.handle, arithmetic(bf16), of_q.data(), of_k.data(),
                                           of_v.data(), heads, kv_heads, head_dim, scale,
                                           out.data(), log_sums.data()));
  run("attention gradient",
      tk_cuda_train_attention_gradient(step.handle, arithmetic(bf16), of_q.data(), of_k.data(),
                                       of_v.data(), heads, kv_heads, head_dim, scale, out.data(),
                                       log_sums.data(), by.data(), memory.data(), dq.data(),
                                       dk.data(), dv.data()));
  Floats all;
  for (const Array<float>* next : {&out, &log_sums, &dq, &dk, &dv}) append(all, *next);
  return all;
}

double CudaTraining::adamw(const Rule& rule, State& state) {
  device::use(schedule_);
  const int64_t count = count_of(state.weights);
  const Array<float> weights = array(state.weights), gradients = array(state.gradients);
  const Array<float> first = array(state.first), second = array(state.second);
  const Array<uint8_t> partial = scratch(tk_cuda_train_squares_bytes(), "squares");
  const Array<double> sum(machine_, 1);
  run("squares", tk_cuda_train_squares(stream_.handle, count, gradients.data(), partial.data(),
                                       sum.data()));
  const double step = static_cast<double>(rule.step);
  const tk_cuda_adamw by{static_cast<float>(rule.gradient_factor),
                         static_cast<float>(1 - rule.beta1),
                         static_cast<float>(1 - rule.beta2),
                         static_cast<float>(rule.epsilon),
                         static_cast<float>(rule.learning_rate / (1 - std::pow(rule.beta1, step))),
                         static_cast<float>(1 / std::sqrt(1 - std::pow(rule.beta2, step))),
                         static_cast<float>(rule.learning_rate * rule.weight_decay)};
  run("adamw", tk_cuda_train_adamw(stream_.handle, count, &by, weights.data(), gradients.data(),
                                   first.data(), second.data()));
  state = {weights.read(), gradients.read(), first.read(), second.read()};
  return sum.read()[0];
}

void CudaTraining::muon(bool bf16, int64_t rows, int64_t cols, const Rule& rule, State& state) {
  device::use(schedule_);
  const Array<float> weights = array(state.weights), gradients = array(state.gradients);
  const Array<float> momentum = array(state.first);
  const Array<uint8_t> memory =
      scratch(tk_cuda_train_muon_bytes(arithmetic(bf16), rows, cols), "muon");
  const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)));
  run("muon",
      tk_cuda_train_muon(stream_.handle, arithmetic(bf16), rows, cols,
                         static_cast<float>(rule.gradient_factor),
                         static_cast<float>(1 - rule.beta1),
                         static_cast<float>(rule.learning_rate * scale),
                         static_cast<float>(rule.learning_rate * rule.weight_decay),
                         memory.data(), weights.data(), gradients.data(), momentum.data()));
  state = {weights.read(), gradients.read(), momentum.read(), {}};
}

}  // namespace tokamak::tests
