// SPDX-License-Identifier: Apache-2.0

#include "training.h"

#include <algorithm>

#include "tokamak/tokamak.h"

namespace tokamak::tests {
namespace {

using Expectations = std::vector<TrainingProblem::Expected>;

Floats normal(int64_t count, Random& random) { return values("normal", 1, count, random); }

size_t at(int64_t i) { return static_cast<size_t>(i); }

bool bf16_of(const Case& c) {
  const std::string& name = c.text("arithmetic");
  if (name != "f32" && name != "bf16") fail("arithmetic=%s is not known", name.c_str());
  return name == "bf16";
}

double rounded(bool bf16, float value) {
  return bf16 ? static_cast<double>(bf16_to_float(float_to_bf16(value))) : static_cast<double>(value);
}

/** Rows in `sequences` runs of unequal length. */
TrainingRows rows_of(int64_t rows, int64_t sequences, int64_t vocab, Random& random) {
  TrainingRows step;
  step.rows = static_cast<int>(rows);
  std::vector<int64_t> cuts = {0};
  while (static_cast<int64_t>(cuts.size()) < sequences) {
    const int64_t cut = 1 + random.below(rows - 1);
    if (std::find(cuts.begin(), cuts.end(), cut) == cuts.end()) cuts.push_back(cut);
  }
  std::sort(cuts.begin(), cuts.end());
  for (int64_t row = 0; row < rows; row++) {
    const int64_t start = *(std::upper_bound(cuts.begin(), cuts.end(), row) - 1);
    step.starts.push_back(static_cast<int32_t>(start));
    step.positions.push_back(static_cast<int32_t>(row - start));
    // half of them few tokens, which come again and again
    step.tokens.push_back(
        static_cast<int32_t>(random.below(random.below(2) == 0 ? std::min<int64_t>(3, vocab) : vocab)));
  }
  return step;
}

// ---- products -----------------------------------------------------------------------------

/** A sum of products as it is computed: what its roundings may come to. */
struct Sum {
  Products products;
  bool bf16;
  double value = 0, squares = 0;

  void add(float a, float b) {
    const double product = rounded(bf16, a) * rounded(bf16, b);
    value += product;
    squares += value * value;
    // three parts: five more products are added, and 2^-24 is left out
    if (!bf16) squares += product * product + (products == Products::bf16_parts ? 5 * value * value : 0);
  }
  void add(float other) {
    value += static_cast<double>(other);
    squares += value * value;
  }
  TrainingProblem::Expected expected() const {
    return {value, independent_roundings(squares) + FLT_MIN};
  }
};

struct Matmul : TrainingProblem {
  bool bf16;
  int64_t rows, cols, out_dim;
  Floats x, weight, bias, out_gradient, before_x, before_weight, before_bias;

  Floats run(Training& training) const override {
    Floats all = training.matmul(bf16, rows, cols, out_dim, x, weight, bias);
    for (const Floats& next :
         {training.input_gradient(bf16, rows, cols, out_dim, out_gradient, weight, {}),
          training.input_gradient(bf16, rows, cols, out_dim, out_gradient, weight, before_x),
          training.weight_gradient(bf16, rows, cols, out_dim, out_gradient, x, before_weight),
          training.bias_gradient(rows, out_dim, out_gradient, before_bias)}) {
      all.insert(all.end(), next.begin(), next.end());
    }
    return all;
  }

  Expectations expected(Products products) const override {
    Expectations all;
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < out_dim; j++) {
        Sum sum{products, bf16};
        for (int64_t k = 0; k < cols; k++) sum.add(x[at(i * cols + k)], weight[at(j * cols + k)]);
        if (!bias.empty()) sum.add(bias[at(j)]);
        all.push_back(sum.expected());
      }
    }
    for (int pass = 0; pass < 2; pass++) {
      for (int64_t i = 0; i < rows; i++) {
        for (int64_t k = 0; k < cols; k++) {
          Sum sum{products, bf16};
          for (int64_t j = 0; j < out_dim; j++) {
            sum.add(out_gradient[at(i * out_dim + j)], weight[at(j * cols + k)]);
          }
          if (pass == 1) sum.add(before_x[at(i * cols + k)]);
          all.push_back(sum.expected());
        }
      }
    }
    for (int64_t j = 0; j < out_dim; j++) {
      for (int64_t k = 0; k < cols; k++) {
        Sum sum{products, bf16};
        for (int64_t i = 0; i < rows; i++) {
          sum.add(out_gradient[at(i * out_dim + j)], x[at(i * cols + k)]);
        }
        sum.add(before_weight[at(j * cols + k)]);
        all.push_back(sum.expected());
      }
    }
    for (int64_t j = 0; j < out_dim; j++) {
      Sum sum{products, false};
      for (int64_t i = 0; i < rows; i++) sum.add(out_gradient[at(i * out_dim + j)]);
      sum.add(before_bias[at(j)]);
      all.push_back(sum.expected());
    }
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_matmul(const Case& c, Random& random) {
  auto problem = std::make_unique<Matmul>();
  problem->bf16 = bf16_of(c);
  problem->rows = c.number("rows");
  problem->cols = c.number("cols");
  problem->out_dim = c.number("out_dim");
  problem->products = problem->rows * problem->cols * problem->out_dim;
  problem->x = normal(problem->rows * problem->cols, random);
  problem->weight = normal(problem->out_dim * problem->cols, random);
  if (c.text("bias") == "yes") problem->bias = normal(problem->out_dim, random);
  problem->out_gradient = normal(problem->rows * problem->out_dim, random);
  problem->before_x = normal(problem->rows * problem->cols, random);
  problem->before_weight = normal(problem->out_dim * problem->cols, random);
  problem->before_bias = normal(problem->out_dim, random);
  return problem;
}

// ---- attention ----------------------------------------------------------------------------

/** Scores are as large as `size`: their error is that of float32, or of bfloat16 where attention's
 *  products are rounded to that, and moves the weights as much. What is made of weights is off by
 *  that share of the sizes summed. */
double attention_share(Products products, bool bf16, double size) {
  const bool rounds = bf16 && products != Products::float32;  // CPU kernels do not
  return (rounds ? 0x1p-7 : 0x1p-19) * (1 + size);
}

struct Attention : TrainingProblem {
  TrainingRows step;
  bool bf16;
  int64_t heads, kv_heads, head_dim;
  float scale;
  Floats q, k, v, out_gradient;

  Floats run(Training& training) const override {
    return training.attention(step, bf16, heads, kv_heads, head_dim, scale, q, k, v, out_gradient);
  }

  Expectations expected(Products products_of) const override {
    const int64_t n = step.rows, d = head_dim;
    Expectations out(q.size()), log_sums(at(n * heads)), dq(q.size()), dk(k.size()), dv(v.size());
    for (int64_t head = 0; head < heads; head++) {
      for (int64_t i = 0; i < n; i++) {
        const int64_t qi = (i * heads + head) * d;
        const int64_t start = step.starts[at(i)];
        const auto key = [&](int64_t j) { return (j * kv_heads + head / (heads / kv_heads)) * d; };
        std::vector<double> score, p;
        double largest = -INFINITY, sum = 0, size = 0;
        for (int64_t j = start; j <= i; j++) {
          double s = 0, sizes = 0;
          for (int64_t c = 0; c < d; c++) {
            const double product = static_cast<double>(q[at(qi + c)]) * k[at(key(j) + c)];
            s += product;
            sizes += std::fabs(product);
          }
          score.push_back(s * scale);
          size = std::max(size, sizes * std::fabs(scale));
          largest = std::max(largest, score.back());
        }
        for (const double s : score) sum += std::exp(s - largest);
        for (const double s : score) p.push_back(std::exp(s - largest) / sum);
        const double share = attention_share(products_of, bf16, size);
        log_sums[at(i * heads + head)] = {largest + std::log(sum), share};
        double products = 0, product_sizes = 0;  // of out_gradient and out
        for (int64_t c = 0; c < d; c++) {
          Expected& o = out[at(qi + c)];
          double sizes = 0;
          for (int64_t j = start; j <= i; j++) {
            const double value = v[at(key(j) + c)], weight = p[at(j - start)];
            o.value += weight * value;
            sizes += weight * std::fabs(value);
          }
          o.bound = share * sizes + FLT_MIN;
          products += o.value * out_gradient[at(qi + c)];
          product_sizes += sizes * std::fabs(out_gradient[at(qi + c)]);
        }
        for (int64_t j = start; j <= i; j++) {
          double dp = 0, dp_sizes = 0;
          const double weight = p[at(j - start)];
          for (int64_t c = 0; c < d; c++) {
            const double product =
                static_cast<double>(out_gradient[at(qi + c)]) * v[at(key(j) + c)];
            dp += product;
            dp_sizes += std::fabs(product);
            Expected& of_v = dv[at(key(j) + c)];
            of_v.value += weight * out_gradient[at(qi + c)];
            of_v.bound += share * weight * std::fabs(out_gradient[at(qi + c)]);
          }
          const double ds = scale * weight * (dp - products);
          const double off =
              2 * share * std::fabs(scale) * weight * (dp_sizes + product_sizes) + FLT_MIN;
          for (int64_t c = 0; c < d; c++) {
            dq[at(qi + c)].value += ds * k[at(key(j) + c)];
            dq[at(qi + c)].bound += off * std::fabs(k[at(key(j) + c)]);
            dk[at(key(j) + c)].value += ds * q[at(qi + c)];
            dk[at(key(j) + c)].bound += off * std::fabs(q[at(qi + c)]);
          }
        }
      }
    }
    for (const Expectations* next : {&log_sums, &dq, &dk, &dv}) {
      out.insert(out.end(), next->begin(), next->end());
    }
    return out;
  }
};

std::unique_ptr<TrainingProblem> make_attention(const Case& c, Random& random) {
  auto problem = std::make_unique<Attention>();
  const int64_t rows = c.number("rows");
  problem->step = rows_of(rows, c.number("sequences"), 2, random);
  problem->bf16 = bf16_of(c);
  problem->heads = c.number("heads");
  problem->kv_heads = c.number("kv_heads");
  problem->head_dim = c.number("head_dim");
  problem->products = rows * rows * problem->heads * problem->head_dim;
  problem->scale = static_cast<float>(1 / std::sqrt(c.real("head_dim")));
  problem->q = normal(rows * problem->heads * problem->head_dim, random);
  problem->k = normal(rows * problem->kv_heads * problem->head_dim, random);
  problem->v = normal(rows * problem->kv_heads * problem->head_dim, random);
  problem->out_gradient = normal(rows * problem->heads * problem->head_dim, random);
  return problem;
}

// ---- row by row ---------------------------------------------------------------------------

/** A value off by a few roundings of numbers of `size`. */
TrainingProblem::Expected near(double value, double size, double roundings = 16) {
  return {value, roundings * rounding_unit * size + FLT_MIN};
}

struct Norm : TrainingProblem {
  int64_t rows, width, dim;
  float epsilon;
  bool frozen;
  Floats x, weight, out_gradient, before;

  Floats run(Training& training) const override {
    Floats of_weight = frozen ? Floats{} : before;
    Floats all = training.norm_gradient(rows, width, dim, epsilon, x, weight, out_gradient, of_weight);
    all.insert(all.end(), of_weight.begin(), of_weight.end());
    return all;
  }

  Expectations expected(Products) const override {
    Expectations all;
    std::vector<double> of_weight(before.begin(), before.end()), squares(at(dim));
    std::vector<double> sizes(at(dim));
    for (int64_t group = 0; group < rows * width / dim; group++) {
      double mean = 0, product = 0, product_size = 0;
      for (int64_t i = 0; i < dim; i++) {
        const double value = x[at(group * dim + i)];
        const double term = value * weight[at(i)] * out_gradient[at(group * dim + i)];
        mean += value * value / static_cast<double>(dim);
        product += term / static_cast<double>(dim);
        product_size += std::fabs(term) / static_cast<double>(dim);
      }
      const double r = 1 / std::sqrt(mean + static_cast<double>(epsilon));
      for (int64_t i = 0; i < dim; i++) {
        const double value = x[at(group * dim + i)], g = out_gradient[at(group * dim + i)];
        const double gradient = r * (g * weight[at(i)] - value * r * r * product);
        all.push_back(near(gradient, r * (std::fabs(g * weight[at(i)]) +
                                          std::fabs(value) * r * r * product_size)));
        of_weight[at(i)] += g * value * r;
        squares[at(i)] += of_weight[at(i)] * of_weight[at(i)];
        sizes[at(i)] += std::fabs(g * value * r);
      }
    }
    for (int64_t i = 0; i < dim && !frozen; i++) {
      const Expected small = near(of_weight[at(i)], sizes[at(i)], 4);
      all.push_back({small.value, small.bound + independent_roundings(squares[at(i)])});
    }
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_norm(const Case& c, Random& random) {
  auto problem = std::make_unique<Norm>();
  problem->rows = c.number("rows");
  problem->width = c.number("width");
  problem->dim = c.number("dim");
  problem->epsilon = static_cast<float>(c.real("epsilon"));
  problem->frozen = c.text("frozen") == "yes";
  problem->x = normal(problem->rows * problem->width, random);
  problem->weight = normal(problem->dim, random);
  problem->out_gradient = normal(problem->rows * problem->width, random);
  problem->before = normal(problem->dim, random);
  return problem;
}

struct Rope : TrainingProblem {
  TrainingRows step;
  int64_t heads, head_dim, rotary_dim, table_rows;
  int pairing;
  Floats table, x;

  Floats run(Training& training) const override {
    Floats all = training.rope(step, heads, head_dim, rotary_dim, pairing, table, table_rows, false, x);
    const Floats back =
        training.rope(step, heads, head_dim, rotary_dim, pairing, table, table_rows, true, x);
    all.insert(all.end(), back.begin(), back.end());
    return all;
  }

  Expectations expected(Products) const override {
    Expectations all;
    for (const double sign : {1.0, -1.0}) {
      for (int64_t row = 0; row < step.rows; row++) {
        for (int64_t head = 0; head < heads; head++) {
          for (int64_t i = 0; i < head_dim; i++) {
            const int64_t first = (row * heads + head) * head_dim;
            if (i >= rotary_dim) {
              all.push_back({static_cast<double>(x[at(first + i)]), 0});
              continue;
            }
            const int64_t half = rotary_dim / 2;
            const bool interleaved = pairing == TK_PAIRING_INTERLEAVED;
            const int64_t pair = interleaved ? i / 2 : i % half;
            const bool second = interleaved ? i % 2 == 1 : i >= half;
            const double a = x[at(first + (interleaved ? 2 * pair : pair))];
            const double b = x[at(first + (interleaved ? 2 * pair + 1 : pair + half))];
            const int64_t turn = step.positions[at(row)] * rotary_dim + pair;
            const double c = table[at(turn)], s = sign * table[at(turn + half)];
            all.push_back(near(second ? a * s + b * c : a * c - b * s,
                               std::fabs(a) + std::fabs(b), 4));
          }
        }
      }
    }
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_rope(const Case& c, Random& random) {
  auto problem = std::make_unique<Rope>();
  const int64_t rows = c.number("rows");
  problem->step = rows_of(rows, c.number("sequences"), 2, random);
  problem->heads = c.number("heads");
  problem->head_dim = c.number("head_dim");
  problem->rotary_dim = c.number("rotary_dim");
  problem->pairing =
      c.text("pairing") == "half" ? TK_PAIRING_HALF_SPLIT : TK_PAIRING_INTERLEAVED;
  problem->table_rows = rows;
  problem->table.resize(at(rows * problem->rotary_dim));
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t i = 0; i < problem->rotary_dim / 2; i++) {
      const double angle = 6 * random.uniform();
      const int64_t cosine = row * problem->rotary_dim + i;
      problem->table[at(cosine)] = static_cast<float>(std::cos(angle));
      problem->table[at(cosine + problem->rotary_dim / 2)] = static_cast<float>(std::sin(angle));
    }
  }
  problem->x = normal(rows * problem->heads * problem->head_dim, random);
  return problem;
}

/** gate gradient, add and scale. */
struct Elementwise : TrainingProblem {
  int64_t rows, width;
  Floats gate, up, out_gradient;

  Floats run(Training& training) const override {
    Floats all = training.gate_gradient(rows, width, gate, up, out_gradient);
    for (const Floats& next : {training.add(rows, width, gate, up),
                               training.scale(rows, width, 0.3f, out_gradient)}) {
      all.insert(all.end(), next.begin(), next.end());
    }
    return all;
  }

  Expectations expected(Products) const override {
    Expectations of_gate, of_up;
    for (size_t i = 0; i < gate.size(); i++) {
      const double g = gate[i], u = up[i], d = out_gradient[i], s = 1 / (1 + std::exp(-g));
      of_gate.push_back(near(d * u * s * (1 + g * (1 - s)), d * u * s * (1 + std::fabs(g))));
      of_gate.back().bound = std::fabs(of_gate.back().bound) + FLT_MIN;
      of_up.push_back(near(d * g * s, std::fabs(d * g)));
    }
    of_gate.insert(of_gate.end(), of_up.begin(), of_up.end());
    for (size_t i = 0; i < gate.size(); i++) {
      of_gate.push_back({static_cast<double>(gate[i] + up[i]), 0});
    }
    for (const float d : out_gradient) of_gate.push_back({static_cast<double>(0.3f * d), 0});
    return of_gate;
  }
};

std::unique_ptr<TrainingProblem> make_elementwise(const Case& c, Random& random) {
  auto problem = std::make_unique<Elementwise>();
  problem->rows = c.number("rows");
  problem->width = c.number("width");
  const int64_t count = problem->rows * problem->width;
  problem->gate = normal(count, random);
  // both ends of the logistic function
  problem->gate[0] = 200, problem->gate[at(count / 2)] = -200, problem->gate[at(count - 1)] = 0;
  problem->up = normal(count, random);
  problem->out_gradient = normal(count, random);
  return problem;
}

// ---- rows that come from rows -------------------------------------------------------------

/** `outputs` rows ascending; `twice`: the first has two targets. */
void choose_outputs(TrainingRows& step, int64_t outputs, int64_t vocab, Random& random) {
  for (int64_t i = 0; i < outputs; i++) {
    step.outputs.push_back(static_cast<int32_t>(random.below(step.rows)));
    step.targets.push_back(static_cast<int32_t>(random.below(vocab)));
  }
  std::sort(step.outputs.begin(), step.outputs.end());
}

struct Rows : TrainingProblem {
  TrainingRows step;
  int64_t vocab, dim;
  Floats out_gradient, of_outputs, before;

  Floats run(Training& training) const override {
    Floats all = training.embed_gradient(step, dim, out_gradient, before);
    const Floats selected = training.select_gradient(step, dim, of_outputs);
    all.insert(all.end(), selected.begin(), selected.end());
    return all;
  }

  /** In the order of rows, one by one: no other answer is right. */
  Expectations expected(Products) const override {
    Floats table = before, selected(at(step.rows * dim));
    for (int64_t row = 0; row < step.rows; row++) {
      for (int64_t i = 0; i < dim; i++) {
        table[at(step.tokens[at(row)] * dim + i)] += out_gradient[at(row * dim + i)];
      }
    }
    for (size_t j = 0; j < step.outputs.size(); j++) {
      for (int64_t i = 0; i < dim; i++) {
        selected[at(step.outputs[j] * dim + i)] += of_outputs[j * at(dim) + at(i)];
      }
    }
    table.insert(table.end(), selected.begin(), selected.end());
    Expectations all;
    for (const float value : table) all.push_back({static_cast<double>(value), 0});
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_rows(const Case& c, Random& random) {
  auto problem = std::make_unique<Rows>();
  problem->vocab = c.number("vocab");
  problem->dim = c.number("dim");
  const int64_t rows = c.number("rows"), outputs = c.number("outputs");
  problem->step = rows_of(rows, 1, problem->vocab, random);
  choose_outputs(problem->step, outputs, problem->vocab, random);
  problem->out_gradient = normal(rows * problem->dim, random);
  problem->of_outputs = normal(outputs * problem->dim, random);
  problem->before = normal(problem->vocab * problem->dim, random);
  return problem;
}

struct LogProbability : TrainingProblem {
  TrainingRows step;
  int64_t vocab;
  Floats logits, coefficients;

  Floats run(Training& training) const override {
    return training.log_probability(step, vocab, logits, coefficients);
  }

  Expectations expected(Products) const override {
    Expectations all, gradient;
    for (size_t i = 0; i < step.outputs.size(); i++) {
      const float* const row = logits.data() + i * at(vocab);
      const double largest = *std::max_element(row, row + vocab), c = coefficients[i];
      double sum = 0;
      for (int64_t j = 0; j < vocab; j++) sum += std::exp(row[j] - largest);
      const double target = row[step.targets[i]];
      all.push_back(near(target - largest - std::log(sum),
                         std::fabs(target - largest) + std::log(sum) + 8));
      const double log_sum = largest + std::log(sum);
      for (int64_t j = 0; j < vocab; j++) {
        const double p = std::exp(row[j] - log_sum);
        const double size = 8 + std::fabs(row[j]) + std::fabs(log_sum);
        gradient.push_back(near(c * ((j == step.targets[i] ? 1 : 0) - p), std::fabs(c) * (p * size + 1)));
        if (j != step.targets[i]) gradient.back() = near(-c * p, std::fabs(c) * p * size);
      }
    }
    all.insert(all.end(), gradient.begin(), gradient.end());
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_log_probability(const Case& c, Random& random) {
  auto problem = std::make_unique<LogProbability>();
  problem->vocab = c.number("vocab");
  const int64_t outputs = c.number("outputs");
  problem->step = rows_of(outputs, 1, problem->vocab, random);
  choose_outputs(problem->step, outputs, problem->vocab, random);
  problem->logits = normal(outputs * problem->vocab, random);
  for (float& logit : problem->logits) logit *= 8;
  for (int64_t j = 0; j < problem->vocab; j++) problem->logits[at(j)] += 300;  // exp overflows
  problem->coefficients = normal(outputs, random);
  return problem;
}

// ---- optimisers ---------------------------------------------------------------------------

struct AdamW : TrainingProblem {
  Training::Rule rule;
  Training::State state;

  Floats run(Training& training) const override {
    Training::State changed = state;
    const double squares = training.adamw(rule, changed);
    Floats all = {static_cast<float>(squares)};
    for (const Floats* next :
         {&changed.weights, &changed.gradients, &changed.first, &changed.second}) {
      all.insert(all.end(), next->begin(), next->end());
    }
    return all;
  }

  Expectations expected(Products) const override {
    Expectations weights, gradients, first, second;
    double squares = 0;
    for (size_t i = 0; i < state.weights.size(); i++) {
      squares += static_cast<double>(state.gradients[i]) * state.gradients[i];
      const double g = state.gradients[i] * rule.gradient_factor, w = state.weights[i];
      const double m = rule.beta1 * state.first[i] + (1 - rule.beta1) * g;
      const double v = rule.beta2 * state.second[i] + (1 - rule.beta2) * g * g;
      const double step = static_cast<double>(rule.step);
      const double root = std::sqrt(v / (1 - std::pow(rule.beta2, step))) + rule.epsilon;
      const double by = rule.learning_rate * m / (1 - std::pow(rule.beta1, step)) / root;
      const double m_size = std::fabs(rule.beta1 * state.first[i]) + std::fabs((1 - rule.beta1) * g);
      weights.push_back(near(w * (1 - rule.learning_rate * rule.weight_decay) - by,
                             std::fabs(w) + std::fabs(by) * (m_size / std::fabs(m) + 1), 8));
      gradients.push_back({0, 0});
      first.push_back(near(m, m_size + std::fabs(static_cast<double>(state.first[i])), 8));
      second.push_back(near(v, v + static_cast<double>(state.second[i]), 8));
    }
    Expectations all = {near(squares, squares, 2)};
    for (const Expectations* next : {&weights, &gradients, &first, &second}) {
      all.insert(all.end(), next->begin(), next->end());
    }
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_adamw(const Case& c, Random& random) {
  auto problem = std::make_unique<AdamW>();
  const int64_t count = c.number("count");
  problem->rule = {0.7, 0.01, 0.1, 0.9, 0.999, 1e-8, c.number("step")};
  problem->state = {normal(count, random), normal(count, random), normal(count, random),
                    normal(count, random)};
  for (float& v : problem->state.second) v *= v;
  return problem;
}

struct Muon : TrainingProblem {
  bool bf16;
  int64_t rows, cols;
  Training::Rule rule;
  Training::State state;

  Floats run(Training& training) const override {
    Training::State changed = state;
    training.muon(bf16, rows, cols, rule, changed);
    Floats all = changed.weights;
    all.insert(all.end(), changed.gradients.begin(), changed.gradients.end());
    all.insert(all.end(), changed.first.begin(), changed.first.end());
    return all;
  }

  static std::vector<double> times_turned(const std::vector<double>& a, const std::vector<double>& b,
                                          size_t rows, size_t k, size_t cols) {
    std::vector<double> out(rows * cols);
    for (size_t i = 0; i < rows; i++) {
      for (size_t j = 0; j < cols; j++) {
        for (size_t l = 0; l < k; l++) out[i * cols + j] += a[i * k + l] * b[j * k + l];
      }
    }
    return out;
  }

  Expectations expected(Products) const override {
    const size_t n = at(std::min(rows, cols)), m = at(std::max(rows, cols));
    std::vector<double> x(n * m);
    Expectations all, first;
    const double beta = rule.beta1;
    double squares = 0;
    const auto place = [&](size_t i) {
      return rows <= cols ? i : i % at(cols) * at(rows) + i / at(cols);
    };
    for (size_t i = 0; i < n * m; i++) {
      const double g = state.gradients[i] * rule.gradient_factor;
      const double momentum = beta * state.first[i] + (1 - beta) * g;
      first.push_back(near(momentum, std::fabs(momentum) + std::fabs(g) + 1, 8));
      const double u = beta * momentum + (1 - beta) * g;
      x[place(i)] = u;
      squares += u * u;
    }
    for (double& value : x) value /= std::sqrt(squares) + 1e-7;
    for (int step = 0; step < 5; step++) {
      const std::vector<double> a = times_turned(x, x, n, m, n), aa = times_turned(a, a, n, n, n);
      std::vector<double> next(n * m);
      for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < m; j++) {
          next[i * m + j] = 3.4445 * x[i * m + j];
          for (size_t l = 0; l < n; l++) {
            next[i * m + j] += (-4.7750 * a[i * n + l] + 2.0315 * aa[i * n + l]) * x[l * m + j];
          }
        }
      }
      x = next;
    }
    // Each step multiplies an error by up to three and a half; they begin with 2^-24, or 2^-9.
    const double off = bf16 ? 0.25 : 1e-3;
    const double scale = 0.2 * std::sqrt(static_cast<double>(std::max(rows, cols)));
    for (size_t i = 0; i < n * m; i++) {
      const double rate = rule.learning_rate * scale;
      const double kept = state.weights[i] * (1 - rule.learning_rate * rule.weight_decay);
      all.push_back({kept - rate * x[place(i)], rate * off + 8 * rounding_unit * std::fabs(kept)});
    }
    all.insert(all.end(), n * m, {0, 0});
    all.insert(all.end(), first.begin(), first.end());
    return all;
  }
};

std::unique_ptr<TrainingProblem> make_muon(const Case& c, Random& random) {
  auto problem = std::make_unique<Muon>();
  problem->bf16 = bf16_of(c);
  problem->rows = c.number("rows");
  problem->cols = c.number("cols");
  const int64_t count = problem->rows * problem->cols;
  problem->products = 10 * count * std::min(problem->rows, problem->cols);
  problem->rule = {0.7, 0.02, 0.1, 0.95, 0, 0, 1};
  problem->state = {normal(count, random), normal(count, random), normal(count, random), {}};
  return problem;
}

}  // namespace

const std::vector<TrainingTable> training_tables = {
    {"matmul", make_matmul},           {"attention", make_attention},
    {"norm", make_norm},               {"rope", make_rope},
    {"elementwise", make_elementwise}, {"rows", make_rows},
    {"log_probability", make_log_probability},
    {"adamw", make_adamw},             {"muon", make_muon},
};

void expect_close(const Expectations& expected, const Floats& got) {
  if (got.size() != expected.size()) fail("%zu values, expected %zu", got.size(), expected.size());
  for (size_t i = 0; i < got.size(); i++) {
    const double error = std::fabs(got[i] - expected[i].value);
    if (!(error <= expected[i].bound)) {
      fail("value %zu of %zu is %.9g, expected %.9g: error %.3g, allowed %.3g", i, got.size(),
           static_cast<double>(got[i]), expected[i].value, error, expected[i].bound);
    }
  }
}

}  // namespace tokamak::tests
