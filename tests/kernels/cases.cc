// SPDX-License-Identifier: Apache-2.0

#include "cases.h"

#include <string.h>

#include <algorithm>
#include <cfloat>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace tokamak::tests {
namespace {

struct Table {
  const char* op;
  Make make;
};
constexpr Table all_tables[] = {{"add", make_add},           {"attention", make_attention},
                            {"embed", make_embed},       {"gate", make_gate},
                            {"matmul", make_matmul},     {"norm", make_norm},
                            {"rope", make_rope},         {"select", make_select}};

/** Largest error over all values that are finite in exact arithmetic and in float32. */
double largest_error(const std::vector<double>& exact, const std::vector<float>& got,
                     double& largest) {
  double error = 0;
  largest = 0;
  for (size_t i = 0; i < exact.size(); i++) {
    if (!(std::fabs(exact[i]) <= FLT_MAX)) continue;
    largest = std::max(largest, std::fabs(exact[i]));
    const double difference = std::fabs(got[i] - exact[i]);
    if (!(difference <= error)) error = std::isnan(difference) ? INFINITY : difference;
  }
  return error;
}

void compare(const std::string& written, Products products, const Plain& plain,
             const std::vector<float>& got) {
  // The other bounds speak of activations that are rounded before they are multiplied.
  const std::string bound =
      products == Products::bf16_parts && written != "exact" ? "rounding" : written;
  const std::vector<double>& exact = plain.exact;
  if (got.size() != exact.size()) fail("%zu values, expected %zu", got.size(), exact.size());
  for (size_t i = 0; i < exact.size(); i++) {
    if (!(std::fabs(exact[i]) <= FLT_MAX) && std::isfinite(got[i])) {
      fail("value %zu is %g, expected %g", i, static_cast<double>(got[i]), exact[i]);
    }
    if (bound == "exact" && static_cast<double>(got[i]) != exact[i] && !std::isnan(exact[i])) {
      fail("value %zu is %.9g, expected exactly %.9g", i, static_cast<double>(got[i]), exact[i]);
    }
  }
  if (bound == "exact") return;
  if (bound == "rounding") {
    if (plain.rounding.size() != exact.size()) fail("bound=rounding: the operation has none");
    for (size_t i = 0; i < exact.size(); i++) {
      if (!(std::fabs(exact[i]) <= FLT_MAX)) continue;
      const double error = std::fabs(got[i] - exact[i]);
      if (!(error <= plain.rounding[i])) {
        fail("value %zu is %.9g, expected %.9g: error %.3g, rounding allows %.3g", i,
             static_cast<double>(got[i]), exact[i], error, plain.rounding[i]);
      }
    }
    return;
  }
  char* unit = nullptr;
  const double factor = std::strtod(bound.c_str(), &unit);
  if (strcmp(unit, "x") != 0) {
    fail("bound=%s is neither exact nor rounding nor a number with x", bound.c_str());
  }
  if (plain.single.size() != exact.size()) fail("bound=%s: no plain float32", bound.c_str());
  double largest;
  // Where plain float32 overflows on its way, or is right by luck, it sets no bound: two units in
  // the last place of the largest value do.
  double single = largest_error(exact, plain.single, largest);
  if (!std::isfinite(single)) single = 0;
  const double allowed = std::max(factor * single, 2 * FLT_EPSILON * largest + FLT_TRUE_MIN);
  const double error = largest_error(exact, got, largest);
  if (!(error <= allowed)) {
    fail("largest error %.3g, allowed %.3g (plain float32 %.3g, largest value %.3g)", error, allowed,
         single, largest);
  }
}

void run_case(const Case& c, const Problem& problem, const Variations& variations) {
  std::vector<float> first;
  for (const Variation& variation : variations(problem)) {
    const std::vector<float> got = problem.run(*variation.machine, static_cast<int>(variation.chunk));
    if (first.empty()) {
      const Products products = variation.machine->products();
      Plain plain;
      problem.plain(plain, products);
      compare(c.text("bound"), products, plain, got);
      first = got;
    } else {
      expect_same_bits(first, got, variation.how);
    }
  }
}

}  // namespace

void expect_same_bits(const std::vector<float>& one, const std::vector<float>& other,
                      const std::string& how) {
  if (one.size() != other.size()) fail("%zu values %s, not %zu", other.size(), how.c_str(), one.size());
  for (size_t i = 0; i < one.size(); i++) {
    if (memcmp(&one[i], &other[i], sizeof one[i]) != 0) {
      fail("value %zu is %.9g, but %.9g %s", i, static_cast<double>(one[i]),
           static_cast<double>(other[i]), how.c_str());
    }
  }
}

bool Options::parse(int argc, char** argv, const std::vector<std::string>& names) {
  seed = static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  bool good = true;
  for (int i = 1; i < argc; i++) {
    const std::string option = argv[i];
    const bool known = std::find(names.begin(), names.end(), option) != names.end();
    if (option[0] != '-' && cases.empty()) {
      cases = option;
    } else if (i + 1 == argc) {
      good = false;
    } else if (option == "--filter") {
      filter = argv[++i];
    } else if (option == "--seed") {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (option == "--most") {
      most = std::strtoll(argv[++i], nullptr, 10);
    } else if (known) {
      other[option] = argv[++i];
    } else {
      good = false;
    }
  }
  if (good && !cases.empty()) return true;
  std::fprintf(stderr, "usage: %s CASES [--filter TEXT] [--seed N] [--most N]", argv[0]);
  for (const std::string& name : names) std::fprintf(stderr, " [%s VALUE]", name.c_str());
  std::fprintf(stderr, "\n");
  return false;
}

void Runner::attempt(const std::string& title, const std::string& where, const std::string& again,
                     const std::function<void()>& test) {
  if (title.find(options_.filter) == std::string::npos) return;
  ran_++;
  try {
    test();
  } catch (const Failure& failure) {
    failed_++;
    std::printf("FAILED %s%s: %s\n  again: %s--filter \"%s\" --seed %" PRIu64 "\n",
                title.c_str(), where.c_str(), failure.message.c_str(), again.c_str(), title.c_str(),
                options_.seed);
  }
}

void Runner::tables(const std::string& where, const std::string& again,
                    const Variations& variations) {
  for (const Table& table : all_tables) {
    for (const Case& c : read_cases(options_.cases + "/ops/" + table.op + ".cases")) {
      if (c.title().find(options_.filter) == std::string::npos) continue;
      Random random(options_.seed ^ static_cast<uint64_t>(c.line) * 0x9e3779b97f4a7c15);
      const auto problem = table.make(c, random);
      if (problem->products > options_.most) continue;
      attempt(c.title(), where, again, [&] { run_case(c, *problem, variations); });
    }
  }
}

void Runner::training(const std::string& where, const std::string& again,
                      const std::function<void(const TrainingProblem&)>& run) {
  for (const TrainingTable& table : training_tables) {
    for (const Case& c : read_cases(options_.cases + "/train/" + table.file + ".cases")) {
      if (c.title().find(options_.filter) == std::string::npos) continue;
      Random random(options_.seed ^ static_cast<uint64_t>(c.line) * 0x9e3779b97f4a7c15);
      const auto problem = table.make(c, random);
      if (problem->products > options_.most) continue;
      attempt(c.title(), where, again, [&] { run(*problem); });
    }
  }
}

int Runner::finish() const {
  std::printf("%d tests, %d failed (seed %" PRIu64 ")\n", ran_, failed_, options_.seed);
  return ran_ == 0 || failed_ > 0;
}

}  // namespace tokamak::tests
