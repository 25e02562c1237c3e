// SPDX-License-Identifier: Apache-2.0
//
// Sampling and log probabilities against plain loops in double precision: the steps of the Java
// class Sampler, with a full sort where it has a heap.

#include <math.h>
#include <string.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>

#include "scenarios.h"

namespace tokamak::tests {
namespace {

/** One row: what the kernel is given. */
struct Row {
  std::vector<float> logits;
  std::vector<int32_t> recent;
  tk_cuda_sampler sampler;
};

tk_cuda_sampler neutral(double temp) {
  tk_cuda_sampler sampler{};
  sampler.temp = temp;
  sampler.top_p = sampler.typical = sampler.repeat_penalty = 1;
  return sampler;
}

// ---- the oracle ---------------------------------------------------------------------------

struct Entry {
  int id;
  double logit;
};

class Oracle {
 public:
  explicit Oracle(const std::vector<float>& logits) {
    for (size_t i = 0; i < logits.size(); i++) left_.push_back({static_cast<int>(i), logits[i]});
  }

  int choose(const Row& row) {
    const tk_cuda_sampler& with = row.sampler;
    penalize(with, row.recent);
    if (with.temp == 0) return left_[ranked(logits())[0]].id;
    if (with.top_k > 0 && with.top_k < static_cast<int>(left_.size())) {
      keep(ranked(logits()), static_cast<size_t>(with.top_k));
    }
    if (with.typical < 1) keep_typical(with.typical);
    if (with.top_p < 1) keep_mass(with.top_p);
    if (with.min_p > 0) keep_likely(with.min_p);
    return draw(with.temp, random(with));
  }

  /** Indices, the largest key first, ties to the lower index. */
  static std::vector<size_t> ranked(const std::vector<double>& keys) {
    std::vector<size_t> order(keys.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return keys[a] > keys[b]; });
    return order;
  }

  std::vector<double> logits() const {
    std::vector<double> all;
    for (const Entry& entry : left_) all.push_back(entry.logit);
    return all;
  }

  double largest() const {
    double most = -INFINITY;
    for (const Entry& entry : left_) most = std::max(most, entry.logit);
    return most;
  }

  std::vector<double> weights(double temperature) const {
    std::vector<double> all;
    for (const Entry& entry : left_) all.push_back(exp((entry.logit - largest_) / temperature));
    return all;
  }

  /** exp of the logits less the largest, and their sum. */
  std::vector<double> softmax(double temperature, double* total) {
    largest_ = largest();
    const std::vector<double> all = weights(temperature);
    *total = std::accumulate(all.begin(), all.end(), 0.0);
    return all;
  }

  static double random(const tk_cuda_sampler& with) {
    const auto mix = [](uint64_t z) {
      z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
      z = (z ^ z >> 27) * 0x94d049bb133111ebu;
      return z ^ z >> 31;
    };
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    const uint64_t start = mix(static_cast<uint64_t>(with.seed));
    const uint64_t bits = mix(start + (static_cast<uint64_t>(with.index) + 1) * golden);
    return static_cast<double>(bits >> 11) * 0x1p-53;
  }

 private:
  void penalize(const tk_cuda_sampler& with, const std::vector<int32_t>& recent) {
    std::map<int32_t, int> times;
    for (int i = 0; i < with.recent; i++) times[recent[static_cast<size_t>(i)]]++;
    for (const auto& [token, count] : times) {
      double& logit = left_[static_cast<size_t>(token)].logit;
      logit = logit > 0 ? logit / with.repeat_penalty : logit * with.repeat_penalty;
      logit = logit - count * with.frequency_penalty - with.presence_penalty;
    }
  }

  void keep(std::vector<size_t> order, size_t count) {
    order.resize(count);
    std::sort(order.begin(), order.end());
    std::vector<Entry> kept;
    for (size_t index : order) kept.push_back(left_[index]);
    left_ = kept;
  }

  void keep_typical(double mass) {
    double total;
    const std::vector<double> weight = softmax(1, &total);
    double entropy = 0;
    std::vector<double> keys;
    for (size_t i = 0; i < weight.size(); i++) {
      if (weight[i] > 0) entropy -= weight[i] / total * (left_[i].logit - largest_ - log(total));
    }
    for (const Entry& entry : left_) {
      keys.push_back(-fabs(log(total) + largest_ - entry.logit - entropy));
    }
    const std::vector<size_t> order = ranked(keys);
    size_t count = 0;
    for (double sum = 0; count < order.size() && sum <= mass * total;) {
      sum += weight[order[count++]];
    }
    keep(order, count);
  }

  void keep_mass(double mass) {
    double total;
    const std::vector<double> weight = softmax(1, &total);
    const std::vector<size_t> order = ranked(logits());
    size_t count = 1;
    for (double sum = weight[order[0]]; count < order.size() && sum < mass * total;) {
      sum += weight[order[count++]];
    }
    keep(order, count);
  }

  void keep_likely(double fraction) {
    const double least = largest() + log(fraction);
    std::vector<Entry> kept;
    for (const Entry& entry : left_) {
      if (entry.logit >= least) kept.push_back(entry);
    }
    left_ = kept;
  }

  int draw(double temperature, double number) {
    double total;
    const std::vector<double> weight = softmax(temperature, &total);
    double rest = number * total;
    size_t chosen = 0;
    for (size_t i = 0; i < weight.size() && rest >= 0; i++) {
      if (weight[i] > 0) {
        chosen = i;
        rest -= weight[i];
      }
    }
    return left_[chosen].id;
  }

  std::vector<Entry> left_;
  double largest_ = 0;
};

// ---- the kernels --------------------------------------------------------------------------

struct Answer {
  std::vector<int32_t> tokens, top_tokens;
  std::vector<double> chosen, top_logprobs;

  bool operator==(const Answer& other) const {
    const auto same = [](const std::vector<double>& a, const std::vector<double>& b) {
      return a.size() == b.size() &&
             (a.empty() || memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
    };
    return tokens == other.tokens && top_tokens == other.top_tokens &&
           same(chosen, other.chosen) && same(top_logprobs, other.top_logprobs);
  }
};

/** All rows in one launch. */
Answer ask(const Cuda::Manner& manner, const std::vector<Row>& rows, int top) {
  Cuda machine(manner);
  const int m = static_cast<int>(rows.size());
  const auto vocab = static_cast<int64_t>(rows[0].logits.size());
  int64_t most_recent = 0;
  for (const Row& row : rows) {
    most_recent = std::max(most_recent, static_cast<int64_t>(row.recent.size()));
  }
  std::vector<float> logits;
  std::vector<int32_t> recent;
  std::vector<tk_cuda_sampler> samplers;
  for (const Row& row : rows) {
    logits.insert(logits.end(), row.logits.begin(), row.logits.end());
    recent.insert(recent.end(), row.recent.begin(), row.recent.end());
    recent.resize(samplers.size() * static_cast<size_t>(most_recent) +
                  static_cast<size_t>(most_recent));
    samplers.push_back(row.sampler);
  }
  Launches program(machine, m, m, 1, 1);
  const int64_t scratch_bytes = tk_cuda_sample_bytes(m + manner.spare, vocab);
  const Array<float> device_logits(machine, logits);
  const Array<int32_t> device_recent(machine, recent);
  const Array<tk_cuda_sampler> device_samplers(machine, samplers);
  const Array<uint8_t> scratch(machine, scratch_bytes);
  const Array<int32_t> tokens(machine, m), top_tokens(machine, m * top);
  const Array<double> chosen(machine, m), top_logprobs(machine, m * top);
  program.keep("sample", [&] {
    return tk_cuda_sample(program.handle(), device_logits.data(), vocab, device_samplers.data(),
                          device_recent.data(), most_recent, scratch.data(), tokens.data());
  });
  program.keep("logprobs", [&] {
    return tk_cuda_logprobs(program.handle(), device_logits.data(), vocab, tokens.data(), top,
                            scratch.data(), chosen.data(), top_tokens.data(), top_logprobs.data());
  });
  program.step(m, m);
  return {tokens.read(m), top_tokens.read(m * top), chosen.read(m), top_logprobs.read(m * top)};
}

std::string describe(const Row& row) {
  const tk_cuda_sampler& s = row.sampler;
  char text[320];
  snprintf(text, sizeof text,
           "vocab %zu temp %g top-k %d typical %g top-p %g min-p %g penalties %g %g %g of %d, "
           "seed %lld index %lld",
           row.logits.size(), s.temp, s.top_k, s.typical, s.top_p, s.min_p, s.repeat_penalty,
           s.presence_penalty, s.frequency_penalty, s.recent, static_cast<long long>(s.seed),
           static_cast<long long>(s.index));
  return text;
}

/** Adding up a vocabulary in order, as the oracle does, rounds at each of them. */
void compare_logprob(double found, double wanted, size_t vocab, const std::string& where) {
  const double bound = 1e-13 + 1e-16 * static_cast<double>(vocab);
  if (found == wanted || fabs(found - wanted) <= bound * (1 + fabs(wanted))) return;
  fail("%s: log probability %.17g, expected %.17g", where.c_str(), found, wanted);
}

/** One launch with all rows, and the same rows in another schedule and a larger step. */
void compare(const device::Schedule& schedule, const std::vector<Row>& rows, int top) {
  const Answer answer = ask({schedule}, rows, top);
  if (!(answer == ask({{}, 3, true}, rows, top))) {
    fail("vocab %zu: other bits by a graph for more rows", rows[0].logits.size());
  }
  for (size_t i = 0; i < rows.size(); i++) {
    const std::string where = "row " + std::to_string(i) + ", " + describe(rows[i]);
    const int wanted = Oracle(rows[i].logits).choose(rows[i]);
    const int token = answer.tokens[i];
    if (token != wanted) fail("%s: token %d, expected %d", where.c_str(), token, wanted);
    Oracle all(rows[i].logits);
    double total;
    all.softmax(1, &total);
    const std::vector<double> logits = all.logits();
    const auto logprob = [&](size_t id) { return logits[id] - all.largest() - log(total); };
    compare_logprob(answer.chosen[i], logprob(static_cast<size_t>(token)), logits.size(), where);
    const std::vector<size_t> order = Oracle::ranked(logits);
    for (size_t rank = 0; rank < static_cast<size_t>(top); rank++) {
      const size_t at = i * static_cast<size_t>(top) + rank;
      if (answer.top_tokens[at] != static_cast<int>(order[rank])) {
        fail("%s: at rank %zu token %d, expected %zu", where.c_str(), rank, answer.top_tokens[at],
             order[rank]);
      }
      compare_logprob(answer.top_logprobs[at], logprob(order[rank]), logits.size(), where);
    }
  }
}

// ---- rows ---------------------------------------------------------------------------------

std::vector<float> random_logits(int64_t vocab, int kind, Random& random) {
  std::vector<float> logits;
  for (int64_t i = 0; i < vocab; i++) {
    const double normal = 3 * random.normal();
    switch (kind) {
      case 0:  // as models give them
        logits.push_back(static_cast<float>(normal));
        break;
      case 1:  // many ties
        logits.push_back(static_cast<float>(round(normal)));
        break;
      case 2:  // nothing but ties, zeros of both signs
        logits.push_back(random.below(2) == 0 ? 0.0f : -0.0f);
        break;
      case 3:  // most are ruled out; one never is
        logits.push_back(i > 0 && random.below(4) > 0 ? -INFINITY : static_cast<float>(normal));
        break;
      default:  // one is nearly certain, others next to impossible
        logits.push_back(static_cast<float>(20 * normal));
    }
  }
  return logits;
}

/** Each option set or not, by chance. */
tk_cuda_sampler random_sampler(int64_t vocab, Random& random) {
  const auto chance = [&] { return random.below(2) == 0; };
  tk_cuda_sampler sampler = neutral(random.below(8) == 0 ? 0 : 0.3 + 2 * random.uniform());
  if (chance()) sampler.top_k = static_cast<int32_t>(1 + random.below(chance() ? 50 : 2 * vocab));
  if (chance()) sampler.typical = random.uniform();
  if (chance()) sampler.top_p = chance() ? random.uniform() : 1 - 1e-3 * random.uniform();
  if (chance()) sampler.min_p = 0.2 * random.uniform();
  sampler.seed = static_cast<int64_t>(random.bits());
  sampler.index = random.below(100000);
  return sampler;
}

void add_penalties(Row& row, Random& random) {
  const auto vocab = static_cast<int64_t>(row.logits.size());
  for (int64_t i = random.below(700); i >= 0; i--) {
    row.recent.push_back(static_cast<int32_t>(random.below(std::min<int64_t>(vocab, 90))));
  }
  row.sampler.recent = static_cast<int32_t>(random.below(static_cast<int64_t>(row.recent.size())));
  row.sampler.repeat_penalty = 0.7 + random.uniform();
  row.sampler.presence_penalty = random.uniform() - 0.5;
  row.sampler.frequency_penalty = 0.1 * random.uniform();
}

void chain(const device::Schedule& schedule, uint64_t seed, int64_t vocab, int count) {
  Random random(seed + static_cast<uint64_t>(vocab));
  std::vector<Row> rows;
  for (int i = 0; i < count; i++) {
    Row row{random_logits(vocab, i % 5, random), {}, random_sampler(vocab, random)};
    if (random.below(3) == 0) add_penalties(row, random);
    rows.push_back(row);
  }
  const int64_t top = vocab < 9 ? vocab : 20;
  compare(schedule, rows, static_cast<int>(top));
}

void chain_of_small(const device::Schedule& schedule, uint64_t seed) {
  chain(schedule, seed, 1, 5);
  chain(schedule, seed, 7, 30);
  chain(schedule, seed, 97, 30);
}

void chain_of_medium(const device::Schedule& schedule, uint64_t seed) {
  chain(schedule, seed, 5003, 20);
}

void chain_of_large(const device::Schedule& schedule, uint64_t seed) {
  chain(schedule, seed, 128256, 2);
}

/** The k-th place at every border of the selection: within the threads' maxima, beyond, all. */
void top_k(const device::Schedule& schedule, uint64_t seed) {
  Random random(seed);
  std::vector<Row> rows;
  for (const int k : {1, 2, 40, 511, 512, 513, 1500, 2499, 2500, 2501}) {
    for (const int kind : {0, 1}) {
      Row row{random_logits(2500, kind, random), {}, neutral(50)};
      row.sampler.top_k = k;
      row.sampler.seed = k;
      rows.push_back(row);
    }
  }
  compare(schedule, rows, 256);
}

/** Cuts by probability to the very token: tokens are numbered by their rank and those that stay are
 *  about equally likely, so that one more or less of them moves what is drawn. */
void cuts(const device::Schedule& schedule, uint64_t seed) {
  Random random(seed);
  std::vector<Row> rows;
  for (int i = 0; i < 15; i++) {
    Row row{{}, {}, neutral(1000)};
    for (int j = 0; j < 2500; j++) {
      row.logits.push_back(static_cast<float>(0.3 * random.normal()));
    }
    std::sort(row.logits.begin(), row.logits.end(), std::greater<>());
    const double fraction = random.uniform();
    if (i % 3 == 0) row.sampler.top_p = fraction;
    if (i % 3 == 1) row.sampler.typical = fraction;
    if (i % 3 == 2) row.sampler.min_p = fraction;
    row.sampler.seed = i;
    rows.push_back(row);
  }
  compare(schedule, rows, 0);
}

/** Drawn tokens have the frequencies of the softmax: chi-square over many indices of one seed. */
void law(const device::Schedule& schedule, uint64_t seed) {
  constexpr int draws = 300;
  const std::vector<float> logits = {0, 1, -1, 2, 0.5f, -INFINITY, 1.5f};
  std::vector<Row> rows;
  for (int i = 0; i < draws; i++) {
    rows.push_back({logits, {}, neutral(1.3)});
    rows.back().sampler.seed = static_cast<int64_t>(seed);
    rows.back().sampler.index = i;
  }
  std::vector<int> times(logits.size());
  for (const int32_t token : ask({schedule}, rows, 0).tokens) {
    if (token < 0 || token >= static_cast<int>(logits.size())) fail("token %d", token);
    times[static_cast<size_t>(token)]++;
  }
  double total = 0, chi_square = 0;
  for (const float logit : logits) total += exp(logit / 1.3);
  for (size_t i = 0; i < logits.size(); i++) {
    const double expected = draws * exp(logits[i] / 1.3) / total;
    if (expected == 0 && times[i] > 0) fail("a token that is ruled out came %d times", times[i]);
    if (expected > 0) chi_square += (times[i] - expected) * (times[i] - expected) / expected;
  }
  // 5 degrees of freedom: above 35.9 once in a million.
  if (chi_square > 35.9) fail("chi-square %g, expected at most 35.9", chi_square);
}

/** Logits that are no numbers, and samplers that are no settings: a token in range all the same. */
void nonsense(const device::Schedule& schedule, uint64_t seed) {
  Random random(seed);
  const double strange[] = {NAN, -1, INFINITY, 0, 1e300, 5e-324};
  std::vector<Row> rows;
  for (int i = 0; i < 24; i++) {
    Row row{random_logits(1300, 0, random), {}, neutral(1)};
    for (float& logit : row.logits) {
      if (i % 4 == 0) logit = -INFINITY;
      if (i % 4 == 1 && random.below(3) == 0) logit = NAN;
      if (i % 4 == 2 && random.below(3) == 0) logit = INFINITY;
    }
    for (double* field : {&row.sampler.temp, &row.sampler.top_p, &row.sampler.min_p,
                          &row.sampler.typical, &row.sampler.repeat_penalty}) {
      if (random.below(2) == 0) *field = strange[random.below(6)];
    }
    row.sampler.top_k = static_cast<int32_t>(random.below(100)) - 50;
    row.recent = {-1, 1300, 5, INT32_MIN, INT32_MAX};
    row.sampler.recent = i % 3 == 0 ? INT32_MAX : i % 3 == 1 ? -7 : 5;
    rows.push_back(row);
  }
  const Answer answer = ask({schedule}, rows, 30);
  for (const auto* tokens : {&answer.tokens, &answer.top_tokens}) {
    for (const int32_t token : *tokens) {
      if (token < 0 || token >= 1300) fail("token %d is not in range", token);
    }
  }
}

}  // namespace

const std::vector<Scenario> sample_scenarios = {
    {"sample: vocabularies of 1, 7, 97", chain_of_small},
    {"sample: a vocabulary of 5003", chain_of_medium},
    {"sample: a vocabulary of 128256", chain_of_large},
    {"sample: top-k", top_k},
    {"sample: cuts by probability", cuts},
    {"sample: the law of the draws", law},
    {"sample: logits and settings that make no sense", nonsense},
};

}  // namespace tokamak::tests
