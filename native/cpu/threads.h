// SPDX-License-Identifier: Apache-2.0
//
// The thread team. The caller of run() is thread 0; the others live as long as the team and sleep
// between jobs.
//
// Waiting is hybrid: some microseconds of spinning (a step has a hundred barriers, and a sleeping
// thread takes tens of microseconds to wake), then offering the core to others, then a futex.
// Pure spinning would be faster on an idle machine and collapses on a busy one: where another
// process (or the JVM's compiler) takes a core, the thread that has work waits for the core that
// spins. Where a thread was seen to lose its core, waits are shorter still.
//
// Work inside a job is claimed in chunks from a shared counter, so a thread that loses its core
// delays its own chunk and nothing else. Which thread computes what is therefore not fixed, and
// no result may depend on it.

#pragma once

#include <pthread.h>
#include <stdint.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "kernels.h"
#include "tokamak/tokamak.h"

/** The team of the ABI: threads, and the kernels that they run. */
struct tk_team {
  const tokamak::cpu::Kernels* kernels = nullptr;
  int threads = 0;

  /** Called once on every thread of the team, with the thread's number. */
  using Job = void (*)(void* context, int thread);

  /** Runs a job on all threads and returns when all have finished. Further callers wait.
   *  Fails where this process is a fork of the one that made the team: its threads are gone. */
  int run(Job job, void* context);

  /** Inside a job: returns when all threads of the team have come here. What they wrote before is
   *  then visible to all. */
  void barrier();

  static tk_team* create(const tokamak::cpu::Kernels* kernels, int threads, const int32_t* cpus);
  ~tk_team();

 private:
  struct Worker;

  tk_team() = default;
  bool start(const int32_t* cpus);
  void work(int thread);
  int64_t meet();  // the barrier itself; nanoseconds waited

  std::mutex one_step;
  std::unique_ptr<Worker[]> workers;  // [threads]; entry 0, the caller, has no thread of its own
  int started = 0;                    // threads in `workers` that exist, entry 0 included
  int32_t process = 0;
  int32_t caller_cpu = -1;
  Job job = nullptr;
  void* context = nullptr;
  bool stopping = false;

  // Each on a cache line of its own: the first is polled while the second is written.
  alignas(64) std::atomic<uint32_t> phase{0};    // rises by one whenever all have arrived
  alignas(64) std::atomic<uint32_t> arrived{0};  // at the present phase
  std::atomic<uint32_t> sleepers{0};
  std::atomic<int64_t> crowded_until{0};  // time of the steady clock, ns: others take the cores
};

namespace tokamak::cpu {

/** Hands out the numbers 0 .. total-1 in chunks, each once. */
class alignas(64) Claims {
 public:
  void reset() { next_.store(0, std::memory_order_relaxed); }

  /** The first number of the next chunk; total or more when there is none left. */
  int64_t take(int64_t chunk) { return next_.fetch_add(chunk, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> next_{0};
};

}  // namespace tokamak::cpu
