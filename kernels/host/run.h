// SPDX-License-Identifier: Apache-2.0
//
// A launch while it runs: its threads, warps and blocks, and the queue of threads that could go on.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "emulator.h"
#include "fiber.h"
#include "settings.h"
#include "shared_memory.h"

namespace emu {

constexpr int most_block_threads = 1024;
constexpr int warp_lanes = 32;

struct Block;
struct Run;
struct Warp;

/** An asynchronous copy on its way. */
struct Flight {
  Copy copy;
  unsigned group;
  bool landed;
};
constexpr unsigned most_flights = 128;  // of a thread

/** One CUDA thread. */
struct alignas(64) Thread : Coordinates {
  const char* waits = nullptr;  // the operation it waits in; null: it runs or could run
  Where where{};                // of that
  Run* run;
  Block* block;
  Warp* warp;
  Thread* next_waiting;  // at the same barrier
  Fiber fiber;           // up to its stack pointer, all that a switch touches: two cache lines
  bool ended = false;

  Flight* flights;  // [most_flights], a ring: asynchronous copies that it has not waited for
  unsigned first_flight = 0, end_flight = 0;  // grow for ever
  unsigned groups = 0;                        // committed

  bool fenced = false;  // atomics publish what was written before
  const void* last_atomic = nullptr;

  unsigned bit() const { return 1u << lane; }
  /** Lets others run until somebody puts this thread into the queue again. */
  void wait(const char* operation, Where at);
  /** Lets others run, and goes on. */
  void give_way(const char* operation, Where at);
  void end();
};

inline Thread& current_thread() { return *static_cast<Thread*>(current); }

/** Lanes that wait for each other in one collective. */
struct Meeting {
  unsigned mask, arrived;
  const char* operation;
  Where where;       // of the first that came
  void* order;       // address by which what lanes did before is ordered before what they do behind
};

/** Addresses that lanes have declared at one line; the warp accesses them at once. */
struct Access {
  Where where;
  int bytes;
  unsigned lanes;
  uint32_t words[warp_lanes];  // address / 4
  int conflicts() const;
};

struct Warp {
  Thread* threads;  // [warp_lanes]
  unsigned exists, ended = 0;
  int number;
  Meeting meetings[warp_lanes];
  int open = 0;  // meetings
  unsigned at_barrier = 0;
  Where barrier_where{};
  std::vector<Access> accesses;           // that not all lanes have declared yet
  unsigned generations[warp_lanes] = {};  // meetings, by the lowest lane of their mask

  // What the lanes bring to a collective and take from it: [register][lane].
  alignas(64) uint32_t registers[10][warp_lanes];
};

struct Barrier {
  int arrived = 0, expected = 0;
  Thread* waiting = nullptr;
  unsigned generation = 0;
};

struct Block {
  static constexpr int barrier_count = 16;

  Run* run;
  bool used = false;
  size_t stacks;  // the set that its threads have
  int alive = 0;  // threads that have not ended
  int thread_count, warp_count;
  std::unique_ptr<Thread[]> threads;
  std::unique_ptr<Flight[]> flights;  // [thread][most_flights]
  std::unique_ptr<Warp[]> warps;
  Barrier barriers[barrier_count];
  SharedMemory memory;

  /** Arrives and waits for the others. */
  void arrive(int id, int expected, const char* operation, Where where);
  void open(Barrier& barrier);
  // Addresses that order (fiber.h) the threads of a barrier or of a meeting. Two in turn: who comes
  // to the next one has nothing to do with who still leaves this one.
  void* barrier_order(int id, unsigned generation);
  void* warp_order(const Warp& warp, int lane, unsigned generation);
  size_t order_bytes() const;
};

/** splitmix64 (Steele et al. 2014). */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  /** 0 .. limit - 1; limit below 2^32. */
  uint64_t below(uint64_t limit) { return (bits() >> 32) * limit >> 32; }

 private:
  uint64_t state_;
};

/** The threads that could run. */
class Queue {
 public:
  Queue(size_t capacity, Order order);
  void push(Thread* thread) { ring_[tail_++ & mask_] = thread; }
  /** Behind all that are there, whatever the order. */
  void push_last(Thread* thread);
  /** Null if there is none. */
  Thread* take(Random& random) {
    if (head_ == tail_) return nullptr;
    if (order_ == Order::lifo) return ring_[--tail_ & mask_];
    if (order_ == Order::random) {
      std::swap(ring_[head_ & mask_], ring_[(head_ + random.below(tail_ - head_)) & mask_]);
    }
    return ring_[head_++ & mask_];
  }

 private:
  std::unique_ptr<Thread*[]> ring_;
  size_t mask_, head_, tail_;  // grow for ever; head_ == tail_: empty
  Order order_;
};

struct Run {
  Run(const Launch& launch, const Settings& settings, Stacks& stacks);

  const Launch& launch;
  const Settings settings;
  Stacks& stacks;
  Random random;
  Fiber caller;
  std::unique_ptr<Block[]> blocks;  // that are on the machine at once
  int block_slots;
  uint64_t started = 0, total;      // blocks
  std::vector<uint32_t> sequence;   // of blocks, where it is by the seed
  Queue queue;
  size_t stack_sets, last_stacks = 0;
  Outcome outcome;
  Statistics statistics{};
  int64_t pauses = 0;  // since anything happened
  // Their addresses order the caller before all threads, and those before the launch's end.
  char begin = 0, end = 0;

  /** Runs all blocks. */
  void all();
  void start(Block& block);
  void finish(Block& block);
  /** Of the present thread: its caller goes on, and nothing else does. Frames are left as they are:
   *  whoever calls this must have no object that has to be destroyed. */
  [[noreturn]] void stop();
  std::string deadlock() const;
  /** "norm.cu:80: block (2,0,0): thread (40,0,0): " */
  std::string place(Where where, const Thread& thread) const;
};

}  // namespace emu
