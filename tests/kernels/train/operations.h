// SPDX-License-Identifier: Apache-2.0
//
// Training tapes, for tests.

#pragma once

#include "../cases.h"
#include "../cpu/machine.h"
#include "tokamak/tokamak_train.h"

namespace tokamak::tests {

/** Room for a batch; all zero but for the log probabilities. */
struct TrainBatch {
  TrainBatch(int rows, int outputs);
  std::vector<int32_t> tokens, positions, starts, outputs, targets;
  std::vector<float> coefficients, log_probabilities;
};

/** A training tape for steps of at most the rows and outputs of a batch, which must outlive it. */
struct TrainTape {
  TrainTape(const Team& team, TrainBatch& batch, int arithmetic = TK_ARITHMETIC_F32);
  ~TrainTape() { tk_train_free(handle); }
  TrainTape(const TrainTape&) = delete;
  TrainTape& operator=(const TrainTape&) = delete;
  tk_train* const handle;
};

/** Runs the tables of cases/train-ops. */
void train_tables(Runner& runner, const Options& options, int level, const std::string& where,
                  const std::string& again);

extern const std::vector<Scenario> train_scenarios;

}  // namespace tokamak::tests
