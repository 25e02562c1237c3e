// SPDX-License-Identifier: Apache-2.0
//
// The operations that work row by row: add, embed, gate, norm, rope, select.

#include "machine.h"
#include "tokamak/tokamak.h"

namespace tokamak::tests {
namespace {

using Floats = std::vector<float>;

const float* row_of(const Floats& x, int64_t row, int64_t width) { return x.data() + row * width; }

/** Appends the first values of a step's result. */
void append(Floats& all, const Array<float>& result, int64_t count) {
  const Floats step = result.read(count);
  all.insert(all.end(), step.begin(), step.end());
}

struct Add : Problem {
  int64_t width;
  Floats x, y;

  Floats run(Machine& machine, int chunk) const override {
    Floats out;
    const auto program = machine.program(chunk, 1);
    Array<float> a(machine, chunk * width), b(machine, chunk * width);
    program->add(TK_ROWS_STEP, a.data(), b.data(), width);
    in_steps(rows, chunk, [&](int64_t first, int n) {
      a.write(row_of(x, first, width), n * width);
      b.write(row_of(y, first, width), n * width);
      program->step(n, 0);
      append(out, a, n * width);
    });
    return out;
  }
  void plain(Plain& out, Products) const override {
    for (size_t i = 0; i < x.size(); i++) {
      out.single.push_back(x[i] + y[i]);
      out.exact.push_back(out.single.back());  // correctly rounded: no other answer is right
    }
  }
};

struct Select : Problem {
  int64_t width;
  Floats x;
  std::vector<int32_t> chosen;  // [rows], rows of x

  Floats run(Machine& machine, int chunk) const override {
    Floats out;
    const auto program = machine.program(static_cast<int>(rows), chunk);
    const Array<float> in(machine, x), picked(machine, chunk * width);
    program->select(in.data(), width, picked.data());
    in_steps(rows, chunk, [&](int64_t first, int m) {
      for (int i = 0; i < m; i++) {
        program->outputs[static_cast<size_t>(i)] = chosen[static_cast<size_t>(first + i)];
      }
      program->step(static_cast<int>(rows), m);
      append(out, picked, m * width);
    });
    return out;
  }
  void plain(Plain& out, Products) const override {
    for (int32_t row : chosen) {
      for (int64_t i = 0; i < width; i++) out.single.push_back(row_of(x, row, width)[i]);
    }
    out.exact.assign(out.single.begin(), out.single.end());
  }
};

struct Embed : Problem {
  std::string type;
  std::string layout;  // file or packed
  int64_t vocab, dim;
  std::vector<uint8_t> table;
  std::vector<int32_t> tokens;  // [rows]

  Floats run(Machine& machine, int chunk) const override {
    const int number = type_of(type).number;
    Floats out;
    const auto program = machine.program(chunk, 1);
    const Array<float> x(machine, chunk * dim);
    const Array<uint8_t> source(machine, table);
    const int64_t bytes = layout == "packed" ? machine.packed_bytes(number, vocab, dim) : 1;
    const Array<uint8_t> packed(machine, bytes);
    if (layout == "packed") {
      machine.pack(number, vocab, dim, source.data(), packed.data());
      program->embed_packed(number, vocab, dim, packed.data(), x.data());
    } else {
      program->embed(number, vocab, dim, source.data(), x.data());
    }
    in_steps(rows, chunk, [&](int64_t first, int n) {
      for (int i = 0; i < n; i++) {
        program->tokens[static_cast<size_t>(i)] = tokens[static_cast<size_t>(first + i)];
      }
      program->step(n, 0);
      append(out, x, n * dim);
    });
    return out;
  }
  void plain(Plain& out, Products) const override {
    const Floats decoded = decode(type, table.data(), vocab * dim);
    for (int32_t token : tokens) {
      for (int64_t i = 0; i < dim; i++) out.single.push_back(row_of(decoded, token, dim)[i]);
    }
    out.exact.assign(out.single.begin(), out.single.end());
  }
};

struct Gate : Problem {
  int64_t width;
  Floats gate, up;

  Floats run(Machine& machine, int chunk) const override {
    Floats out;
    const auto program = machine.program(chunk, 1);
    Array<float> g(machine, chunk * width), u(machine, chunk * width);
    const Array<float> result(machine, chunk * width);
    program->gate(TK_ROWS_STEP, g.data(), u.data(), width, result.data());
    in_steps(rows, chunk, [&](int64_t first, int n) {
      g.write(row_of(gate, first, width), n * width);
      u.write(row_of(up, first, width), n * width);
      program->step(n, 0);
      append(out, result, n * width);
    });
    return out;
  }
  void plain(Plain& out, Products) const override {
    for (size_t i = 0; i < gate.size(); i++) {
      const double g = gate[i], power = std::exp(-g), value = g / (1 + power) * up[i];
      out.exact.push_back(value);
      // e^x is good to 1 unit in the last place beside the nearest (CUDA's expf), 3 units here; the
      // sum, the quotient, two products. Past the largest float: zero.
      const double relative = power > 0.99 * FLT_MAX ? 1 : 7 * rounding_unit;
      out.rounding.push_back(std::fabs(value) * relative + FLT_TRUE_MIN * (1 + std::fabs(up[i])));
    }
  }
};

struct Norm : Problem {
  int64_t width, dim;
  float epsilon;
  Floats x, weight;

  Floats run(Machine& machine, int chunk) const override {
    Floats out;
    const auto program = machine.program(chunk, 1);
    Array<float> in(machine, chunk * width);
    const Array<float> w(machine, weight), result(machine, chunk * width);
    program->norm(TK_ROWS_STEP, in.data(), width, w.data(), dim, epsilon, result.data());
    in_steps(rows, chunk, [&](int64_t first, int n) {
      in.write(row_of(x, first, width), n * width);
      program->step(n, 0);
      append(out, result, n * width);
    });
    return out;
  }
  /** The squares of x are added in 16 sums, as vectors do: one sum would pass larger numbers. */
  void plain(Plain& out, Products) const override {
    for (int64_t group = 0; group < rows * width; group += dim) {
      double sums[16] = {}, sum = 0, squares = 0;
      for (int64_t i = 0; i < dim; i++) {
        const double value = x[static_cast<size_t>(group + i)], square = value * value;
        sums[i % 16] += square;
        sum += square;
        squares += square * square + sums[i % 16] * sums[i % 16];
      }
      const double all = sum + epsilon * static_cast<double>(dim);
      const double scale = 1 / std::sqrt(all / static_cast<double>(dim));
      // The root halves what is before it: the 5 sums of the 16, mean, epsilon; after it: root,
      // quotient, two products.
      const double relative = independent_roundings((squares / (all * all) + 7) / 4 + 4);
      for (int64_t i = 0; i < dim; i++) {
        const double w = weight[static_cast<size_t>(i)];
        const double value = x[static_cast<size_t>(group + i)] * scale * w;
        out.exact.push_back(value);
        out.rounding.push_back(std::fabs(value) * relative + FLT_TRUE_MIN * (1 + std::fabs(w)));
      }
    }
  }
};

struct Rope : Problem {
  int64_t heads, head_dim, rotary_dim;
  int pairing;
  Floats x, table;
  std::vector<int32_t> positions;  // [rows]
  static constexpr int64_t table_rows = 50;

  Floats run(Machine& machine, int chunk) const override {
    const int64_t width = heads * head_dim;
    Floats out;
    const auto program = machine.program(chunk, 1);
    Array<float> in(machine, chunk * width);
    const Array<float> angles(machine, table);
    program->rope(in.data(), heads, head_dim, rotary_dim, pairing, angles.data(), table_rows);
    in_steps(rows, chunk, [&](int64_t first, int n) {
      in.write(row_of(x, first, width), n * width);
      for (int i = 0; i < n; i++) {
        program->positions[static_cast<size_t>(i)] = positions[static_cast<size_t>(first + i)];
      }
      program->step(n, 0);
      append(out, in, n * width);
    });
    return out;
  }
  void plain(Plain& out, Products) const override {
    out.exact.assign(x.begin(), x.end());
    out.rounding.assign(x.size(), 0);
    const int64_t half = rotary_dim / 2;
    for (int64_t head = 0; head < rows * heads; head++) {
      const float* cosines = row_of(table, positions[static_cast<size_t>(head / heads)], rotary_dim);
      for (int64_t i = 0; i < half; i++) {
        const bool split = pairing == TK_PAIRING_HALF_SPLIT;
        const auto a = static_cast<size_t>(head * head_dim + (split ? i : 2 * i));
        const auto b = a + static_cast<size_t>(split ? half : 1);
        const float c = cosines[i], s = cosines[half + i];
        out.exact[a] = static_cast<double>(x[a]) * c - static_cast<double>(x[b]) * s;
        out.exact[b] = static_cast<double>(x[a]) * s + static_cast<double>(x[b]) * c;
        // Two products and their sum, which is no larger than both.
        const auto most = [](float one, float other) {
          return 2 * rounding_unit * (std::fabs(one) + std::fabs(other)) + FLT_TRUE_MIN;
        };
        out.rounding[a] = most(x[a] * c, x[b] * s);
        out.rounding[b] = most(x[a] * s, x[b] * c);
      }
    }
  }
};

template <typename T>
std::unique_ptr<T> make(const Case& c) {
  auto problem = std::make_unique<T>();
  problem->rows = c.number("rows");
  return problem;
}

}  // namespace

std::unique_ptr<Problem> make_add(const Case& c, Random& random) {
  auto add = make<Add>(c);
  add->width = c.number("width");
  add->x = values(c.text("values"), add->rows, add->width, random);
  add->y = values(c.text("values"), add->rows, add->width, random);
  return add;
}

std::unique_ptr<Problem> make_select(const Case& c, Random& random) {
  auto select = make<Select>(c);
  select->width = c.number("width");
  select->x = values(c.text("values"), select->rows, select->width, random);
  for (int64_t i = 0; i < select->rows; i++) {
    select->chosen.push_back(static_cast<int32_t>(random.below(select->rows)));
  }
  return select;
}

std::unique_ptr<Problem> make_embed(const Case& c, Random& random) {
  auto embed = make<Embed>(c);
  embed->type = c.text("type");
  embed->layout = c.text("layout");
  embed->vocab = c.number("vocab");
  embed->dim = c.number("dim");
  embed->table = random_blocks(embed->type, embed->vocab * embed->dim, random);
  for (int64_t i = 0; i < embed->rows; i++) {
    embed->tokens.push_back(static_cast<int32_t>(random.below(embed->vocab)));
  }
  return embed;
}

std::unique_ptr<Problem> make_gate(const Case& c, Random& random) {
  auto gate = make<Gate>(c);
  gate->width = c.number("width");
  gate->gate = values(c.text("values"), gate->rows, gate->width, random);
  gate->up = values(c.text("values") == "extreme" ? "normal" : c.text("values"), gate->rows,
                    gate->width, random);
  return gate;
}

std::unique_ptr<Problem> make_norm(const Case& c, Random& random) {
  auto norm = make<Norm>(c);
  norm->width = c.number("width");
  norm->dim = c.number("dim");
  norm->epsilon = static_cast<float>(c.real("epsilon"));
  norm->x = values(c.text("values"), norm->rows, norm->width, random);
  norm->weight = values("normal", 1, norm->dim, random);
  return norm;
}

std::unique_ptr<Problem> make_rope(const Case& c, Random& random) {
  auto rope = make<Rope>(c);
  rope->heads = c.number("heads");
  rope->head_dim = c.number("head_dim");
  rope->rotary_dim = c.number("rotary_dim");
  rope->pairing =
      c.text("pairing") == "half_split" ? TK_PAIRING_HALF_SPLIT : TK_PAIRING_INTERLEAVED;
  rope->x = values(c.text("values"), rope->rows, rope->heads * rope->head_dim, random);
  for (int64_t position = 0; position < Rope::table_rows; position++) {
    for (int64_t i = 0; i < rope->rotary_dim; i++) {
      const int64_t pair = i % (rope->rotary_dim / 2);
      const double angle =
          static_cast<double>(position) *
          std::pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(rope->rotary_dim));
      rope->table.push_back(
          static_cast<float>(i < rope->rotary_dim / 2 ? std::cos(angle) : std::sin(angle)));
    }
  }
  for (int64_t i = 0; i < rope->rows; i++) {
    rope->positions.push_back(static_cast<int32_t>(random.below(Rope::table_rows)));
  }
  return rope;
}

}  // namespace tokamak::tests
