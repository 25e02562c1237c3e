// SPDX-License-Identifier: Apache-2.0
//
// The training tape: planning and replay of a forward and a backward pass, and updates.
//
// A pass becomes phases, between which the threads meet at a barrier:
//
//   rows   neighbours that work row by row over the same rows, where each memory that one of them
//          writes and another uses has the same base and row length: a thread does all of them for
//          a row while it is in its cache. Threads claim blocks of norm_block rows.
//   jobs   neighbours of which none uses what another writes: products, attention, sums over rows.
//          Their jobs are one list.
//
// What products read as B is packed in the phase before theirs where that does not write it (weights
// and kept activations are final long before), else in a phase for itself. Packed matrices of
// neighbouring phases lie in two pieces of memory in turn.
//
// No sum depends on who claims what; see the headers of the kernels for their orders.

#pragma once

#include <atomic>
#include <deque>
#include <utility>
#include <variant>
#include <vector>

#include "../tape.h"
#include "../threads.h"
#include "operations.h"

namespace tokamak::cpu::train {

/** Adds the blocks of a norm's weight gradient, at the end of the backward pass. */
struct NormPartials {
  NormGradient gradient;
};

using Work = std::variant<Embed, EmbedGradient, Norm, NormGradient, NormPartials, Product,
                          BiasGradient, Rope, Attention, AttentionGradient, Gate, GateGradient, Add,
                          Scale, Select, SelectGradient, LogProbability, LogProbabilityGradient>;

struct Operation {
  Work work;
  int rows;    // tk_rows of what it goes over
  int number;  // in the order of appending
  /** Of a product: where B is packed, in bytes, and in which of the two pieces of memory. */
  int64_t packed_at = 0;
  int packed_in = 0;
};

/** A short name, for profiles. */
const char* name_of(const Operation& operation);

struct Phase {
  bool by_row;
  int rows;
  int first, last;         // of the pass's operations
  std::vector<int> packs;  // products of the next phase whose B is packed here
  double seconds = 0;      // of processor time of the caller, in all replays: for profiles
};

struct Pass {
  std::vector<Operation> operations;
  std::vector<Phase> phases;
};

/** A parameter as the optimizer sees it. */
struct Parameter {
  int role;
  int64_t rows, cols, offset;
};

/** The flat arrays of the optimizer. */
struct State {
  float* weights = nullptr;
  float* gradients = nullptr;
  float* first_moments = nullptr;
  float* second_moments = nullptr;
  int64_t count = 0;
};

/** The arguments of tk_train_update. */
struct Update {
  int optimizer;
  int64_t step;
  double learning_rate, weight_decay, clip, beta1, beta2, epsilon, momentum;
};

}  // namespace tokamak::cpu::train

struct tk_train {
  tk_team* team;
  int max_rows, max_outputs;
  tokamak::cpu::Arithmetic arithmetic;
  tokamak::cpu::train::Batch batch;
  bool in_backward = false;
  tokamak::cpu::train::Pass forward, backward;
  tokamak::cpu::train::State state;
  std::vector<tokamak::cpu::train::Parameter> parameters;
  int failed = -1;
  bool can_go_back = false;  // the last step was a forward pass, of batch.n rows and batch.m outputs

  /** Takes the memory for the batch's tables. */
  void prepare();

  /** Appends a checked operation to the pass at hand. */
  void append(tokamak::cpu::train::Work work, int rows);

  /** The pass for a batch that was checked; batch.n, batch.m and the tables are set. */
  int run_forward();
  int run_backward();

  int update(const tokamak::cpu::train::Update& update, double& norm);

  // Of the batch: see Batch, and the sequences, longest first, as [first, last) rows.
  std::vector<int32_t> first_outputs;
  std::vector<std::pair<int32_t, int32_t>> sequences;

 private:
  struct Run;
  struct Muon;

  void plan(tokamak::cpu::train::Pass& pass, bool alone);
  void place_packs(tokamak::cpu::train::Pass& pass, bool alone);
  void finish_plans();
  int replay(tokamak::cpu::train::Pass& pass, Run* search);
  int find_culprit(bool backward_too);
  void run_phase(const tokamak::cpu::train::Pass& pass, const tokamak::cpu::train::Phase& phase,
                 tokamak::cpu::Claims& claims, int thread);
  void run_row(const tokamak::cpu::train::Operation& operation, int64_t row) const;
  int64_t jobs_of(const tokamak::cpu::train::Operation& operation) const;
  void run_job(const tokamak::cpu::train::Operation& operation, int64_t job, int thread);
  tokamak::cpu::Gemm gemm_of(const tokamak::cpu::train::Operation& operation) const;
  int64_t rows_of(int rows) const { return rows == TK_ROWS_OUTPUTS ? batch.m : batch.n; }
  int64_t most_rows_of(int rows) const { return rows == TK_ROWS_OUTPUTS ? max_outputs : max_rows; }

  bool planned = false;
  int operations = 0;
  std::deque<tokamak::cpu::AlignedArray<float>> partials;  // of norms' weight gradients
  std::deque<tokamak::cpu::Claims> claims;                 // of the phases of a replay
  tokamak::cpu::AlignedArray<char> packed[2];
  int64_t packed_bytes[2] = {0, 0};
  std::vector<tokamak::cpu::AlignedArray<float>> scratch;  // of each thread
};
