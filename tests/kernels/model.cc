// SPDX-License-Identifier: Apache-2.0

#include "model.h"

#include <string.h>

#include "tokamak/tokamak.h"

namespace tokamak::tests {
namespace {

constexpr int64_t kv_width = Model::kv_heads * Model::head_dim;

/** Random values of a type, as a file has them. */
Array<uint8_t> encoded(Machine& machine, const std::string& type, int64_t rows, int64_t cols,
                       Random& random) {
  return {machine, random_blocks(type, rows * cols, random)};
}

/** A matrix for matmul; floats are what its memory is taken as. */
Array<float> packed(Machine& machine, const std::string& type, int64_t rows, int64_t cols,
                    Random& random) {
  const int number = type_of(type).number;
  const Array<uint8_t> source = encoded(machine, type, rows, cols, random);
  Array<float> packed(machine, (machine.packed_bytes(number, rows, cols) + 3) / 4);
  machine.pack(number, rows, cols, source.data(), packed.data());
  return packed;
}

}  // namespace

Model::Model(Machine& machine, uint64_t seed, const Form& form)
    : Model(machine, Random(seed), form) {}

Model::Model(Machine& machine, Random random, const Form& form)
    : table(machine, values("normal", vocab, dim, random)),
      norm_weight(machine, values("normal", 1, dim, random)),
      angles(machine, values("normal", table_rows, head_dim, random)),
      bias(machine, values("normal", 1, dim, random)),
      q_weight(packed(machine, form.weights, dim, dim, random)),
      k_weight(packed(machine, form.weights, kv_width, dim, random)),
      v_weight(packed(machine, form.weights, kv_width, dim, random)),
      o_weight(packed(machine, form.weights, dim, dim, random)),
      gate_weight(packed(machine, form.weights, hidden, dim, random)),
      up_weight(packed(machine, form.weights, hidden, dim, random)),
      down_weight(packed(machine, form.weights, dim, hidden, random)),
      head_weight(packed(machine, form.weights, vocab, dim, random)),
      x(machine, form.rows * dim),
      y(machine, form.rows * dim),
      q(machine, form.rows * dim),
      k(machine, form.rows * kv_width),
      v(machine, form.rows * kv_width),
      attended(machine, form.rows * dim),
      projected(machine, form.rows * dim),
      gate(machine, form.rows * hidden),
      up(machine, form.rows * hidden),
      chosen(machine, form.outputs * dim),
      logits(machine, form.outputs * vocab),
      machine_(machine),
      form_(form),
      cache_(machine, machine.cache_bytes(0, layers, kv_heads, head_dim, sequences * pages)) {
  build();
}

/** The program that the next operation goes to. */
Program& Model::next() {
  if (programs_.empty() || form_.apart) {
    programs_.push_back(machine_.program(form_.rows, form_.outputs, sequences, pages));
    programs_.back()->cache(0, layers, kv_heads, head_dim, sequences * pages, cache_.data());
  }
  return *programs_.back();
}

void Model::matmul(int rows, const Array<float>& in, int64_t cols, const Array<float>& weight,
                   int64_t out_dim, const Array<float>& out, const float* with_bias) {
  next().matmul(rows, in.data(), cols, type_of(form_.weights).number, weight.data(), out_dim,
                with_bias, out.data());
}

void Model::norm(int rows, const Array<float>& in, const Array<float>& out) {
  next().norm(rows, in.data(), dim, norm_weight.data(), dim, 1e-5f, out.data());
}

void Model::build() {
  next().embed(0, vocab, dim, table.data(), x.data());
  for (int layer = 0; layer < layers; layer++) {
    norm(TK_ROWS_STEP, x, y);                                         // 1, 17
    matmul(TK_ROWS_STEP, y, dim, q_weight, dim, q, bias.data());      // 2
    matmul(TK_ROWS_STEP, y, dim, k_weight, kv_width, k);              // 3
    matmul(TK_ROWS_STEP, y, dim, v_weight, kv_width, v);              // 4
    const int pairing = layer == 0 ? TK_PAIRING_HALF_SPLIT : TK_PAIRING_INTERLEAVED;
    if (form_.joined) {
      next().rope_store(layer, q.data(), heads, k.data(), v.data(), head_dim, pairing,
                        angles.data(), table_rows);
    } else {
      next().rope(q.data(), heads, head_dim, head_dim, pairing, angles.data(), table_rows);
      next().rope(k.data(), kv_heads, head_dim, head_dim, pairing, angles.data(), table_rows);
      next().store(layer, k.data(), v.data());
    }
    next().attention(layer, q.data(), heads, 0.3f, attended.data());  // 8
    matmul(TK_ROWS_STEP, attended, dim, o_weight, dim, projected);    // 9
    next().add(TK_ROWS_STEP, x.data(), projected.data(), dim);
    norm(TK_ROWS_STEP, x, y);                                         // 11
    matmul(TK_ROWS_STEP, y, dim, gate_weight, hidden, gate);          // 12
    matmul(TK_ROWS_STEP, y, dim, up_weight, hidden, up);              // 13
    next().gate(TK_ROWS_STEP, gate.data(), up.data(), hidden, gate.data());
    matmul(TK_ROWS_STEP, gate, hidden, down_weight, dim, projected);  // 15
    next().add(TK_ROWS_STEP, x.data(), projected.data(), dim);
  }
  next().select(x.data(), dim, chosen.data());
  norm(TK_ROWS_OUTPUTS, chosen, chosen);                              // 34
  matmul(TK_ROWS_OUTPUTS, chosen, dim, head_weight, vocab, logits);   // 35
}

void Model::fill(int n, int m, int position) {
  for (const auto& program : programs_) {
    for (int i = 0; i < n; i++) {
      const auto row = static_cast<size_t>(i);
      const int sequence = i % 2, at = position + i / 2;
      program->tokens[row] = (7 * at + 3 * sequence) % static_cast<int>(vocab);
      program->sequences[row] = sequence;
      program->positions[row] = at;
    }
    for (int i = 0; i < m; i++) program->outputs[static_cast<size_t>(i)] = n - 1 - i;
  }
}

void Model::step(int n, int m) {
  for (const auto& program : programs_) program->step(n, m);
}

void company_changes_nothing(Machine& machine, uint64_t seed, const Model::Form& form) {
  Model alone(machine, seed, form), company(machine, seed, form);
  Program &one = alone.program(), &all = company.program();
  for (int position = 0; position < 18; position += 3) {
    company.fill(6, 2, position);
    company.step(6, 2);
    const Model::Floats x = company.x.read(6 * Model::dim);
    for (int i = 0; i < 3; i++) {
      const auto row = static_cast<size_t>(2 * i + 1);
      one.tokens[0] = all.tokens[row];
      one.sequences[0] = 1;
      one.positions[0] = all.positions[row];
      one.outputs[0] = 0;
      alone.step(1, 1);
      const Model::Floats own = alone.x.read(Model::dim);
      if (memcmp(own.data(), x.data() + row * Model::dim, Model::dim * 4) != 0) {
        fail("position %d: x differs", position + i);
      }
    }
    const Model::Floats own = alone.logits.read(Model::vocab);
    const Model::Floats other = company.logits.read(Model::vocab);
    if (memcmp(own.data(), other.data(), Model::vocab * 4) != 0) {
      fail("position %d: logits differ", position + 2);
    }
  }
}

}  // namespace tokamak::tests
