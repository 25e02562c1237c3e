// SPDX-License-Identifier: Apache-2.0
//
// What the emulator's user may choose, and what it counts.

#pragma once

#include <stdint.h>

namespace emu {

/** Which of the threads that could run runs next. */
enum class Order : int {
  fifo = 0,   // the one that waits longest: warps in lockstep
  lifo = 1,   // the last one: a warp runs as far as it can; blocks and threads from the last
  random = 2  // any, by the seed; up to four blocks at once
};

/** When an asynchronous copy lands. */
enum class Copies : int {
  late = 0,   // when it is waited for: finds a missing wait
  eager = 1,  // at once: finds a buffer that is still being read
  mixed = 2   // one or the other, by the seed
};

/** When the work of a stream runs. */
enum class Streams : int {
  at_once = 0,
  at_synchronize = 1  // finds a missing synchronize, a host buffer used again too early
};

struct Settings {
  Order order = Order::fifo;
  Copies copies = Copies::late;
  Streams streams = Streams::at_once;
  uint64_t seed = 1;
};

/** For all launches that begin from now on, of all OS threads. */
void set(const Settings& settings);
Settings settings();

/** Counted by all launches of the calling OS thread since it last took them. */
struct Statistics {
  int64_t launches, blocks;
  int64_t switches;          // from fiber to fiber
  int64_t collectives;       // of warps
  int64_t products;          // of these, mma
  int64_t barriers;          // of blocks
  int64_t matrix_phases;     // eight rows that ldmatrix reads at once
  int64_t matrix_conflicts;  // and the further cycles that bank conflicts cost them
  int64_t shared_conflicts;  // the same of accesses declared by ptx::count_conflicts
};
void count(const Statistics& launch);
Statistics take_statistics();

}  // namespace emu
