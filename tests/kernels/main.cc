// SPDX-License-Identifier: Apache-2.0
//
// tokamak_kernel_tests CASES [--filter TEXT] [--level NAME] [--seed N]
//
// Runs the tables CASES/ops/*.cases and the scenarios at every level that this machine can run.
// tests/README.md says what is compared.

#include <string.h>

#include <cfloat>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "harness.h"

namespace tokamak::tests {
namespace {

struct Table {
  const char* op;
  Make make;
};
constexpr Table tables[] = {{"add", make_add},           {"attention", make_attention},
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

void compare(const std::string& bound, const Plain& plain, const std::vector<float>& got) {
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

void same_bits(const std::vector<float>& one, const std::vector<float>& other, const char* how) {
  for (size_t i = 0; i < one.size(); i++) {
    if (memcmp(&one[i], &other[i], sizeof one[i]) != 0) {
      fail("value %zu is %.9g, but %.9g %s", i, static_cast<double>(one[i]),
           static_cast<double>(other[i]), how);
    }
  }
}

void run_case(const Case& c, Make make, int level, uint64_t seed) {
  Random random(seed ^ static_cast<uint64_t>(c.line) * 0x9e3779b97f4a7c15);
  const auto problem = make(c, random);
  Plain plain;
  problem->plain(plain);
  const int rows = static_cast<int>(problem->rows);
  const Team one(level, 1), two(level, 2), three(level, 3);
  const std::vector<float> whole = problem->run(two, rows);
  compare(c.text("bound"), plain, whole);
  same_bits(whole, problem->run(one, rows), "with 1 thread");
  same_bits(whole, problem->run(three, rows), "with 3 threads");
  same_bits(whole, problem->run(two, 1), "row by row");
  same_bits(whole, problem->run(one, std::min(rows, 7)), "in steps of 7");
}

int run(int argc, char** argv) {
  const char* cases = nullptr;
  std::string filter, level_name;
  uint64_t seed = std::random_device{}();
  for (int i = 1; i < argc; i++) {
    const std::string option = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--filter") {
      filter = value, i++;
    } else if (option == "--level") {
      level_name = value, i++;
    } else if (option == "--seed") {
      seed = std::strtoull(value, nullptr, 10), i++;
    } else if (option[0] != '-' && cases == nullptr) {
      cases = argv[i];
    } else {
      cases = nullptr;
      break;
    }
  }
  if (cases == nullptr) {
    std::fprintf(stderr, "usage: tokamak_kernel_tests CASES [--filter TEXT] [--level NAME] "
                         "[--seed N]\n");
    return 2;
  }
  int ran = 0, failed = 0;
  const auto attempt = [&](const std::string& title, int level, const auto& test) {
    if (title.find(filter) == std::string::npos) return;
    ran++;
    try {
      test();
    } catch (const Failure& failure) {
      failed++;
      std::printf("FAILED %s at level %s: %s\n  again: --level %s --filter \"%s\" --seed %" PRIu64
                  "\n",
                  title.c_str(), tk_cpu_level_name(level), failure.message.c_str(),
                  tk_cpu_level_name(level), title.c_str(), seed);
    }
  };
  for (int level = 0; level <= tk_cpu_level(); level++) {
    if (!level_name.empty() && level_name != tk_cpu_level_name(level)) continue;
    for (const Table& table : tables) {
      for (const Case& c : read_cases(std::string(cases) + "/ops/" + table.op + ".cases")) {
        attempt(c.title(), level, [&] { run_case(c, table.make, level, seed); });
      }
    }
    for (const auto* scenarios : {&team_scenarios, &tape_scenarios}) {
      for (const Scenario& scenario : *scenarios) {
        attempt(scenario.name, level, [&] { scenario.run(level, seed); });
      }
    }
  }
  std::printf("%d tests, %d failed (seed %" PRIu64 ")\n", ran, failed, seed);
  return ran == 0 || failed > 0;
}

}  // namespace
}  // namespace tokamak::tests

int main(int argc, char** argv) {
  try {
    return tokamak::tests::run(argc, argv);
  } catch (const tokamak::tests::Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.message.c_str());
    return 1;
  }
}
