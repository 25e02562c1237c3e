// SPDX-License-Identifier: Apache-2.0
//
// pack and matmul. Weights of quantized types are multiplied with activations of 8 bits, BF16
// ones with BF16 activations where the processor can: plain arithmetic does the same rounding, and
// its error against exact products sets the bound. F32 and F16 weights have nothing to hide behind:
// their bound is what float32 rounds.

#include <string.h>

#include "harness.h"

namespace tokamak::tests {
namespace {

struct Matmul : Problem {
  std::string type;
  int64_t cols, out_dim;
  std::vector<uint8_t> weights;  // GGUF layout
  std::vector<float> x, bias;    // bias may be empty

  std::vector<float> run(const Team& team, int chunk) const override {
    const int number = type_of(type).number;
    const int64_t bytes = tk_cpu_packed_bytes(number, out_dim, cols);
    if (bytes < 0) fail("pack: %s", tk_last_error());
    std::vector<uint64_t> packed(static_cast<size_t>((bytes + 7) / 8));
    expect_status(
        tk_cpu_pack(team.handle, number, out_dim, cols, weights.data(), packed.data()), TK_OK,
        "pack");
    std::vector<float> out, in(static_cast<size_t>(chunk * cols)),
        result(static_cast<size_t>(chunk * out_dim));
    Tape tape(team, chunk, 1);
    expect_status(
        tk_cpu_matmul(tape.handle, TK_ROWS_STEP, in.data(), cols, number, packed.data(), out_dim,
                      bias.empty() ? nullptr : bias.data(), result.data()),
        TK_OK, "matmul");
    in_steps(rows, chunk, [&](int64_t first, int n) {
      memcpy(in.data(), x.data() + first * cols, static_cast<size_t>(n * cols) * 4);
      tape.step(n, 0);
      out.insert(out.end(), result.begin(), result.begin() + n * out_dim);
    });
    return out;
  }

  /** What a product reads of x. */
  std::vector<float> rounded() const {
    std::vector<float> kept = x;
    if (type == "BF16") {
      for (float& value : kept) value = bf16_to_float(float_to_bf16(value));
    } else if (type[0] == 'Q') {
      for (size_t block = 0; block < kept.size(); block += 32) {
        float largest = 0;
        for (size_t i = 0; i < 32; i++) largest = std::max(largest, std::fabs(kept[block + i]));
        const float step = largest / 127;
        for (size_t i = 0; i < 32; i++) {
          if (step > 0) kept[block + i] = std::nearbyint(kept[block + i] / step) * step;
        }
      }
    }
    return kept;
  }

  void plain(Plain& out) const override {
    const std::vector<float> w = decode(type, weights.data(), out_dim * cols), in = rounded();
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t j = 0; j < out_dim; j++) {
        double sum = 0, squares = 0;
        float single = 0;
        for (int64_t i = 0; i < cols; i++) {
          const auto at = static_cast<size_t>(row * cols + i);
          const float weight = w[static_cast<size_t>(j * cols + i)];
          const double term = static_cast<double>(x[at]) * weight;
          sum += term;
          squares += term * term + sum * sum;
          single += in[at] * weight;
        }
        if (!bias.empty()) {
          sum += bias[static_cast<size_t>(j)];
          squares += sum * sum;
          single += bias[static_cast<size_t>(j)];
        }
        out.exact.push_back(sum);
        out.single.push_back(single);
        out.rounding.push_back(independent_roundings(squares) +
                               FLT_TRUE_MIN * static_cast<double>(cols));
      }
    }
  }
};

}  // namespace

std::unique_ptr<Problem> make_matmul(const Case& c, Random& random) {
  auto matmul = std::make_unique<Matmul>();
  matmul->rows = c.number("rows");
  matmul->cols = c.number("cols");
  matmul->out_dim = c.number("out_dim");
  matmul->type = c.text("type");
  matmul->weights = random_blocks(matmul->type, matmul->out_dim * matmul->cols, random,
                                   c.text("fill"));
  matmul->x = values(c.text("values"), matmul->rows, matmul->cols, random);
  if (c.text("bias") == "yes") matmul->bias = values("normal", 1, matmul->out_dim, random);
  return matmul;
}

}  // namespace tokamak::tests
