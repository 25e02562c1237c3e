// SPDX-License-Identifier: Apache-2.0
//
// The tape: a recorded forward pass, and how the team replays it.
//
// Appending checks the arguments and plans: operations are grouped into phases, and between
// phases the threads meet at a barrier. The table of what may share a phase:
//
//   Rows       neighbours that work row by row (embed, norm, rope, store, gate, add, select, and
//              quantizing the rows of x for the matmul that follows) over the same rows, where
//              each memory that two of them share has the same base and row length: then row i of
//              one needs nothing but row i of those before it, and a thread does all of them for
//              a row while it is in its cache
//   Matmul     neighbours that read the same x (quantized once) and write apart (q, k, v;
//              gate, up): one list of row groups
//   Attention  alone. A job is a key-value head and a block of rows; where these are too few for
//              the threads, as in decoding, a row's positions are cut into chunks, and who is done
//              with a row's last merges them
//
// A llama layer of 16 operations is 10 phases:
//   norm quantize | q k v | rope rope store | attention | quantize | o | add norm quantize |
//   gate up | gate quantize | down | add ...
//
// (the last add opens the next layer's first phase). Fusing changes no result: each operation
// reads and writes what it would alone.

#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include "kernels.h"
#include "threads.h"

namespace tokamak::cpu {

enum class Kind { embed, norm, matmul, rope, store, attention, gate, add, select };

struct Operation {
  Kind kind;
  int rows;  // tk_rows
  union {
    Embed embed;
    Norm norm;
    Matmul matmul;
    Rope rope;
    Store store;
    Attention attention;
    Gate gate;
    Add add;
    Select select;
  };
};

/** Frees what aligned_array made. */
struct FreeAligned {
  void operator()(void* memory) const { operator delete[](memory, std::align_val_t{64}); }
};

/** Scratch that starts on a cache line. */
template <typename T>
using AlignedArray = std::unique_ptr<T[], FreeAligned>;

template <typename T>
AlignedArray<T> aligned_array(int64_t count) {
  return AlignedArray<T>(new (std::align_val_t{64}) T[static_cast<size_t>(count)]);
}

/** Operations first .. last-1 of the tape, which need no barrier between them. */
struct Phase {
  enum Kind { row_by_row, matmul, attention };
  Kind kind;
  int rows;  // tk_rows
  int first, last;
  int quantize;  // row_by_row: the matmul whose x is quantized after them; -1: none
};

}  // namespace tokamak::cpu

struct tk_tape {
  tk_team* team;
  int max_rows, max_outputs;
  tokamak::cpu::Batch batch;
  tokamak::cpu::Cache cache{};  // memory null: none named yet
  const int32_t* stop = nullptr;  // tk_cpu_watch; null: none named
  std::vector<tokamak::cpu::Operation> operations;
  int failed = -1;

  /** Appends a checked operation and extends the plan. Memory the steps need is taken here. */
  void append(const tokamak::cpu::Operation& operation);

  /** Replays the plan. The batch has been checked. */
  int step(int n, int m);

 private:
  struct Run;

  void extend_plan(std::vector<tokamak::cpu::Phase>& plan, int number);
  bool joins(const tokamak::cpu::Phase& phase, int number) const;
  void run_phase(const tokamak::cpu::Phase& phase, tokamak::cpu::Claims& claims, Run& run,
                 int thread);
  void run_attention(const tokamak::cpu::Attention& attention, int64_t rows,
                     tokamak::cpu::Claims& claim, Run& run, int thread);
  void run_row(const tokamak::cpu::Operation& operation, int64_t row) const;
  int replay(Run& run);

  std::vector<tokamak::cpu::Phase> phases;       // as planned
  std::vector<tokamak::cpu::Phase> alone;        // each operation by itself, for finding a culprit
  std::deque<tokamak::cpu::Claims> claims;       // for each phase and scan of a replay
  tokamak::cpu::AlignedArray<char> activations;  // quantized rows of x
  int64_t activations_size = 0;
  std::vector<tokamak::cpu::AlignedArray<float>> scratch;  // of attention, one per thread
  int64_t scratch_size = 0;
  tokamak::cpu::AlignedArray<float> parts;  // of attention in chunks: [row, kv head][chunk]
  int64_t parts_size = 0;
  std::deque<std::atomic<int64_t>> parts_done;  // [row, kv head]; between phases 0
};
