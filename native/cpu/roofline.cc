// SPDX-License-Identifier: Apache-2.0
//
// tk_cpu_roofline: what this machine can do at most, by this level and these threads. Each loop
// runs on all threads at once and is timed from a common start to the last thread's end; the best
// of some repetitions counts: other work on the machine can only make one worse.

#include <string.h>

#include <algorithm>
#include <chrono>

#include "../status.h"
#include "threads.h"

using namespace tokamak::cpu;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int repetitions = 9;
constexpr int64_t memory_bytes = int64_t{1} << 30;  // far above any cache
constexpr int64_t rounds = 2'000'000;

struct Measurement {
  tk_team* team;
  char* memory = nullptr;
  double (*arithmetic)(int64_t rounds) = nullptr;  // null: read the memory
  double work[repetitions] = {};                   // per thread: bytes or operations
  double seconds[repetitions] = {};
  std::atomic<int64_t> keep{0};  // what was read, so that reading is not optimized away

  void on(int thread) {
    const int64_t part = memory_bytes / team->threads / 4096 * 4096;
    for (int i = 0; i < repetitions; i++) {
      team->barrier();
      const auto start = Clock::now();
      double done = static_cast<double>(part);
      if (arithmetic != nullptr) {
        done = arithmetic(rounds);
      } else {
        keep += team->kernels->read_all(memory + part * thread, part);
      }
      team->barrier();
      if (thread != 0) continue;
      work[i] = done;
      seconds[i] = std::chrono::duration<double>(Clock::now() - start).count();
    }
  }

  /** Work per second of the whole team. */
  int run(double& out) {
    const int status = team->run(
        [](void* context, int thread) { static_cast<Measurement*>(context)->on(thread); }, this);
    if (status != TK_OK) return status;
    double rates[repetitions];
    for (int i = 0; i < repetitions; i++) rates[i] = work[i] * team->threads / seconds[i];
    out = *std::max_element(rates, rates + repetitions);
    return TK_OK;
  }
};

/** Touches all memory, each thread the part that it will read. */
int touch(Measurement& measurement) {
  return measurement.team->run(
      [](void* context, int thread) {
        const Measurement& m = *static_cast<Measurement*>(context);
        const int64_t part = memory_bytes / m.team->threads / 4096 * 4096;
        memset(m.memory + part * thread, 1, static_cast<size_t>(part));
      },
      &measurement);
}

}  // namespace

int tk_cpu_roofline(tk_team* team, double* out) {
  const char* const null = team == nullptr ? "team" : out == nullptr ? "out" : nullptr;
  if (null != nullptr) return tokamak::fail(TK_BAD_ARGUMENT, "tk_cpu_roofline: %s is null", null);
  std::fill(out, out + 4, 0.0);

  Measurement reading{team};
  reading.memory = static_cast<char*>(tk_memory_allocate(memory_bytes));
  if (reading.memory == nullptr) return TK_OUT_OF_MEMORY;
  int status = touch(reading);
  if (status == TK_OK) status = reading.run(out[0]);
  tk_memory_free(reading.memory, memory_bytes);

  double (*const arithmetic[])(int64_t) = {team->kernels->multiply_floats,
                                           team->kernels->multiply_bytes,
                                           team->kernels->multiply_bf16};
  for (int i = 0; i < 3 && status == TK_OK; i++) {
    if (arithmetic[i] == nullptr) continue;
    Measurement measurement{team};
    measurement.arithmetic = arithmetic[i];
    status = measurement.run(out[i + 1]);
  }
  return status;
}
