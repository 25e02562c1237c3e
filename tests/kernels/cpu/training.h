// SPDX-License-Identifier: Apache-2.0
//
// Training on a team of threads: the operations of tokamak_train.h, one to a tape.

#pragma once

#include "../training.h"
#include "machine.h"
#include "tokamak/tokamak_train.h"

namespace tokamak::tests {

/** Room for a batch; all zero, each row a sequence, but for the log probabilities. */
struct TrainBatch {
  TrainBatch(int rows, int outputs);
  explicit TrainBatch(const TrainingRows& step);
  std::vector<int32_t> tokens, positions, starts, outputs, targets;
  std::vector<float> coefficients, log_probabilities;
};

/** A training tape for steps of at most the rows and outputs of a batch, which must outlive it. */
struct TrainTape {
  TrainTape(const Team& team, TrainBatch& batch, int arithmetic = TK_ARITHMETIC_F32);
  ~TrainTape() { tk_train_free(handle); }
  TrainTape(const TrainTape&) = delete;
  TrainTape& operator=(const TrainTape&) = delete;
  tk_train* const handle;
};

class CpuTraining : public Training {
 public:
  CpuTraining(int level, int threads) : team_(level, threads) {}

  Products products() const override { return Products::float32; }
  Floats matmul(bool bf16, int64_t rows, int64_t cols, int64_t out_dim, const Floats& x,
                const Floats& weight, const Floats& bias) override;
  Floats input_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                        const Floats& out_gradient, const Floats& weight,
                        const Floats& before) override;
  Floats weight_gradient(bool bf16, int64_t rows, int64_t cols, int64_t out_dim,
                         const Floats& out_gradient, const Floats& x,
                         const Floats& before) override;
  Floats bias_gradient(int64_t rows, int64_t cols, const Floats& out_gradient,
                       const Floats& before) override;
  Floats norm_gradient(int64_t rows, int64_t width, int64_t dim, float epsilon, const Floats& x,
                       const Floats& weight, const Floats& out_gradient,
                       Floats& of_weight) override;
  Floats rope(const TrainingRows& step, int64_t heads, int64_t head_dim, int64_t rotary_dim,
              int pairing, const Floats& table, int64_t table_rows, bool inverse,
              const Floats& x) override;
  Floats gate_gradient(int64_t rows, int64_t width, const Floats& gate, const Floats& up,
                       const Floats& out_gradient) override;
  Floats add(int64_t rows, int64_t width, const Floats& x, const Floats& y) override;
  Floats scale(int64_t rows, int64_t width, float factor, const Floats& x) override;
  Floats select_gradient(const TrainingRows& step, int64_t width,
                         const Floats& out_gradient) override;
  Floats embed_gradient(const TrainingRows& step, int64_t dim, const Floats& out_gradient,
                        const Floats& before) override;
  Floats log_probability(const TrainingRows& step, int64_t vocab, const Floats& logits,
                         const Floats& coefficients) override;
  Floats attention(const TrainingRows& step, bool bf16, int64_t heads, int64_t kv_heads,
                   int64_t head_dim, float scale, const Floats& q, const Floats& k,
                   const Floats& v, const Floats& out_gradient) override;
  double adamw(const Rule& rule, State& state) override;
  void muon(bool bf16, int64_t rows, int64_t cols, const Rule& rule, State& state) override;

 private:
  /** Appends by f, and runs all rows of the batch: forward, and backward if f appends to that. */
  template <typename F>
  void run(TrainBatch batch, bool bf16, F f);
  double update(bool bf16, int optimizer, int64_t rows, int64_t cols, const Rule& rule,
                State& state);

  Team team_;
};

extern const std::vector<Scenario> train_scenarios;

}  // namespace tokamak::tests
