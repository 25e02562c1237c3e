// SPDX-License-Identifier: Apache-2.0

#include "threads.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <chrono>
#include <new>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "../status.h"
#include "isa.h"

namespace {

using tokamak::fail;

// A step's phases take tens to hundreds of microseconds; a wake-up takes 10 to 50. Waiting longer
// than that awake costs more than it can save.
constexpr auto spin_time = std::chrono::microseconds(15);   // nobody else gets the core
constexpr auto yield_time = std::chrono::microseconds(50);  // whoever wants the core gets it

// Inside a job a wait of a millisecond means that a thread has lost its core to somebody else. Then
// time spent awake is taken from the thread's own share of that core, and yielding gives a whole
// slice away, while a thread that sleeps gets the core back when it is woken. For a while all waits
// are short ones: beside a busy loop on one of two cores a model of 135M parameters decoded 0.35 to
// 0.57 times as fast as alone, in the middle 0.51, and 0.37 to 0.44 times before, in 7 rounds of
// tests/perf/neighbour.sh in turn. Alone no loss was to be seen, in 10 % of noise.
constexpr auto late = std::chrono::milliseconds(1);
constexpr auto while_crowded = std::chrono::milliseconds(100);
constexpr auto crowded_spin_time = std::chrono::microseconds(5);
constexpr int most_threads = 1024;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#if defined(__linux__)
void sleep_while(std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr,
          nullptr, 0);
}
void wake_all(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr,
          nullptr, 0);
}
bool pin(pthread_t thread, int cpu) {
  if (cpu >= CPU_SETSIZE) return false;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np(thread, sizeof set, &set) == 0;
}
#else
void sleep_while(std::atomic<uint32_t>& word, uint32_t value) { word.wait(value); }
void wake_all(std::atomic<uint32_t>& word) { word.notify_all(); }
bool pin(pthread_t, int) { return false; }
#endif

using Clock = std::chrono::steady_clock;

/** Returns when `word` is no longer `value`, with the time that it took. */
Clock::duration wait_for_change(std::atomic<uint32_t>& word, uint32_t value,
                                std::atomic<uint32_t>& sleepers, bool crowded) {
  const auto start = Clock::now();
  for (;;) {
    for (int i = 0; i < 16; i++) {
      if (word.load(std::memory_order_acquire) != value) return Clock::now() - start;
      pause();
    }
    const auto waited = Clock::now() - start;
    if (waited > (crowded ? crowded_spin_time : yield_time)) break;
    if (waited > spin_time) sched_yield();
  }
  // Sequentially consistent, as the counterpart in arrive(): either the sleeper sees the new
  // phase, or the one who raises it sees the sleeper.
  sleepers.fetch_add(1);
  while (word.load() == value) sleep_while(word, value);
  sleepers.fetch_sub(1);
  return Clock::now() - start;
}

int64_t nanoseconds(Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

struct tk_team::Worker {
  tk_team* team = nullptr;
  int thread = 0;
  pthread_t handle{};
};

void tk_team::barrier() {
  const auto waited = meet();
  if (waited > nanoseconds(late)) {
    crowded_until.store(nanoseconds(Clock::now().time_since_epoch() + while_crowded),
                        std::memory_order_relaxed);
  }
}

int64_t tk_team::meet() {
  const uint32_t present = phase.load(std::memory_order_relaxed);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(threads)) {
    arrived.store(0, std::memory_order_relaxed);
    phase.fetch_add(1);
    if (sleepers.load() != 0) wake_all(phase);
    return 0;
  }
  const bool crowded = nanoseconds(Clock::now().time_since_epoch()) <
                       crowded_until.load(std::memory_order_relaxed);
  return nanoseconds(wait_for_change(phase, present, sleepers, crowded));
}

void tk_team::work(int thread) {
  for (;;) {
    meet();  // a job is there, or the end
    if (stopping) return;
    job(context, thread);
    barrier();  // all have finished it
  }
}

int tk_team::run(Job next_job, void* next_context) {
  if (getpid() != process) {
    return fail(TK_UNSUPPORTED, "team: made by process %d, used in its fork %d: make a new team",
                static_cast<int>(process), static_cast<int>(getpid()));
  }
  std::lock_guard<std::mutex> lock(one_step);
#if defined(__linux__)
  cpu_set_t own;
  const bool pinned = caller_cpu >= 0 &&
                      pthread_getaffinity_np(pthread_self(), sizeof own, &own) == 0 &&
                      pin(pthread_self(), caller_cpu);
#endif
  job = next_job;
  context = next_context;
  meet();
  job(context, 0);
  barrier();
#if defined(__linux__)
  if (pinned) pthread_setaffinity_np(pthread_self(), sizeof own, &own);
#endif
  return TK_OK;
}

bool tk_team::start(const int32_t* cpus) {
  process = getpid();
  workers.reset(new (std::nothrow) Worker[threads]);
  if (!workers) {
    fail(TK_OUT_OF_MEMORY, "team: no memory for %d threads", threads);
    return false;
  }
  // Signals belong to the program (the JVM), not to these threads; those that report a fault of
  // the thread itself stay as they are.
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  started = 1;
  for (int thread = 1; thread < threads; thread++) {
    Worker& worker = workers[thread];
    worker.team = this;
    worker.thread = thread;
    const int error = pthread_create(
        &worker.handle, nullptr,
        [](void* self) -> void* {
          auto* worker = static_cast<Worker*>(self);
          worker->team->work(worker->thread);
          return nullptr;
        },
        &worker);
    if (error != 0) break;
    started++;
#if defined(__linux__)
    char name[32];  // the system takes 15 characters: enough for most_threads
    snprintf(name, sizeof name, "tokamak-%d", thread);
    pthread_setname_np(worker.handle, name);
#endif
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started < threads) {
    fail(TK_OUT_OF_MEMORY, "team: the system gave %d of %d threads", started, threads);
    return false;
  }
  if (cpus == nullptr) return true;
  caller_cpu = cpus[0];
  for (int thread = 1; thread < threads; thread++) {
    if (!pin(workers[thread].handle, cpus[thread])) {
      fail(TK_BAD_ARGUMENT, "team: cannot pin thread %d to processor %d", thread,
           static_cast<int>(cpus[thread]));
      return false;
    }
  }
  return true;
}

tk_team* tk_team::create(const tokamak::cpu::Kernels* kernels, int threads, const int32_t* cpus) {
  auto* team = new (std::nothrow) tk_team;
  if (team == nullptr) {
    fail(TK_OUT_OF_MEMORY, "team: no memory");
    return nullptr;
  }
  team->kernels = kernels;
  team->threads = threads;
  if (team->start(cpus)) return team;
  delete team;
  return nullptr;
}

tk_team::~tk_team() {
  if (getpid() != process) return;  // in a fork there is nobody to wait for
  stopping = true;
  // Where only some threads could be started, the barrier is theirs.
  if (started > 1) {
    const uint32_t missing = static_cast<uint32_t>(threads - started);
    for (uint32_t i = 0; i < missing; i++) arrived.fetch_add(1, std::memory_order_acq_rel);
    meet();
  }
  for (int thread = 1; thread < started; thread++) pthread_join(workers[thread].handle, nullptr);
}

tk_team* tk_cpu_team_create(int level, int threads, const int32_t* cpus) {
  if (threads < 1 || threads > most_threads) {
    fail(TK_BAD_ARGUMENT, "tk_cpu_team_create: threads=%d, must be 1 to %d", threads, most_threads);
    return nullptr;
  }
  const tokamak::cpu::Kernels* kernels = tokamak::cpu::kernels_of(level);
  if (kernels == nullptr) return nullptr;
  for (int i = 0; cpus != nullptr && i < threads; i++) {
    if (cpus[i] < 0) {
      fail(TK_BAD_ARGUMENT, "tk_cpu_team_create: cpus[%d]=%d, must not be negative", i,
           static_cast<int>(cpus[i]));
      return nullptr;
    }
  }
  return tk_team::create(kernels, threads, cpus);
}

void tk_cpu_team_free(tk_team* team) { delete team; }
