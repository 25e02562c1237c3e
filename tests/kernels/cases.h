// SPDX-License-Identifier: Apache-2.0
//
// What the runners of all machines share: options, the tables of cases, and their report.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "machine.h"
#include "training.h"

namespace tokamak::tests {

/** CASES [--filter TEXT] [--seed N] [--most N], and the options that a machine adds. */
struct Options {
  /** names: what the machine adds. Prints the usage and returns false where it does not fit. */
  bool parse(int argc, char** argv, const std::vector<std::string>& names);

  std::string cases, filter;
  uint64_t seed;
  int64_t most = INT64_MAX;                  // multiplications of a case that is run
  std::map<std::string, std::string> other;  // only those that were given
};

/** One way to run the rows of a case. */
struct Variation {
  std::shared_ptr<Machine> machine;
  int64_t chunk;    // rows of a step
  std::string how;  // for the message: "row by row"
};

/** The ways to run a case of `rows` rows; what the first gives is compared with plain loops, all
 *  others with the first. */
using Variations = std::function<std::vector<Variation>(const Problem&)>;

/** Fails at the first value whose bits differ. how: "in a step of 7", for the message. */
void expect_same_bits(const std::vector<float>& one, const std::vector<float>& other,
                      const std::string& how);

class Runner {
 public:
  explicit Runner(const Options& options) : options_(options) {}

  /** Runs a test whose title the filter takes. where: " at level avx2", for the message; again: the
   *  options that repeat it, with a space behind. */
  void attempt(const std::string& title, const std::string& where, const std::string& again,
               const std::function<void()>& test);
  /** Runs all tables. */
  void tables(const std::string& where, const std::string& again, const Variations& variations);
  /** Runs the tables of training, each problem in the given way. */
  void training(const std::string& where, const std::string& again,
                const std::function<void(const TrainingProblem&)>& run);
  /** Prints the totals; the exit status. */
  int finish() const;

 private:
  const Options options_;
  int ran_ = 0, failed_ = 0;
};

}  // namespace tokamak::tests
