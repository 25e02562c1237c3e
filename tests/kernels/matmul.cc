// SPDX-License-Identifier: Apache-2.0
//
// pack and matmul. On the CPU weights of quantized types are multiplied with activations of 8 bits,
// BF16 ones with BF16 activations where the processor can: plain arithmetic does the same rounding,
// and its error against exact products sets the bound. F32 and F16 weights have nothing to hide
// behind: their bound is what float32 rounds. A CUDA device splits values into bfloat16 parts,
// whatever the type: its bound is what the parts leave out.

#include "machine.h"
#include "tokamak/tokamak.h"

namespace tokamak::tests {
namespace {

struct Matmul : Problem {
  std::string type;
  int64_t cols, out_dim;
  std::vector<uint8_t> weights;  // GGUF layout
  std::vector<float> x, bias;    // bias may be empty

  std::vector<float> run(Machine& machine, int chunk) const override {
    const int number = type_of(type).number;
    const auto program = machine.program(chunk, 1);
    const Array<uint8_t> source(machine, weights),
        packed(machine, machine.packed_bytes(number, out_dim, cols));
    machine.pack(number, out_dim, cols, source.data(), packed.data());
    Array<float> in(machine, chunk * cols);
    const Array<float> added(machine, bias), result(machine, chunk * out_dim);
    program->matmul(TK_ROWS_STEP, in.data(), cols, number, packed.data(), out_dim,
                    bias.empty() ? nullptr : added.data(), result.data());
    std::vector<float> out;
    in_steps(rows, chunk, [&](int64_t first, int n) {
      in.write(x.data() + first * cols, n * cols);
      program->step(n, 0);
      const std::vector<float> step = result.read(n * out_dim);
      out.insert(out.end(), step.begin(), step.end());
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

  /** Minimums are multiplied apart: what is rounded are the sums of both. */
  void plain(Plain& out, Products products) const override {
    const std::vector<float> w = decode(type, weights.data(), out_dim * cols), in = rounded(),
                             least = minimums(type, weights.data(), out_dim * cols);
    const Parts parts = parts_of(type);
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t j = 0; j < out_dim; j++) {
        double sum = 0, scaled = 0, subtracted = 0, squares = 0, lost = 0;
        float single = 0;
        for (int64_t i = 0; i < cols; i++) {
          const auto at = static_cast<size_t>(row * cols + i), k = static_cast<size_t>(j * cols + i);
          const double value = x[at], minimum = value * least[k];
          const double product = value * (static_cast<double>(w[k]) + least[k]);
          sum += value * w[k];
          scaled += product;
          subtracted += minimum;
          squares += product_squares(products, product, parts, Parts::more) + minimum * minimum +
                     scaled * scaled + subtracted * subtracted;
          lost += FLT_TRUE_MIN;
          if (products == Products::bf16_parts) {
            lost += least_part * (std::fabs(value) + std::fabs(w[k]) + least[k]);
          }
          single += in[at] * w[k];
        }
        if (!bias.empty()) {
          sum += bias[static_cast<size_t>(j)];
          squares += sum * sum;
          single += bias[static_cast<size_t>(j)];
        }
        out.exact.push_back(sum);
        out.single.push_back(single);
        out.rounding.push_back(independent_roundings(squares) + lost);
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
  matmul->products = matmul->rows * matmul->cols * matmul->out_dim;
  matmul->type = c.text("type");
  matmul->weights = random_blocks(matmul->type, matmul->out_dim * matmul->cols, random,
                                   c.text("fill"));
  matmul->x = values(c.text("values"), matmul->rows, matmul->cols, random);
  if (c.text("bias") == "yes") matmul->bias = values("normal", 1, matmul->out_dim, random);
  return matmul;
}

}  // namespace tokamak::tests
