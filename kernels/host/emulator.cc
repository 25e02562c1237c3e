// SPDX-License-Identifier: Apache-2.0

#include "emulator.h"

#include <cstdarg>
#include <cstdio>
#include <exception>
#include <new>

#include "run.h"
#include "text.h"

namespace emu {

constinit thread_local Coordinates* current = nullptr;

void fail(Where where, const char* pattern, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(buffer, sizeof buffer, pattern, arguments);
  va_end(arguments);
  Run& run = *current_thread().run;
  run.outcome = {launch_failure, run.place(where, current_thread()) + buffer};
  run.stop();
}

// ---- launches -----------------------------------------------------------------------------

Outcome run(const Launch& launch) {
  const auto refuse = [&](const std::string& what) {
    return Outcome{invalid_configuration, text(launch.where) + ": " + what};
  };
  if (current != nullptr) return refuse("a kernel cannot launch a kernel");
  const uint64_t threads = uint64_t{launch.threads.x} * launch.threads.y * launch.threads.z;
  if (threads == 0 || threads > most_block_threads || launch.threads.z > 64) {
    return refuse(format("blocks of %ux%ux%u threads, want 1 to 1024", launch.threads.x,
                         launch.threads.y, launch.threads.z));
  }
  if (launch.blocks.x == 0 || launch.blocks.y == 0 || launch.blocks.z == 0 ||
      launch.blocks.x > 0x7fffffffu || launch.blocks.y > 65535 || launch.blocks.z > 65535) {
    return refuse(
        format("a grid of %ux%ux%u blocks", launch.blocks.x, launch.blocks.y, launch.blocks.z));
  }
  if (launch.shared_bytes > most_shared) {
    return refuse(
        format("%zu bytes of shared memory, there are %zu", launch.shared_bytes, most_shared));
  }
  static thread_local Stacks stacks;  // kept for the next launch
  try {
    Run run(launch, settings(), stacks);
    run.statistics.launches++;
    run.all();
    count(run.statistics);
    return std::move(run.outcome);
  } catch (const std::exception&) {
    current = nullptr;
    return {out_of_memory, text(launch.where) + ": no memory for the emulation"};
  }
}

// ---- barriers -----------------------------------------------------------------------------

constexpr size_t order_stride = 8;  // ThreadSanitizer's grain
constexpr size_t barrier_orders = 2 * Block::barrier_count, warp_orders = 2 * warp_lanes;

void* Block::barrier_order(int id, unsigned generation) {
  if (!thread_sanitizer()) return nullptr;
  return memory.order() + order_stride * (2 * static_cast<size_t>(id) + generation % 2);
}

void* Block::warp_order(const Warp& warp, int lane, unsigned generation) {
  if (!thread_sanitizer()) return nullptr;
  const size_t first = barrier_orders + warp_orders * static_cast<size_t>(warp.number);
  return memory.order() + order_stride * (first + 2 * static_cast<size_t>(lane) + generation % 2);
}

size_t Block::order_bytes() const {
  return order_stride * (barrier_orders + warp_orders * static_cast<size_t>(warp_count));
}

void Block::open(Barrier& barrier) {
  run->pauses = 0;
  run->statistics.barriers++;
  Thread* first = barrier.waiting;
  barrier.waiting = nullptr;
  barrier.arrived = 0;
  barrier.expected = 0;
  barrier.generation++;
  // the list has the last one first
  Thread* in_order = nullptr;
  while (first != nullptr) {
    Thread* next = first->next_waiting;
    first->next_waiting = in_order;
    in_order = first;
    first = next;
  }
  for (; in_order != nullptr; in_order = in_order->next_waiting) {
    in_order->warp->at_barrier = 0;
    run->queue.push(in_order);
  }
}

void Block::arrive(int id, int expected, const char* operation, Where where) {
  Thread& me = current_thread();
  Barrier& barrier = barriers[id];
  Warp& warp = *me.warp;
  if (warp.at_barrier == 0) {
    warp.barrier_where = where;
  } else if (where.line != warp.barrier_where.line) {
    fail(where, "is in %s while other lanes of its warp wait at a barrier in %s:%d", operation,
         file_name(warp.barrier_where), warp.barrier_where.line);
  }
  if (barrier.arrived > 0 && barrier.expected != expected) {
    fail(where, "comes to barrier %d for %d threads, others wait there for %d (0: the whole block)",
         id, expected, barrier.expected);
  }
  void* const order = barrier_order(id, barrier.generation);
  release(order);
  barrier.expected = expected;
  if (++barrier.arrived == (expected == 0 ? alive : expected)) {
    open(barrier);
    warp.at_barrier = 0;
    if (run->settings.order == Order::random) {
      run->queue.push(&me);
      me.wait(operation, where);
    }
  } else {
    warp.at_barrier |= me.bit();
    me.next_waiting = barrier.waiting;
    barrier.waiting = &me;
    me.wait(operation, where);
  }
  acquire(order);
}

void synchronize_block(Where where) {
  current_thread().block->arrive(0, 0, "__syncthreads", where);
}

void barrier(int id, int threads, Where where) {
  Block& block = *current_thread().block;
  if (id < 0 || id >= Block::barrier_count) fail(where, "barrier %d, there are 0 to 15", id);
  if (threads <= 0 || threads % warp_lanes != 0 || threads > block.thread_count) {
    fail(where, "a barrier for %d threads, want whole warps of the %d threads of the block",
         threads, block.thread_count);
  }
  block.arrive(id, threads, "barrier", where);
}

void pause(Where where) { current_thread().give_way("__nanosleep", where); }

void fence() {
  Thread& me = current_thread();
  me.fenced = true;
  if (me.last_atomic != nullptr) acquire(const_cast<void*>(me.last_atomic));
}

void before_atomic(const void* address, Where where) {
  Thread& me = current_thread();
  if (me.fenced) release(const_cast<void*>(address));
  me.give_way("an atomic operation", where);
}

void after_atomic(const void* address) {
  Thread& me = current_thread();
  me.last_atomic = address;
}

// ---- shared memory ------------------------------------------------------------------------

unsigned char* dynamic_shared() { return current_thread().block->memory.dynamic(); }

void* static_shared(const void* site, size_t bytes) {
  Thread& me = current_thread();
  SharedMemory& memory = me.block->memory;
  if (unsigned char* base = memory.find(site)) return base;
  unsigned char* base = nullptr;
  try {
    base = memory.add(site, bytes);
  } catch (const std::bad_alloc&) {  // nothing may be thrown through a kernel
  }
  if (base == nullptr)
    fail(me.run->launch.where, "no memory for a shared array of %zu bytes", bytes);
  if (memory.static_bytes() > most_static_shared || memory.bytes() > most_shared) {
    fail(me.run->launch.where,
         "%zu bytes of static and %zu of all shared memory, most are %zu and %zu",
         memory.static_bytes(), memory.bytes(), most_static_shared, most_shared);
  }
  return base;
}

// ---- asynchronous copies ------------------------------------------------------------------

bool start_copy(const Copy& copy, Where where) {
  Thread& me = current_thread();
  const auto to = reinterpret_cast<uintptr_t>(copy.to);
  const auto from = reinterpret_cast<uintptr_t>(copy.from);
  const auto bytes = static_cast<uintptr_t>(copy.bytes);
  if (to % bytes != 0 || (copy.read > 0 && from % bytes != 0)) {
    fail(where, "an asynchronous copy of %d bytes from or to an address that is no multiple of it",
         copy.bytes);
  }
  if (!me.block->memory.holds(copy.to, bytes)) {
    fail(where, "an asynchronous copy to memory that is not shared memory of the block");
  }
  const Copies mode = me.run->settings.copies;
  const bool now = mode == Copies::eager || (mode == Copies::mixed && me.run->random.below(2) == 0);
  if (me.end_flight - me.first_flight == most_flights) {
    fail(where, "more than %u asynchronous copies of one thread at once", most_flights);
  }
  me.flights[me.end_flight++ % most_flights] = {copy, me.groups, now};
  return now;
}

void commit_copies() { current_thread().groups++; }

bool take_copy(int keep, Copy* copy) {
  Thread& me = current_thread();
  while (me.first_flight != me.end_flight) {
    const Flight& flight = me.flights[me.first_flight % most_flights];
    if (static_cast<int>(me.groups - flight.group) <= keep) return false;
    me.first_flight++;
    if (!flight.landed) {
      *copy = flight.copy;
      return true;
    }
  }
  return false;
}

}  // namespace emu
