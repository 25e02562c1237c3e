// SPDX-License-Identifier: Apache-2.0
//
// The operations of training, case by case: CASES/train/*.cases. A problem has its inputs, runs on
// whatever implements Training, and compares what comes back with plain loops in double precision.

#pragma once

#include "harness.h"

namespace tokamak::tests {

using Floats = std::vector<float>;

/** Rows of a training step: sequences behind each other, and the outputs among them. */
struct TrainingRows {
  int rows = 0;
  std::vector<int32_t> tokens, positions, starts;  // [rows]
  std::vector<int32_t> outputs, targets;           // [outputs], rows ascending
};

/** Computes one operation on given data, as tokamak_cuda_train.h says of the function of the name.
 *  `before` is what results are added to; empty: they are written. */
class Training {
 public:
  virtual ~Training() = default;
  virtual Products products() const = 0;

  virtual Floats matmul(bool bf16, int64_t rows, int64_t cols, int64_t out_dim, const Floats& x,
                        const Floats& weight, const Floats& bias) = 0;
  virtual Floats input_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                const Floats& out_gradient, const Floats& weight,
                                const Floats& before) = 0;
  virtual Floats weight_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                                 const Floats& out_gradient, const Floats& x,
                                 const Floats& before) = 0;
  virtual Floats bias_gradient(int64_t rows, int64_t cols, const Floats& out_gradient,
                               const Floats& before) = 0;
  /** The gradient of x; `of_weight` is added to unless it is empty. */
  virtual Floats norm_gradient(int64_t rows, int64_t width, int64_t dim, float epsilon,
                               const Floats& x, const Floats& weight, const Floats& out_gradient,
                               Floats& of_weight) = 0;
  virtual Floats rope(const TrainingRows& step, int64_t heads, int64_t head_dim,
                      int64_t rotary_dim, int pairing, const Floats& table, int64_t table_rows,
                      bool inverse, const Floats& x) = 0;
  /** Gradients of gate, then of up. */
  virtual Floats gate_gradient(int64_t rows, int64_t width, const Floats& gate, const Floats& up,
                               const Floats& out_gradient) = 0;
  virtual Floats add(int64_t rows, int64_t width, const Floats& x, const Floats& y) = 0;
  virtual Floats scale(int64_t rows, int64_t width, float factor, const Floats& x) = 0;
  virtual Floats select_gradient(const TrainingRows& step, int64_t width,
                                 const Floats& out_gradient) = 0;
  virtual Floats embed_gradient(const TrainingRows& step, int64_t dim, const Floats& out_gradient,
                                const Floats& before) = 0;
  /** Log probabilities, then the gradient of the logits. */
  virtual Floats log_probability(const TrainingRows& step, int64_t vocab, const Floats& logits,
                                 const Floats& coefficients) = 0;
  /** out, then log sums, then the gradients of q, k and v. */
  virtual Floats attention(const TrainingRows& step, bool bf16, int64_t heads, int64_t kv_heads,
                           int64_t head_dim, float scale, const Floats& q, const Floats& k,
                           const Floats& v, const Floats& out_gradient) = 0;

  /** What optimisers work on. */
  struct State {
    Floats weights, gradients, first, second;  // second is empty for Muon
  };
  struct Rule {
    double gradient_factor, learning_rate, weight_decay, beta1, beta2, epsilon;
    int64_t step;
  };
  /** The sum of squares of the gradients. */
  virtual double adamw(const Rule& rule, State& state) = 0;
  /** beta1 is the momentum's. */
  virtual void muon(bool bf16, int64_t rows, int64_t cols, const Rule& rule, State& state) = 0;
};

/** One operation on given data. */
class TrainingProblem {
 public:
  virtual ~TrainingProblem() = default;
  virtual Floats run(Training& training) const = 0;

  /** A value and how far another may be from it. */
  struct Expected {
    double value, bound;
  };
  /** Of each value that run returns. */
  virtual std::vector<Expected> expected(Products products) const = 0;
  int64_t products = 0;  // roughly how many multiplications it is, where they are many
};

using MakeTraining = std::unique_ptr<TrainingProblem> (*)(const Case&, Random&);

struct TrainingTable {
  const char* file;
  MakeTraining make;
};
extern const std::vector<TrainingTable> training_tables;

/** Fails where a value is further off than it may be. */
void expect_close(const std::vector<TrainingProblem::Expected>& expected, const Floats& got);

}  // namespace tokamak::tests
