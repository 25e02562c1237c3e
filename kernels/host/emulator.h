// SPDX-License-Identifier: Apache-2.0
//
// What a kernel compiled for the host calls where the device has hardware: ptx.cuh and launch.cuh
// put CUDA's names on it. README.md says what is emulated and what is detected.
//
// Every thread of a block is a fiber. A thread runs until it has to wait for others: at a barrier,
// or at a collective of its warp. Where all have come, the last one does the work for all of them.
// Who runs next is chosen by the order in settings.h; a right kernel gives the same bits in every
// order.

#pragma once

#include <memory>
#include <string>

#include "cuda_types.h"

namespace emu {

/** A line of a kernel. As a default argument: the caller's. */
struct Where {
  const char* file;
  int line;
  static constexpr Where here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

// ---- the thread that runs -----------------------------------------------------------------

struct Coordinates {
  uint3 thread, block;
  dim3 block_size, grid_size;
  int lane;
};

/** Of the CUDA thread that runs on this OS thread. */
extern constinit thread_local Coordinates* current __attribute__((tls_model("initial-exec")));

/** Static shared memory of the present block: the same address whenever the block asks with the
 *  same `site`. */
void* static_shared(const void* site, size_t bytes);
unsigned char* dynamic_shared();

/** Ends the launch with an error at this thread. */
[[noreturn]] void fail(Where where, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- barriers -----------------------------------------------------------------------------

void synchronize_block(Where where);
/** Named barrier 0 .. 15, for `threads` threads. */
void barrier(int id, int threads, Where where);
/** Lets others run, in a loop that waits for what another thread writes. */
void pause(Where where);
/** Where a memory fence stands, and before and after an atomic operation: what they order. */
void fence();
void before_atomic(const void* address, Where where);
void after_atomic(const void* address);

// ---- collectives of a warp (warp.cc) ------------------------------------------------------
// The lanes in `mask` meet.

void synchronize_warp(unsigned mask, Where where);
/** The value that `source` gave; all ones if that lane is not in the mask. */
uint32_t shuffle(const char* name, unsigned mask, uint32_t value, int source, Where where);
/** The lanes for which `predicate` holds. */
unsigned ballot(const char* name, unsigned mask, bool predicate, Where where);
/** c += a * b: mma.sync.m16n8k16, see ptx::mma_bf16. */
void mma_bf16(float* c, const uint32_t* a, const uint32_t* b, Where where);
/** ldmatrix: see ptx::load_matrix_x4. `row` is what the calling lane read at `address`. */
void load_matrix(uint32_t* out, int matrices, bool transposed, const uint32_t* row,
                 const void* address, Where where);

/** See ptx::count_conflicts. */
void count_conflicts(const void* address, int bytes, Where where);

// ---- asynchronous copies ------------------------------------------------------------------

/** `read` of the `bytes` bytes come from `from`, the rest are zeros. */
struct Copy {
  void* to;
  const void* from;
  int bytes, read;
};
/** Starts a copy. True: the caller is to do it now; false: when take_copy gives it out. */
bool start_copy(const Copy& copy, Where where);
void commit_copies();
/** Gives out a copy of those groups that are older than the last `keep`; false: there is none. */
bool take_copy(int keep, Copy* copy);

// ---- launches -----------------------------------------------------------------------------

struct Launch {
  Where where;
  dim3 blocks, threads;
  size_t shared_bytes;
  void (*body)(const void* arguments);  // what each thread does
  std::shared_ptr<const void> arguments;
  const void* kernel = nullptr;  // its address, for launches.cc
};

/** CUDA's error codes, for what a launch can run into; 0: it ran. */
struct Outcome {
  int code = 0;
  std::string message;
};

constexpr int invalid_configuration = 9, launch_timeout = 702, misaligned_address = 716,
              launch_failure = 719, out_of_memory = 2;

/** Runs the launch on this OS thread. */
Outcome run(const Launch& launch);
/** Where the environment names a file, TOKAMAK_EMULATED_LAUNCHES, adds a line for each new way to
 *  launch a kernel: its address in the program, threads of a block, bytes of dynamic memory. */
void note(const Launch& launch);
/** Sends it to a stream (a handle of emulated_driver.h): runs it, or records it. */
Outcome submit(void* stream, Launch launch);

}  // namespace emu
