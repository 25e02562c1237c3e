// SPDX-License-Identifier: Apache-2.0
//
// Operations of training with their gradients, from the tables of cases/train-ops: against plain
// loops in double precision, and the same bits with 1, 2 and 3 threads.
//
// Bounds are the roundings of each value: `units` of the sizes of what is added up to it, where a
// factor that is itself a sum, or an exponential, is off by as many units as its own terms make.

#include "operations.h"

#include <string.h>

#include <cfloat>
#include <sstream>

namespace tokamak::tests {

TrainBatch::TrainBatch(int rows, int outputs)
    : tokens(static_cast<size_t>(rows)),
      positions(tokens.size()),
      starts(tokens.size()),
      outputs(static_cast<size_t>(outputs)),
      targets(this->outputs.size()),
      coefficients(this->outputs.size()),
      log_probabilities(this->outputs.size(), NAN) {}

TrainTape::TrainTape(const Team& team, TrainBatch& batch, int arithmetic)
    : handle(tk_train_create(team.handle, static_cast<int>(batch.tokens.size()),
                             static_cast<int>(batch.outputs.size()), arithmetic,
                             batch.tokens.data(), batch.positions.data(), batch.starts.data(),
                             batch.outputs.data(), batch.targets.data(), batch.coefficients.data(),
                             batch.log_probabilities.data())) {
  if (handle == nullptr) fail("training tape: %s", tk_last_error());
}

namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr double unit = rounding_unit;

Floats unwritten(size_t count) { return Floats(count, NAN); }

/** What an operation wrote, and what it should be, within bounds. */
struct Result {
  const char* name;
  Floats values;
};
struct Expected {
  Doubles exact, bound;
  explicit Expected(size_t count) : exact(count), bound(count) {}
  void set(size_t at, double value, double allowed) {
    exact[at] = value;
    bound[at] = allowed + 4 * FLT_TRUE_MIN;
  }
};

void compare(const Result& got, const Expected& expected) {
  if (got.values.size() != expected.exact.size()) fail("%s: %zu values", got.name, got.values.size());
  for (size_t i = 0; i < got.values.size(); i++) {
    const double error = std::fabs(got.values[i] - expected.exact[i]);
    if (error <= expected.bound[i]) continue;
    fail("%s: value %zu is %.9g, expected %.9g: error %.3g, rounding allows %.3g", got.name, i,
         static_cast<double>(got.values[i]), expected.exact[i], error, expected.bound[i]);
  }
}

/** A case with its data: how to run it, and what is right. */
class Problem {
 public:
  virtual ~Problem() = default;
  virtual std::vector<Result> run(const Team& team) const = 0;
  virtual std::vector<Expected> plain() const = 0;
};

void step(const TrainTape& tape, int n, int m, bool backward) {
  expect_status(tk_train_forward(tape.handle, n, m), TK_OK, "forward");
  if (backward) expect_status(tk_train_backward(tape.handle, n, m), TK_OK, "backward");
}

/** One sequence of all rows. */
TrainBatch one_sequence(int rows) {
  TrainBatch batch(rows, 1);
  for (int i = 0; i < rows; i++) batch.positions[static_cast<size_t>(i)] = i;
  batch.log_probabilities[0] = 0;
  return batch;
}

class Norm : public Problem {
 public:
  Norm(const Case& c, Random& random)
      : rows_(static_cast<int>(c.number("rows"))),
        width_(c.number("width")),
        dim_(c.number("dim")),
        x_(values(c.text("values"), rows_, width_, random)),
        weight_(values("normal", 1, dim_, random)),
        d_(values("normal", rows_, width_, random)),
        before_(values("normal", 1, dim_, random)) {}

  std::vector<Result> run(const Team& team) const override {
    TrainBatch batch = one_sequence(rows_);
    const TrainTape tape(team, batch);
    Floats out = unwritten(x_.size()), dx = out, dw = before_;
    tk_train* const t = tape.handle;
    expect_status(tk_train_norm(t, 0, x_.data(), width_, weight_.data(), dim_, epsilon, out.data()),
                  TK_OK, "norm");
    expect_status(tk_train_begin_backward(t), TK_OK, "begin");
    expect_status(tk_train_norm_gradient(t, 0, x_.data(), width_, weight_.data(), dim_, epsilon,
                                         d_.data(), dx.data(), dw.data()),
                  TK_OK, "norm gradient");
    step(tape, rows_, 0, true);
    return {{"out", out}, {"x gradient", dx}, {"weight gradient", dw}};
  }

  std::vector<Expected> plain() const override {
    Expected out(x_.size()), dx(x_.size()), dw(before_.size());
    Doubles sums(before_.begin(), before_.end()), sizes(before_.size(), 0);
    const double dim = static_cast<double>(dim_), units = (16 + std::sqrt(dim)) * unit;
    for (size_t group = 0; group < x_.size(); group += static_cast<size_t>(dim_)) {
      double squares = 0, sum = 0, size = 0;
      for (int64_t i = 0; i < dim_; i++) {
        const double x = x_[group + static_cast<size_t>(i)];
        squares += x * x;
      }
      const double r = 1 / std::sqrt(squares / dim + epsilon);
      for (size_t i = 0; i < static_cast<size_t>(dim_); i++) {
        const double term = static_cast<double>(d_[group + i]) * weight_[i] * x_[group + i] * r;
        sum += term;
        size += std::fabs(term);
      }
      for (size_t i = 0; i < static_cast<size_t>(dim_); i++) {
        const size_t at = group + i;
        const double normed = x_[at] * r, weighted = static_cast<double>(d_[at]) * weight_[i];
        out.set(at, normed * weight_[i], units * std::fabs(normed * weight_[i]));
        dx.set(at, r * (weighted - normed * sum / dim),
               units * r * (std::fabs(weighted) + std::fabs(normed) * size / dim));
        sums[i] += d_[at] * normed;
        sizes[i] += std::fabs(d_[at] * normed);
      }
    }
    for (size_t i = 0; i < sums.size(); i++) {
      dw.set(i, sums[i], units * (sizes[i] + std::fabs(before_[i])));
    }
    return {out, dx, dw};
  }

 private:
  static constexpr float epsilon = 1e-5f;
  const int rows_;
  const int64_t width_, dim_;
  const Floats x_, weight_, d_, before_;
};

class Gate : public Problem {
 public:
  Gate(const Case& c, Random& random)
      : rows_(static_cast<int>(c.number("rows"))),
        width_(c.number("width")),
        gate_(values(c.text("values"), rows_, width_, random)),
        up_(values("normal", rows_, width_, random)),
        d_(values("normal", rows_, width_, random)) {}

  std::vector<Result> run(const Team& team) const override {
    TrainBatch batch = one_sequence(rows_);
    const TrainTape tape(team, batch);
    Floats out = unwritten(gate_.size()), dg = out, du = out;
    tk_train* const t = tape.handle;
    expect_status(tk_train_gate(t, 0, gate_.data(), up_.data(), width_, out.data()), TK_OK, "gate");
    expect_status(tk_train_begin_backward(t), TK_OK, "begin");
    expect_status(tk_train_gate_gradient(t, 0, gate_.data(), up_.data(), width_, d_.data(),
                                         dg.data(), du.data()),
                  TK_OK, "gate gradient");
    step(tape, rows_, 0, true);
    return {{"out", out}, {"gate gradient", dg}, {"up gradient", du}};
  }

  std::vector<Expected> plain() const override {
    Expected out(gate_.size()), dg(gate_.size()), du(gate_.size());
    for (size_t i = 0; i < gate_.size(); i++) {
      const double g = gate_[i], up = up_[i], d = d_[i], power = std::exp(-g), s = 1 / (1 + power);
      // Below the range of exp: zero.
      const double off = 8 * unit * s + (power > 0.99 * FLT_MAX ? s : 0);
      const double silu = g * s, slope = s * (1 + g * (1 - s));
      out.set(i, silu * up, (std::fabs(g) * off + 4 * unit * std::fabs(silu)) * std::fabs(up));
      du.set(i, silu * d, (std::fabs(g) * off + 4 * unit * std::fabs(silu)) * std::fabs(d));
      dg.set(i, d * up * slope,
             std::fabs(d * up) * (off * (1 + std::fabs(g)) + 4 * unit * std::fabs(slope)));
    }
    return {out, dg, du};
  }

 private:
  const int rows_;
  const int64_t width_;
  const Floats gate_, up_, d_;
};

class Rope : public Problem {
 public:
  Rope(const Case& c, Random& random)
      : rows_(static_cast<int>(c.number("rows"))),
        heads_(c.number("heads")),
        head_dim_(c.number("head_dim")),
        rotary_dim_(c.number("rotary_dim")),
        split_(c.text("pairing") == "half_split"),
        x_(values(c.text("values"), rows_, heads_ * head_dim_, random)) {
    for (int position = 0; position < rows_; position++) {
      for (int64_t i = 0; i < rotary_dim_; i++) {
        const double angle = position * std::pow(0.3, static_cast<double>(i % (rotary_dim_ / 2)));
        table_.push_back(
            static_cast<float>(i < rotary_dim_ / 2 ? std::cos(angle) : std::sin(angle)));
      }
    }
  }

  std::vector<Result> run(const Team& team) const override {
    TrainBatch batch = one_sequence(rows_);
    const TrainTape tape(team, batch);
    Floats out[2] = {unwritten(x_.size()), unwritten(x_.size())};
    for (int inverse = 0; inverse < 2; inverse++) {
      expect_status(
          tk_train_rope(tape.handle, x_.data(), heads_, head_dim_, rotary_dim_,
                        split_ ? TK_PAIRING_HALF_SPLIT : TK_PAIRING_INTERLEAVED, table_.data(),
                        rows_, inverse, out[inverse].data()),
          TK_OK, "rope");
    }
    step(tape, rows_, 0, false);
    return {{"out", out[0]}, {"inverse", out[1]}};
  }

  std::vector<Expected> plain() const override {
    std::vector<Expected> both(2, Expected(x_.size()));
    const int64_t half = rotary_dim_ / 2;
    for (size_t inverse = 0; inverse < 2; inverse++) {
      for (size_t i = 0; i < x_.size(); i++) both[inverse].set(i, x_[i], 0);
      for (int64_t head = 0; head < rows_ * heads_; head++) {
        for (int64_t i = 0; i < half; i++) {
          const auto a = static_cast<size_t>(head * head_dim_ + (split_ ? i : 2 * i));
          const auto b = a + static_cast<size_t>(split_ ? half : 1);
          const auto at = static_cast<size_t>(head / heads_ * rotary_dim_ + i);
          const double c = table_[at], s = (inverse ? -1.0 : 1.0) * table_[at + static_cast<size_t>(half)];
          const double x = x_[a], y = x_[b];
          both[inverse].set(a, x * c - y * s, 3 * unit * (std::fabs(x * c) + std::fabs(y * s)));
          both[inverse].set(b, x * s + y * c, 3 * unit * (std::fabs(x * s) + std::fabs(y * c)));
        }
      }
    }
    return both;
  }

 private:
  const int rows_;
  const int64_t heads_, head_dim_, rotary_dim_;
  const bool split_;
  const Floats x_;
  Floats table_;
};

class LogProbability : public Problem {
 public:
  LogProbability(const Case& c, Random& random)
      : outputs_(static_cast<int>(c.number("outputs"))),
        vocab_(c.number("vocab")),
        logits_(values(c.text("values"), outputs_, vocab_, random)),
        coefficients_(values("normal", outputs_, 1, random)) {
    for (int i = 0; i < outputs_; i++) targets_.push_back(static_cast<int32_t>(random.below(vocab_)));
  }

  std::vector<Result> run(const Team& team) const override {
    TrainBatch batch(outputs_, outputs_);
    for (int i = 0; i < outputs_; i++) batch.outputs[static_cast<size_t>(i)] = i;
    batch.targets = targets_;
    batch.coefficients = coefficients_;
    const TrainTape tape(team, batch);
    Floats logits = logits_, sums = unwritten(targets_.size());
    tk_train* const t = tape.handle;
    expect_status(tk_train_log_probability(t, logits.data(), vocab_, sums.data()), TK_OK, "log");
    expect_status(tk_train_begin_backward(t), TK_OK, "begin");
    expect_status(tk_train_log_probability_gradient(t, logits.data(), vocab_, sums.data()), TK_OK,
                  "gradient");
    step(tape, outputs_, outputs_, true);
    return {{"log probability", batch.log_probabilities}, {"log sum", sums}, {"gradient", logits}};
  }

  std::vector<Expected> plain() const override {
    Expected log_probability(targets_.size()), sums(targets_.size()), gradient(logits_.size());
    for (size_t o = 0; o < targets_.size(); o++) {
      const size_t row = o * static_cast<size_t>(vocab_), target = static_cast<size_t>(targets_[o]);
      double highest = -INFINITY, sum = 0;
      for (size_t i = 0; i < static_cast<size_t>(vocab_); i++) {
        highest = std::max(highest, static_cast<double>(logits_[row + i]));
      }
      for (size_t i = 0; i < static_cast<size_t>(vocab_); i++) sum += std::exp(logits_[row + i] - highest);
      const double log_sum = highest + std::log(sum);
      // e^x is off by 3 units and by those of x; the sum of 16 lanes by as many as it has steps.
      const double of_sum = (16 + std::sqrt(static_cast<double>(vocab_))) * unit;
      const double value = logits_[row + target] - log_sum;
      log_probability.set(o, value, of_sum + unit * std::fabs(value));
      sums.set(o, log_sum, of_sum + unit * std::fabs(log_sum));
      for (size_t i = 0; i < static_cast<size_t>(vocab_); i++) {
        const double power = logits_[row + i] - log_sum, p = std::exp(power);
        const double off = p * (of_sum + unit * (4 + 2 * std::fabs(power) + std::fabs(log_sum)));
        const double c = coefficients_[o], exact = c * ((i == target ? 1 : 0) - p);
        gradient.set(row + i, exact, std::fabs(c) * (off + (i == target ? unit : 0)) +
                                         2 * unit * std::fabs(exact) + FLT_MIN);
      }
    }
    return {log_probability, sums, gradient};
  }

 private:
  const int outputs_;
  const int64_t vocab_;
  const Floats logits_, coefficients_;
  std::vector<int32_t> targets_;
};

class Attention : public Problem {
 public:
  Attention(const Case& c, Random& random)
      : heads_(c.number("heads")), kv_heads_(c.number("kv_heads")), dim_(c.number("head_dim")) {
    std::istringstream lengths(c.text("lengths"));
    for (std::string length; std::getline(lengths, length, '+');) {
      const auto start = static_cast<int32_t>(starts_.size());
      starts_.resize(starts_.size() + std::stoul(length), start);
    }
    const auto n = static_cast<int64_t>(starts_.size());
    q_ = values(c.text("values"), n, heads_ * dim_, random);
    k_ = values(c.text("values"), n, kv_heads_ * dim_, random);
    v_ = values(c.text("values"), n, kv_heads_ * dim_, random);
    d_ = values("normal", n, heads_ * dim_, random);
    scale_ = static_cast<float>(1 / std::sqrt(static_cast<double>(dim_)));
  }

  std::vector<Result> run(const Team& team) const override {
    const int n = static_cast<int>(starts_.size());
    TrainBatch batch(n, 1);
    batch.starts = starts_;
    batch.log_probabilities[0] = 0;
    const TrainTape tape(team, batch);
    Floats out = unwritten(q_.size()), sums = unwritten(static_cast<size_t>(n * heads_));
    Floats dq = out, dk = unwritten(k_.size()), dv = dk;
    tk_train* const t = tape.handle;
    expect_status(tk_train_attention(t, q_.data(), k_.data(), v_.data(), heads_, kv_heads_, dim_,
                                     scale_, out.data(), sums.data()),
                  TK_OK, "attention");
    expect_status(tk_train_begin_backward(t), TK_OK, "begin");
    expect_status(tk_train_attention_gradient(t, q_.data(), k_.data(), v_.data(), out.data(),
                                              sums.data(), heads_, kv_heads_, dim_, scale_,
                                              d_.data(), dq.data(), dk.data(), dv.data()),
                  TK_OK, "attention gradient");
    step(tape, n, 0, true);
    return {{"out", out}, {"q gradient", dq}, {"k gradient", dk}, {"v gradient", dv}};
  }

  std::vector<Expected> plain() const override {
    Expected out(q_.size()), dq(q_.size()), dk(k_.size()), dv(k_.size());
    const int64_t n = static_cast<int64_t>(starts_.size()), group = heads_ / kv_heads_;
    const auto q_at = [&](int64_t row, int64_t head) {
      return static_cast<size_t>((row * heads_ + head) * dim_);
    };
    const auto kv_at = [&](int64_t row, int64_t head) {
      return static_cast<size_t>((row * kv_heads_ + head / group) * dim_);
    };
    const auto d_count = static_cast<size_t>(dim_);
    for (int64_t i = 0; i < n; i++) {
      for (int64_t h = 0; h < heads_; h++) {
        const int64_t start = starts_[static_cast<size_t>(i)];
        const auto seen = static_cast<size_t>(i + 1 - start);
        const size_t q = q_at(i, h);
        // Of each key: score, its size, weight, dout v and its size.
        Doubles scores(seen), products(seen), product_sizes(seen);
        double highest = -INFINITY, largest = 0, sum = 0;
        for (size_t j = 0; j < seen; j++) {
          const size_t k = kv_at(start + static_cast<int64_t>(j), h);
          double size = 0;
          for (size_t d = 0; d < d_count; d++) {
            const double term = static_cast<double>(scale_) * q_[q + d] * k_[k + d];
            scores[j] += term;
            size += std::fabs(term);
            products[j] += static_cast<double>(d_[q + d]) * v_[k + d];
            product_sizes[j] += std::fabs(static_cast<double>(d_[q + d]) * v_[k + d]);
          }
          highest = std::max(highest, scores[j]);
          largest = std::max(largest, size);
        }
        for (double score : scores) sum += std::exp(score - highest);
        // Weights are off by the units of their exponents; sums by as many as they have steps.
        const double units = (32 + 8 * largest + std::sqrt(static_cast<double>(seen + d_count))) * unit;
        double delta = 0, delta_size = 0;
        for (size_t j = 0; j < seen; j++) {
          const double p = std::exp(scores[j] - highest) / sum;
          scores[j] = p;
          delta += p * products[j];
          delta_size += p * product_sizes[j];
        }
        for (size_t j = 0; j < seen; j++) {
          const size_t k = kv_at(start + static_cast<int64_t>(j), h);
          const double p = scores[j], ds = p * (products[j] - delta);
          const double ds_size = p * (product_sizes[j] + delta_size);
          for (size_t d = 0; d < d_count; d++) {
            const auto sum_up = [&](Expected& to, size_t at, double term, double size) {
              to.exact[at] += term;
              to.bound[at] += 2 * units * size + FLT_TRUE_MIN;
            };
            const double scale = scale_;
            sum_up(out, q + d, p * v_[k + d], p * std::fabs(v_[k + d]));
            sum_up(dv, k + d, p * d_[q + d], p * std::fabs(d_[q + d]));
            sum_up(dq, q + d, scale * ds * k_[k + d], scale * ds_size * std::fabs(k_[k + d]));
            sum_up(dk, k + d, scale * ds * q_[q + d], scale * ds_size * std::fabs(q_[q + d]));
          }
        }
      }
    }
    return {out, dq, dk, dv};
  }

 private:
  const int64_t heads_, kv_heads_, dim_;
  float scale_;
  std::vector<int32_t> starts_;
  Floats q_, k_, v_, d_;
};

template <typename T>
std::unique_ptr<Problem> make(const Case& c, Random& random) {
  return std::make_unique<T>(c, random);
}

constexpr struct {
  const char* table;
  std::unique_ptr<Problem> (*make)(const Case&, Random&);
} tables[] = {{"attention", make<Attention>},
              {"gate", make<Gate>},
              {"log_probability", make<LogProbability>},
              {"norm", make<Norm>},
              {"rope", make<Rope>}};

void run_case(const Problem& problem, int level) {
  const std::vector<Result> first = problem.run(Team(level, 2));
  const std::vector<Expected> expected = problem.plain();
  for (size_t i = 0; i < expected.size(); i++) compare(first[i], expected[i]);
  for (int threads : {1, 3}) {
    const std::vector<Result> other = problem.run(Team(level, threads));
    for (size_t i = 0; i < first.size(); i++) {
      if (memcmp(first[i].values.data(), other[i].values.data(), first[i].values.size() * 4) != 0) {
        fail("%s: other bits with %d threads", first[i].name, threads);
      }
    }
  }
}

}  // namespace

void train_tables(Runner& runner, const Options& options, int level, const std::string& where,
                  const std::string& again) {
  for (const auto& table : tables) {
    for (const Case& c : read_cases(options.cases + "/train-ops/" + table.table + ".cases")) {
      runner.attempt(c.title(), where, again, [&] {
        Random random(options.seed ^ static_cast<uint64_t>(c.line) * 0x9e3779b97f4a7c15);
        run_case(*table.make(c, random), level);
      });
    }
  }
}

}  // namespace tokamak::tests
