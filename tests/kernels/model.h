// SPDX-License-Identifier: Apache-2.0
//
// A small model of two layers whose operations use every part of the batch, on any machine.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "machine.h"

namespace tokamak::tests {

class Model {
 public:
  using Floats = std::vector<float>;

  static constexpr int64_t vocab = 11, dim = 32, heads = 4, kv_heads = 2, head_dim = 8, hidden = 64;
  static constexpr int layers = 2, sequences = 2, pages = 2, table_rows = 40;

  struct Form {
    int rows = 6, outputs = 2;    // the most that a step has
    std::string weights = "F32";  // of all matrices; the table is F32
    bool apart = false;           // each operation is a program of its own
    bool joined = false;          // rope and store are one operation
  };

  /** The same seed and type give the same weights. */
  Model(Machine& machine, uint64_t seed, const Form& form);

  /** The next batch: rows of both sequences in turn, at positions from `position` on; the outputs
   *  are the last rows, from the end. */
  void fill(int n, int m, int position);
  void step(int n, int m);

  /** The only one, unless operations are apart. */
  Program& program() { return *programs_.front(); }

  // Weights, those of both layers alike; all but the first row are packed.
  Array<float> table, norm_weight, angles, bias;
  Array<float> q_weight, k_weight, v_weight, o_weight, gate_weight, up_weight, down_weight,
      head_weight;
  // What operations write.
  Array<float> x, y, q, k, v, attended, projected, gate, up, chosen, logits;

 private:
  Model(Machine& machine, Random random, const Form& form);
  void build();
  Program& next();
  void matmul(int rows, const Array<float>& in, int64_t cols, const Array<float>& weight,
              int64_t out_dim, const Array<float>& out, const float* with_bias = nullptr);
  void norm(int rows, const Array<float>& in, const Array<float>& out);

  Machine& machine_;
  const Form form_;
  const Array<uint8_t> cache_;
  std::vector<std::unique_ptr<Program>> programs_;
};

/** A sequence alone, a row a step, gets the same bits as beside another in steps of six rows. */
void company_changes_nothing(Machine& machine, uint64_t seed, const Model::Form& form);

}  // namespace tokamak::tests
