// SPDX-License-Identifier: Apache-2.0
//
// tokamak_kernel_tests CASES [--filter TEXT] [--level NAME] [--seed N]
//
// Runs the tables CASES/ops/*.cases and CASES/train/*.cases, and the scenarios at every level that this machine can run.
// tests/README.md says what is compared.

#include <algorithm>
#include <cstdio>

#include "../cases.h"
#include "machine.h"
#include "training.h"

namespace tokamak::tests {
namespace {

/** Against plain loops with 2 threads, and the same bits with 1 and 3. Large products are there for
 *  kernels that the CPU has not; those of its own are in train/gemm.cc. */
void run_training(const TrainingProblem& problem, int level) {
  if (problem.products > 4'000'000) return;
  CpuTraining two(level, 2), one(level, 1), three(level, 3);
  const Floats first = problem.run(two);
  expect_close(problem.expected(two.products()), first);
  expect_same_bits(first, problem.run(one), "with 1 thread");
  expect_same_bits(first, problem.run(three), "with 3 threads");
}

int run(int argc, char** argv) {
  Options options;
  if (!options.parse(argc, argv, {"--level"})) return 2;
  Runner runner(options);
  for (int level = 0; level <= tk_cpu_level(); level++) {
    const std::string name = tk_cpu_level_name(level);
    const auto only = options.other.find("--level");
    if (only != options.other.end() && only->second != name) continue;
    const std::string where = " at level " + name, again = "--level " + name + " ";
    const auto one = std::make_shared<Cpu>(level, 1), two = std::make_shared<Cpu>(level, 2),
               three = std::make_shared<Cpu>(level, 3);
    runner.tables(where, again, [&](const Problem& problem) {
      const int64_t rows = problem.rows;
      return std::vector<Variation>{{two, rows, ""},
                                    {one, rows, "with 1 thread"},
                                    {three, rows, "with 3 threads"},
                                    {two, 1, "row by row"},
                                    {one, std::min<int64_t>(rows, 7), "in steps of 7"}};
    });
    runner.training(where, again, [&](const TrainingProblem& problem) { run_training(problem, level); });
    for (const auto* scenarios : {&team_scenarios, &tape_scenarios, &pack_scenarios, &gemm_scenarios, &train_scenarios}) {
      for (const Scenario& scenario : *scenarios) {
        runner.attempt(scenario.name, where, again, [&] { scenario.run(level, options.seed); });
      }
    }
  }
  return runner.finish();
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
