// SPDX-License-Identifier: Apache-2.0
//
// The training tape: what no table describes. Copies and sums of rows; updates; that fusing changes
// nothing; wrong arguments and batches; what is not finite.

#include <string.h>

#include <algorithm>
#include <cfloat>

#include "../cpu/training.h"

namespace tokamak::tests {
namespace {

void expect_message(int status, const char* part) {
  if (status == TK_OK) fail("accepted, expected '%s'", part);
  if (strstr(tk_last_error(), part) == nullptr) fail("says '%s', not '%s'", tk_last_error(), part);
}

void ok(int status) { expect_status(status, TK_OK, "call"); }

void same(const char* what, const Floats& got, const Floats& expected) {
  for (size_t i = 0; i < expected.size(); i++) {
    if (!(std::fabs(got[i] - expected[i]) <= 1e-5f * (1 + std::fabs(expected[i])))) {
      fail("%s: value %zu is %g, expected %g", what, i, static_cast<double>(got[i]),
           static_cast<double>(expected[i]));
    }
  }
}

/** Embedding, its sum over equal tokens, selection of rows more than once, add, scale, bias. */
void rows(int level, uint64_t seed) {
  Random random(seed);
  for (const int width : {1, 16, 33, 200}) {
    constexpr int n = 70, m = 9, vocab = 13;
    const auto w = static_cast<size_t>(width);
    Floats first;
    for (int threads : {2, 1, 3}) {
      Random same_random(seed + static_cast<uint64_t>(width));
      const Team team(level, threads);
      TrainBatch batch(n, m);
      for (int32_t& token : batch.tokens) token = static_cast<int32_t>(same_random.below(vocab));
      batch.outputs = {0, 3, 3, 3, 17, 31, 32, 69, 69};
      const Floats table = values("normal", vocab, width, same_random);
      Floats x(n * w, NAN), doubled = x, sum = x, chosen(m * w, NAN), back = x;
      Floats table_gradient(table.size(), 1), bias_gradient(w, 2);
      const TrainTape tape(team, batch);
      tk_train* const t = tape.handle;
      ok(tk_train_embed(t, table.data(), vocab, width, x.data()));
      ok(tk_train_scale(t, 0, x.data(), 2, width, doubled.data()));
      ok(tk_train_add(t, 0, x.data(), doubled.data(), width, sum.data()));
      ok(tk_train_select(t, sum.data(), width, chosen.data()));
      ok(tk_train_begin_backward(t));
      ok(tk_train_select_gradient(t, chosen.data(), width, back.data()));
      ok(tk_train_embed_gradient(t, back.data(), vocab, width, table_gradient.data()));
      ok(tk_train_bias_gradient(t, 0, back.data(), width, bias_gradient.data()));
      std::fill(batch.log_probabilities.begin(), batch.log_probabilities.end(), 0.0f);
      ok(tk_train_forward(t, n, m));
      ok(tk_train_backward(t, n, m));

      Floats of_table(table.size(), 1), of_bias(w, 2);
      for (int o = 0; o < m; o++) {
        const auto row = static_cast<size_t>(batch.outputs[static_cast<size_t>(o)]);
        const auto token = static_cast<size_t>(batch.tokens[row]);
        for (size_t i = 0; i < w; i++) {
          of_table[token * w + i] += 3 * table[token * w + i];
          of_bias[i] += 3 * table[token * w + i];
        }
      }
      same("table's gradient", table_gradient, of_table);
      same("bias's gradient", bias_gradient, of_bias);
      if (back[w] != 0) fail("a row that is no output has a gradient");
      table_gradient.insert(table_gradient.end(), bias_gradient.begin(), bias_gradient.end());
      if (first.empty()) first = table_gradient;
      if (first != table_gradient) fail("other bits with %d threads", threads);
    }
  }
}

/** A norm of values whose squares are no floats any more has the bits of one that is smaller by a
 *  power of two. */
void large_norms(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 2);
  constexpr int n = 35, width = 48, dim = 24;
  const Floats x = values("normal", n, width, random), d = values("normal", n, width, random);
  const Floats weight = values("normal", 1, dim, random);
  Floats out[2], dx[2], dw[2];
  for (const int large : {0, 1}) {
    Floats scaled = x;
    for (float& value : scaled) value *= large ? 0x1p100f : 1;
    out[large] = dx[large] = Floats(x.size(), NAN);
    dw[large] = Floats(dim, 0);
    TrainBatch batch(n, 1);
    const TrainTape tape(team, batch);
    tk_train* const t = tape.handle;
    ok(tk_train_norm(t, 0, scaled.data(), width, weight.data(), dim, 0, out[large].data()));
    ok(tk_train_begin_backward(t));
    ok(tk_train_norm_gradient(t, 0, scaled.data(), width, weight.data(), dim, 0, d.data(),
                              dx[large].data(), dw[large].data()));
    ok(tk_train_forward(t, n, 0));
    ok(tk_train_backward(t, n, 0));
    for (float& value : dx[large]) value *= large ? 0x1p100f : 1;
  }
  if (out[0] != out[1]) fail("other values");
  if (dx[0] != dx[1]) fail("another gradient of x");
  if (dw[0] != dw[1]) fail("another gradient of the weight");
}

void large_logits(int level, uint64_t) {
  const Team team(level, 1);
  TrainBatch batch(2, 2);
  batch.outputs = {0, 1};
  batch.targets = {1, 0};
  batch.coefficients = {-2, -2};
  Floats logits = {-FLT_MAX, FLT_MAX, 0, 0, 88, -1000}, sums(2);
  const TrainTape tape(team, batch);
  tk_train* const t = tape.handle;
  ok(tk_train_log_probability(t, logits.data(), 3, sums.data()));
  ok(tk_train_begin_backward(t));
  ok(tk_train_log_probability_gradient(t, logits.data(), 3, sums.data()));
  ok(tk_train_forward(t, 2, 2));
  same("log probabilities", batch.log_probabilities, {0, -88});
  ok(tk_train_backward(t, 2, 2));
  same("gradient", logits, {0, 0, 0, -2, 2, 0});
}

/** Parameters of both kinds, pieces of memory that threads share, and padding. */
struct Model {
  struct Part {
    int role, rows, cols;
    int64_t offset;
  };
  std::vector<Part> parts;
  int64_t count = 0;
  Floats w, g, m, v;

  explicit Model(Random& random) {
    const int shapes[][3] = {{TK_ROLE_TABLE, 301, 131}, {TK_ROLE_VECTOR, 1, 17},
                             {TK_ROLE_MATRIX, 33, 20},  {TK_ROLE_MATRIX, 20, 33},
                             {TK_ROLE_VECTOR, 1, 129},  {TK_ROLE_MATRIX, 120, 30},
                             {TK_ROLE_MATRIX, 1, 5}};
    for (const auto& [role, rows, cols] : shapes) {
      parts.push_back({role, rows, cols, count});
      count += (static_cast<int64_t>(rows) * cols + 15) / 16 * 16;
    }
    const auto size = static_cast<size_t>(count);
    w = g = m = v = Floats(size, 0);
    for (const Part& part : parts) {
      for (int64_t i = part.offset; i < part.offset + part.rows * part.cols; i++) {
        w[static_cast<size_t>(i)] = static_cast<float>(random.normal());
      }
    }
  }
  void fill_gradients(Random& random) {
    for (const Part& part : parts) {
      for (int64_t i = part.offset; i < part.offset + part.rows * part.cols; i++) {
        g[static_cast<size_t>(i)] = static_cast<float>(0.1 * random.normal());
      }
    }
  }
};

/** What Muon makes of u [rows, cols], in double. */
std::vector<double> orthogonal(std::vector<double> u, size_t rows, size_t cols) {
  double squares = 0;
  for (double value : u) squares += value * value;
  for (double& value : u) value /= std::sqrt(squares) + 1e-7;
  const bool tall = rows > cols;
  const size_t least = std::min(rows, cols), most = std::max(rows, cols);
  const auto at = [&](size_t i, size_t l) { return tall ? l * cols + i : i * cols + l; };
  for (int step = 0; step < 5; step++) {
    std::vector<double> a(least * least), p = a, next(u.size());
    for (size_t i = 0; i < least; i++) {
      for (size_t j = 0; j < least; j++) {
        for (size_t l = 0; l < most; l++) a[i * least + j] += u[at(i, l)] * u[at(j, l)];
      }
    }
    for (size_t i = 0; i < least; i++) {
      for (size_t j = 0; j < least; j++) {
        double square = 0;
        for (size_t l = 0; l < least; l++) square += a[i * least + l] * a[l * least + j];
        p[i * least + j] = -4.7750 * a[i * least + j] + 2.0315 * square;
      }
    }
    for (size_t i = 0; i < least; i++) {
      for (size_t l = 0; l < most; l++) {
        double sum = 3.4445 * u[at(i, l)];
        for (size_t j = 0; j < least; j++) sum += p[i * least + j] * u[at(j, l)];
        next[at(i, l)] = sum;
      }
    }
    u = next;
  }
  return u;
}

void updates(int level, uint64_t seed) {
  constexpr double rate = 0.02, decay = 0.3, beta1 = 0.9, beta2 = 0.99, epsilon = 1e-6,
                   momentum = 0.95, clip = 2;
  for (int optimizer : {TK_OPTIMIZER_ADAMW, TK_OPTIMIZER_MUON}) {
    Floats bits;
    for (int threads : {2, 1, 3}) {
      Random random(seed);
      const Team team(level, threads);
      TrainBatch batch(1, 1);
      const TrainTape tape(team, batch);
      Model model(random);
      tk_train* const t = tape.handle;
      ok(tk_train_state(t, model.w.data(), model.g.data(), model.m.data(), model.v.data(),
                        model.count));
      for (const Model::Part& p : model.parts) {
        ok(tk_train_parameter(t, p.role, p.rows, p.cols, p.offset));
      }
      std::vector<double> w(model.w.begin(), model.w.end()), m(w.size()), v(w.size());
      for (int step = 1; step <= 3; step++) {
        model.fill_gradients(random);
        double squares = 0, norm = 0;
        for (float g : model.g) squares += static_cast<double>(g) * g;
        const double scale = std::min(1.0, clip / std::sqrt(squares));
        for (const Model::Part& p : model.parts) {
          const auto rows = static_cast<size_t>(p.rows), cols = static_cast<size_t>(p.cols);
          const auto offset = static_cast<size_t>(p.offset);
          const bool muon = optimizer == TK_OPTIMIZER_MUON && p.role == TK_ROLE_MATRIX;
          std::vector<double> u(rows * cols);
          for (size_t i = 0; i < rows * cols; i++) {
            const size_t at = offset + i;
            const double g = scale * model.g[at];
            if (p.role != TK_ROLE_VECTOR) w[at] *= 1 - rate * decay;
            if (muon) {
              m[at] = momentum * m[at] + (1 - momentum) * g;
              u[i] = momentum * m[at] + (1 - momentum) * g;
              continue;
            }
            m[at] = beta1 * m[at] + (1 - beta1) * g;
            v[at] = beta2 * v[at] + (1 - beta2) * g * g;
            w[at] -= rate * (m[at] / (1 - std::pow(beta1, step))) /
                     (std::sqrt(v[at] / (1 - std::pow(beta2, step))) + epsilon);
          }
          if (!muon) continue;
          u = orthogonal(u, rows, cols);
          const double factor = rate * 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)));
          for (size_t i = 0; i < u.size(); i++) w[offset + i] -= factor * u[i];
        }
        ok(tk_train_update(t, optimizer, step, rate, decay, clip, beta1, beta2, epsilon, momentum,
                           &norm));
        if (!(std::fabs(norm - std::sqrt(squares)) <= 1e-12 * norm)) fail("norm %g", norm);
      }
      same("weights", model.w, Floats(w.begin(), w.end()));
      same("first moments", model.m, Floats(m.begin(), m.end()));
      same("second moments", model.v, Floats(v.begin(), v.end()));
      if (model.g != Floats(model.g.size(), 0)) fail("gradients are left");
      if (bits.empty()) bits = model.w;
      if (memcmp(bits.data(), model.w.data(), bits.size() * 4) != 0) {
        fail("other bits with %d threads", threads);
      }

      const Floats before = model.w;
      model.g[static_cast<size_t>(model.parts[3].offset) + 7] = INFINITY;
      double norm;
      expect_message(tk_train_update(t, optimizer, 4, rate, decay, clip, beta1, beta2, epsilon,
                                     momentum, &norm),
                     "parameter 3");
      if (tk_train_failed(t) != 3) fail("parameter %d named", tk_train_failed(t));
      if (before != model.w) fail("weights have changed");
    }
  }
}

/** Products, norm and gate of one layer, as one tape or as a tape for each operation. */
struct Layer {
  static constexpr int n = 67, dim = 24, hidden = 40;
  Floats x, weight, up_weight, down_weight;
  Floats normed, gate, up, gated, out, sum;

  explicit Layer(uint64_t seed) {
    Random random(seed);
    x = values("normal", n, dim, random);
    weight = values("normal", 1, dim, random);
    up_weight = values("normal", hidden, dim, random);
    down_weight = values("normal", dim, hidden, random);
    normed = out = sum = Floats(n * dim, NAN);
    gate = up = gated = Floats(n * hidden, NAN);
  }
  void append(tk_train* t, int i) {
    switch (i) {
      case 0: return ok(tk_train_norm(t, 0, x.data(), dim, weight.data(), dim, 0, normed.data()));
      case 1: return product(t, normed, dim, up_weight, hidden, gate);
      case 2: return product(t, normed, dim, up_weight, hidden, up);
      case 3: return ok(tk_train_gate(t, 0, gate.data(), up.data(), hidden, gated.data()));
      case 4: return product(t, gated, hidden, down_weight, dim, out);
      case 5: return ok(tk_train_add(t, 0, x.data(), out.data(), dim, sum.data()));
      case 6: return ok(tk_train_norm(t, 0, sum.data(), dim, weight.data(), dim, 0, normed.data()));
    }
  }
  static constexpr int operations = 7;

 private:
  static void product(tk_train* t, const Floats& from, int cols, const Floats& matrix, int rows,
                      Floats& to) {
    ok(tk_train_matmul(t, 0, from.data(), cols, matrix.data(), rows, nullptr, to.data()));
  }
};

void fused_as_alone(int level, uint64_t seed) {
  for (int threads : {1, 3}) {
    const Team team(level, threads);
    for (int arithmetic : {TK_ARITHMETIC_F32, TK_ARITHMETIC_BF16}) {
      TrainBatch batch(Layer::n, 1);
      Layer fused(seed), alone(seed);
      const TrainTape tape(team, batch, arithmetic);
      for (int i = 0; i < Layer::operations; i++) {
        fused.append(tape.handle, i);
        const TrainTape one(team, batch, arithmetic);
        alone.append(one.handle, i);
        ok(tk_train_forward(one.handle, Layer::n, 0));
      }
      for (int again = 0; again < 2; again++) ok(tk_train_forward(tape.handle, Layer::n, 0));
      if (fused.normed != alone.normed || fused.sum != alone.sum) fail("fused is not as alone");
    }
  }
}

void wrong_arguments(int level, uint64_t) {
  const Team team(level, 1);
  TrainBatch batch(4, 2);
  const TrainTape tape(team, batch);
  tk_train* const t = tape.handle;
  Floats memory(64);
  float *const x = memory.data(), *const y = x + 16;
  float* const odd = reinterpret_cast<float*>(reinterpret_cast<char*>(x) + 1);
  expect_message(tk_train_embed(nullptr, x, 1, 1, y), "tk_train_embed: tape is null");
  expect_message(tk_train_embed(t, x, 0, 1, y), "vocab=0");
  expect_message(tk_train_norm(t, 2, x, 8, y, 8, 0, x), "rows=2");
  expect_message(tk_train_norm(t, 0, x, 8, y, 3, 0, x), "width=8, must be a multiple of dim=3");
  expect_message(tk_train_norm(t, 0, odd, 8, y, 8, 0, x), "must be a multiple of 4");
  expect_message(tk_train_matmul(t, 0, x, 0, y, 4, nullptr, x), "cols=0");
  expect_message(tk_train_rope(t, x, 1, 8, 10, 0, y, 1, 0, x), "rotary_dim=10");
  expect_message(tk_train_rope(t, x, 1, 8, 8, 0, y, 1, 2, x), "inverse=2");
  expect_message(tk_train_attention(t, x, x, x, 3, 2, 4, 1, y, y), "heads=3, must be a multiple");
  expect_message(tk_train_attention(t, x, x, x, 2, 2, 4, NAN, y, y), "scale");
  expect_message(tk_train_scale(t, 0, x, INFINITY, 4, y), "factor");
  expect_message(tk_train_select_gradient(t, x, 4, y), "tk_train_begin_backward");
  expect_message(tk_train_forward(t, 1, 0), "empty");
  expect_message(tk_train_backward(t, 1, 0), "forward pass");
  ok(tk_train_begin_backward(t));
  expect_message(tk_train_begin_backward(t), "already");
  expect_message(tk_train_input_gradient(t, 0, x, 4, y, 4, 2, x), "accumulate=2");
  expect_message(tk_train_weight_gradient(t, 0, x, 4, y, 4, nullptr), "weight_gradient is null");
  double norm;
  expect_message(tk_train_update(t, 0, 1, 0.1, 0, 1, 0.9, 0.9, 0, 0.9, &norm), "no parameter");
  ok(tk_train_state(t, x, x, x, x, 32));
  expect_message(tk_train_state(t, x, x, x, x, 32), "already");
  expect_message(tk_train_parameter(t, 3, 1, 1, 0), "role=3");
  expect_message(tk_train_parameter(t, 0, 4, 9, 0), "offset=0");
  ok(tk_train_parameter(t, 0, 4, 4, 0));
  expect_message(tk_train_parameter(t, 0, 4, 4, 15), "offset=15, must be 16 to 16");
  expect_message(tk_train_update(t, 2, 1, 0.1, 0, 1, 0.9, 0.9, 0, 0.9, &norm), "optimizer=2");
  expect_message(tk_train_update(t, 0, 0, 0.1, 0, 1, 0.9, 0.9, 0, 0.9, &norm), "step=0");
  expect_message(tk_train_update(t, 0, 1, NAN, 0, 1, 0.9, 0.9, 0, 0.9, &norm), "learning_rate");
  expect_message(tk_train_update(t, 0, 1, 0.1, 0, -1, 0.9, 0.9, 0, 0.9, &norm), "clip");
  expect_message(tk_train_update(t, 0, 1, 0.1, 0, 1, 1, 0.9, 0, 0.9, &norm), "beta1");
  expect_message(tk_train_update(t, 0, 1, 0.1, 0, 1, 0.9, 0.9, 0, 0.9, nullptr), "norm is null");
  if (tk_train_create(nullptr, 1, 1, 0, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                      nullptr) != nullptr) {
    fail("made without a team");
  }
  expect_message(TK_BAD_ARGUMENT, "team is null");
}

/** Embedding, products and log probability of two sequences. */
struct Small {
  static constexpr int n = 5, m = 2, vocab = 7, dim = 4;
  TrainBatch batch{n, m};
  Floats table = Floats(vocab * dim, 0.5f), x = Floats(n * dim), turned = x, chosen = Floats(m * dim),
         logits = Floats(m * vocab), sums = Floats(m), d_chosen = chosen, dx = x,
         table_gradient = table;
  Floats angles = {1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0};  // of 3 positions
  TrainTape tape;

  explicit Small(const Team& team) : tape(team, batch) {
    batch.tokens = {1, 2, 3, 4, 6};
    batch.positions = {0, 1, 2, 0, 1};
    batch.starts = {0, 0, 0, 3, 3};
    batch.outputs = {1, 4};
    batch.targets = {0, 6};
    batch.coefficients = {-1, -1};
    tk_train* const t = tape.handle;
    ok(tk_train_embed(t, table.data(), vocab, dim, x.data()));
    ok(tk_train_rope(t, x.data(), 1, dim, dim, 0, angles.data(), 3, 0, turned.data()));
    ok(tk_train_select(t, turned.data(), dim, chosen.data()));
    ok(tk_train_matmul(t, 1, chosen.data(), dim, table.data(), vocab, nullptr, logits.data()));
    ok(tk_train_log_probability(t, logits.data(), vocab, sums.data()));
    ok(tk_train_begin_backward(t));
    ok(tk_train_log_probability_gradient(t, logits.data(), vocab, sums.data()));
    ok(tk_train_input_gradient(t, 1, logits.data(), vocab, table.data(), dim, 0, d_chosen.data()));
    ok(tk_train_select_gradient(t, d_chosen.data(), dim, dx.data()));
    ok(tk_train_embed_gradient(t, dx.data(), vocab, dim, table_gradient.data()));
  }
};

void wrong_batches(int level, uint64_t) {
  const Team team(level, 2);
  Small small(team);
  TrainBatch& batch = small.batch;
  tk_train* const t = small.tape.handle;
  ok(tk_train_forward(t, 5, 2));
  ok(tk_train_backward(t, 5, 2));
  expect_message(tk_train_backward(t, 5, 2), "forward pass of its own");
  expect_message(tk_train_forward(t, 0, 0), "n=0, must be 1 to 5");
  expect_message(tk_train_forward(t, 6, 0), "n=6");
  expect_message(tk_train_forward(t, 5, 3), "m=3");
  const auto with = [&](std::vector<int32_t>& values, size_t i, int32_t value, const char* part) {
    const int32_t before = values[i];
    values[i] = value;
    expect_message(tk_train_forward(t, 5, 2), part);
    values[i] = before;
    ok(tk_train_forward(t, 5, 2));
    values[i] = value;
    expect_message(tk_train_backward(t, 5, 2), part);
    values[i] = before;
  };
  with(batch.tokens, 2, 7, "tokens[2]=7, must be 0 to 6 (vocabulary)");
  with(batch.tokens, 0, -1, "tokens[0]=-1");
  with(batch.positions, 1, 3, "positions[1]=3, must be 0 to 2 (rotary table)");
  with(batch.starts, 0, 1, "starts[0]=1");
  with(batch.starts, 2, 1, "starts[2]=1, must be 2 or as before");
  with(batch.starts, 4, 5, "starts[4]=5");
  with(batch.outputs, 1, 5, "outputs[1]=5, must be 0 to 4");
  with(batch.outputs, 1, 0, "outputs[1]=0, must not be below 1");
  with(batch.targets, 1, 7, "targets[1]=7, must be 0 to 6 (logits)");
  ok(tk_train_forward(t, 5, 2));
  expect_message(tk_train_backward(t, 4, 2), "n=4, must be 5 to 5");
  batch.coefficients[1] = INFINITY;
  expect_message(tk_train_backward(t, 5, 2), "coefficients[1]=inf");
}

void names_the_culprit(int level, uint64_t) {
  const Team team(level, 2);
  Small small(team);
  tk_train* const t = small.tape.handle;
  const auto culprit = [&](int status, int operation) {
    expect_status(status, TK_NOT_FINITE, "step");
    if (tk_train_failed(t) != operation) fail("operation %d named, not %d", tk_train_failed(t), operation);
  };
  small.table[6 * Small::dim] = NAN;  // token 6
  culprit(tk_train_forward(t, 5, 2), 0);
  small.table[6 * Small::dim] = 0.5f;
  small.angles[8] = INFINITY;  // position 2, of which no output is
  ok(tk_train_forward(t, 5, 2));
  small.angles[8] = 1;
  small.angles[4] = INFINITY;
  culprit(tk_train_forward(t, 5, 2), 1);
  small.angles[4] = 1;
  for (float& value : small.table) value = 1e19f;
  culprit(tk_train_forward(t, 5, 2), 3);
  for (float& value : small.table) value = 1e18f;
  small.table[0] = -1e18f;
  ok(tk_train_forward(t, 5, 2));
  small.batch.coefficients[0] = 1e30f;
  culprit(tk_train_backward(t, 5, 2), 6);  // the gradient of the product
}

}  // namespace

const std::vector<Scenario> train_scenarios = {{"train: rows", rows},
                                               {"train: large norms", large_norms},
                                               {"train: large logits", large_logits},
                                               {"train: updates", updates},
                                               {"train: fused as alone", fused_as_alone},
                                               {"train: wrong arguments", wrong_arguments},
                                               {"train: wrong batches", wrong_batches},
                                               {"train: names the culprit", names_the_culprit}};

}  // namespace tokamak::tests
