// SPDX-License-Identifier: Apache-2.0
//
// tokamak_cuda_kernel_tests CASES [--filter TEXT] [--seed N] [--order NAME] [--copies NAME]
// tokamak_cuda_device_tests CASES [--filter TEXT] [--seed N]
//
// Runs the tables CASES/ops/*.cases, CASES/train/*.cases and the scenarios on the emulated device, or on the first device
// of this machine. tests/README.md says what is compared.

#include <algorithm>
#include <cstdio>

#include "../cases.h"
#include "scenarios.h"
#include "training.h"

namespace tokamak::tests {
namespace {

/** Multiplications beyond which a case is not run in each schedule. */
constexpr int64_t many_products = 100'000;

/** All rows in one step that was made for just as many; and other ways. */
std::vector<Variation> ways(const std::vector<device::Schedule>& schedules, const Problem& problem) {
  const int64_t rows = problem.rows;
  const device::Schedule& first = schedules.front();
  const size_t most = problem.products > many_products ? 3 : schedules.size();
  std::vector<Variation> ways;
  const auto add = [&](const Cuda::Manner& manner, int64_t chunk, const std::string& how) {
    ways.push_back({std::make_shared<Cuda>(manner), chunk, how});
  };
  for (size_t i = 0; i < std::min(most, schedules.size()); i++) {
    add({schedules[i]}, rows, "with " + schedules[i].name + " (after " + first.name + ")");
  }
  // for so many that matmul is not left to matvec
  add({first, 144}, rows, "in a step made for more rows");
  add({first}, 1, "row by row");
  add({first, 1, true}, std::min<int64_t>(rows, 7), "in steps of 7, by a graph");
  return ways;
}

/** Against plain loops in the first schedule, and the same bits in the next two. */
void run_training(const TrainingProblem& problem, const std::vector<device::Schedule>& schedules) {
  Floats first;
  for (size_t i = 0; i < std::min<size_t>(3, schedules.size()); i++) {
    CudaTraining training(schedules[i]);
    const Floats got = problem.run(training);
    if (i == 0) {
      expect_close(problem.expected(training.products()), got);
      first = got;
    } else {
      expect_same_bits(first, got, "with " + schedules[i].name);
    }
  }
}

int run(int argc, char** argv) {
  Options options;
  if (!options.parse(argc, argv, device::option_names())) return 2;
  Runner runner(options);
  const std::vector<device::Schedule> schedules =
      device::schedules(options.other["--order"], options.other["--copies"], options.seed);
  std::string again;
  for (const auto& [name, value] : options.other) {
    if (!value.empty()) again += name + " " + value + " ";
  }
  runner.tables("", again, [&](const Problem& problem) { return ways(schedules, problem); });
  runner.training("", again,
                  [&](const TrainingProblem& problem) { run_training(problem, schedules); });
  for (const auto* scenarios :
       {&model_scenarios, &sample_scenarios, &roofline_scenarios, &refusal_scenarios}) {
    for (const Scenario& scenario : *scenarios) {
      for (size_t i = 0; i < std::min<size_t>(3, schedules.size()); i++) {
        runner.attempt(scenario.name, " with " + schedules[i].name, again,
                       [&] { scenario.run(schedules[i], options.seed); });
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
