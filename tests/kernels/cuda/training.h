// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "../training.h"
#include "device.h"
#include "machine.h"

namespace tokamak::tests {

/** The operations of training on a CUDA device, emulated or not. */
class CudaTraining : public Training {
 public:
  explicit CudaTraining(const device::Schedule& schedule)
      : machine_(Cuda::Manner{schedule}), schedule_(schedule) {}

  Products products() const override { return Products::bf16_parts; }
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
  Array<float> array(const Floats& values) { return Array<float>(machine_, values); }
  Array<float> result(int64_t count) { return Array<float>(machine_, count); }
  Array<uint8_t> scratch(int64_t bytes, const char* what);
  Array<uint8_t> packed(bool bf16, int64_t rows, int64_t cols, const Floats& x);
  /** Launches and waits. */
  void run(const char* what, int status);

  Cuda machine_;
  const device::Schedule schedule_;
  const device::Stream stream_;
};

}  // namespace tokamak::tests
