// SPDX-License-Identifier: Apache-2.0

#include "emulator.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <new>
#include <utility>

#include "block.h"

namespace emu {

constinit thread_local Coordinates* current = nullptr;

namespace {

constexpr int most_block_threads = 1024;
constexpr int blocks_at_once = 4;
constexpr size_t race_detectors = 1024;
// Pauses in a row between which no thread ends, meets others or passes a barrier.
constexpr int64_t most_pauses = int64_t{1} << 20;

std::atomic<int> order{0}, copies{0}, streams{0};
std::atomic<uint64_t> seed{1};

thread_local Statistics taken{};  // of the launches since take_statistics

void add(const Statistics& more) {
  taken.launches += more.launches;
  taken.blocks += more.blocks;
  taken.switches += more.switches;
  taken.collectives += more.collectives;
  taken.products += more.products;
  taken.barriers += more.barriers;
  taken.matrix_phases += more.matrix_phases;
  taken.matrix_conflicts += more.matrix_conflicts;
  taken.shared_conflicts += more.shared_conflicts;
}

void thread_entry() {
  entered_fiber();
  Thread& thread = current_thread();
  acquire(&thread.run->begin);
  thread.run->launch.body(thread.run->launch.arguments.get());
  thread.end();
}

}  // namespace

void set(const Settings& settings) {
  order = static_cast<int>(settings.order);
  copies = static_cast<int>(settings.copies);
  streams = static_cast<int>(settings.streams);
  seed = settings.seed;
}

Settings settings() {
  return {static_cast<Order>(order.load()), static_cast<Copies>(copies.load()),
          static_cast<Streams>(streams.load()), seed.load()};
}

Statistics take_statistics() { return std::exchange(taken, Statistics{}); }

// ---- text ---------------------------------------------------------------------------------

std::string format(const char* pattern, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(buffer, sizeof buffer, pattern, arguments);
  va_end(arguments);
  return buffer;
}

const char* file_name(Where where) {
  const char* slash = std::strrchr(where.file, '/');
  return slash == nullptr ? where.file : slash + 1;
}

std::string text(Where where) { return format("%s:%d", file_name(where), where.line); }

std::string text(const uint3& index) { return format("(%u,%u,%u)", index.x, index.y, index.z); }

std::string Run::place(Where where, const Thread& thread) const {
  return text(where) + ": block " + text(thread.Coordinates::block) + ", thread " +
         text(thread.Coordinates::thread) + ": ";
}

// ---- scheduling ---------------------------------------------------------------------------

Queue::Queue(size_t capacity, Order order) : order_(order) {
  size_t size = 64;
  while (size < capacity) size *= 2;
  ring_.reset(new Thread*[size]);
  mask_ = size - 1;
  head_ = tail_ = size_t{1} << 62;  // push_last may go below
}

void Queue::push_last(Thread* thread) {
  if (order_ == Order::lifo) {
    ring_[--head_ & mask_] = thread;
  } else {
    push(thread);
  }
}

void Thread::wait(const char* operation, Where at) {
  waits = operation;
  where = at;
  Thread* next = run->queue.take(run->random);
  if (next != this) {
    run->statistics.switches++;
    current = next;
    switch_fiber(fiber, next == nullptr ? run->caller : next->fiber);
  }
  waits = nullptr;
}

void Thread::end() {
  if (first_flight != end_flight) {
    fail(run->launch.where, "ends with %u asynchronous copies that it never waited for",
         end_flight - first_flight);
  }
  for (int i = 0; i < warp->open; i++) {
    const Meeting& meeting = warp->meetings[i];
    if (meeting.mask & bit()) {
      fail(meeting.where, "ends while lane %d of its warp waits for it in %s",
           __builtin_ctz(meeting.arrived), meeting.operation);
    }
  }
  ended = true;
  warp->ended |= bit();
  run->pauses = 0;
  Barrier& barrier = block->barriers[0];
  block->alive--;
  if (barrier.expected == 0 && barrier.arrived > 0 && barrier.arrived == block->alive) {
    block->open(barrier);
  }
  Thread* next = block->alive == 0 ? nullptr : run->queue.take(run->random);
  run->statistics.switches++;
  current = next;
  leave_fiber(fiber, next == nullptr ? run->caller : next->fiber);
}

Run::Run(const Launch& launch_, const Settings& settings_, Stacks& stacks_)
    : launch(launch_),
      settings(settings_),
      stacks(stacks_),
      random(settings_.seed),
      total(uint64_t{launch_.blocks.x} * launch_.blocks.y * launch_.blocks.z),
      queue(size_t{blocks_at_once} * most_block_threads, settings_.order) {
  block_slots = settings.order != Order::random ? 1
                : total < blocks_at_once       ? static_cast<int>(total)
                                                : blocks_at_once;
  const int threads = static_cast<int>(launch.threads.x * launch.threads.y * launch.threads.z);
  blocks.reset(new Block[static_cast<size_t>(block_slots)]);
  for (int i = 0; i < block_slots; i++) {
    Block& block = blocks[static_cast<size_t>(i)];
    block.run = this;
    block.thread_count = threads;
    block.warp_count = (threads + warp_lanes - 1) / warp_lanes;
    block.threads.reset(new Thread[static_cast<size_t>(threads)]);
    block.flights.reset(new Flight[static_cast<size_t>(threads) * most_flights]);
    block.warps.reset(new Warp[static_cast<size_t>(block.warp_count)]);
  }
  if (settings.order == Order::random) {
    sequence.resize(total);
    for (uint32_t i = 0; i < total; i++) sequence[i] = i;
    for (uint64_t i = total; i > 1; i--) std::swap(sequence[i - 1], sequence[random.below(i)]);
  }
  // Threads of ThreadSanitizer are costly, and blocks that have the same do not seem to race.
  const auto slots = static_cast<size_t>(block_slots);
  stack_sets = thread_sanitizer()
                   ? std::max({slots, size_t{2}, race_detectors / static_cast<size_t>(threads)})
                   : slots;
  caller.adopt_current();
  release(&begin);
}

void Run::start(Block& block) {
  uint64_t number = started++;
  if (settings.order == Order::lifo) number = total - 1 - number;
  if (settings.order == Order::random) number = sequence[number];
  const uint3 index = {static_cast<unsigned>(number % launch.blocks.x),
                       static_cast<unsigned>(number / launch.blocks.x % launch.blocks.y),
                       static_cast<unsigned>(number / launch.blocks.x / launch.blocks.y)};
  const size_t count = static_cast<size_t>(block.thread_count);
  block.memory.start(launch.shared_bytes, 4096 + static_cast<size_t>(block.warp_count) * 512);
  const auto taken = [&](size_t set) {
    for (int i = 0; i < block_slots; i++) {
      const Block& other = blocks[static_cast<size_t>(i)];
      if (other.used && other.stacks == set) return true;
    }
    return false;
  };
  do {
    last_stacks = (last_stacks + 1) % stack_sets;
  } while (taken(last_stacks));
  block.stacks = last_stacks;
  block.used = true;
  block.alive = block.thread_count;
  for (Barrier& barrier : block.barriers) barrier = Barrier{};
  for (int w = 0; w < block.warp_count; w++) {
    Warp& warp = block.warps[static_cast<size_t>(w)];
    const int lanes = std::min(warp_lanes, block.thread_count - w * warp_lanes);
    warp.threads = &block.threads[static_cast<size_t>(w * warp_lanes)];
    warp.exists = lanes == warp_lanes ? ~0u : (1u << lanes) - 1;
    warp.ended = 0;
    warp.number = w;
    warp.open = 0;
    warp.at_barrier = 0;
    std::fill(std::begin(warp.generations), std::end(warp.generations), 0u);
  }
  for (size_t i = 0; i < count; i++) {
    Thread& thread = block.threads[i];
    const unsigned linear = static_cast<unsigned>(i);
    thread.Coordinates::thread = {linear % launch.threads.x,
                                  linear / launch.threads.x % launch.threads.y,
                                  linear / launch.threads.x / launch.threads.y};
    thread.Coordinates::block = index;
    thread.block_size = launch.threads;
    thread.grid_size = launch.blocks;
    thread.lane = static_cast<int>(i % warp_lanes);
    thread.run = this;
    thread.block = &block;
    thread.warp = &block.warps[i / warp_lanes];
    thread.ended = false;
    thread.waits = nullptr;
    thread.flights = &block.flights[i * most_flights];
    thread.first_flight = thread.end_flight = thread.groups = 0;
    thread.fenced = false;
    thread.last_atomic = nullptr;
    thread.fiber.prepare(stacks.at(block.stacks * count + i), thread_entry);
    if (thread_sanitizer()) {
      thread.fiber.name(("block " + text(index) + " thread " + text(thread.Coordinates::thread)).c_str());
    }
    queue.push(&thread);
  }
}

void Run::finish(Block& block) {
  block.used = false;
  statistics.blocks++;
  for (int w = 0; w < block.warp_count; w++) {
    // some lanes did not come to these lines
    for (const Access& access : block.warps[static_cast<size_t>(w)].accesses) {
      statistics.shared_conflicts += access.conflicts();
    }
    block.warps[static_cast<size_t>(w)].accesses.clear();
  }
  ptrdiff_t offset;
  size_t bytes;
  if (outcome.code == 0 && block.memory.damaged(&offset, &bytes)) {
    outcome = {launch_failure,
               text(launch.where) + ": block " + text(block.threads[0].Coordinates::block) +
                   format(": something was written at byte %td of a shared array of %zu bytes",
                          offset, bytes)};
  }
  block.memory.clear();
  for (int i = 0; i < block.thread_count; i++) {
    block.threads[static_cast<size_t>(i)].fiber.publish(&end);
  }
}

void Run::all() {
  const auto slots = static_cast<size_t>(block_slots);
  while (outcome.code == 0) {
    bool busy = false;
    for (size_t i = 0; i < slots; i++) {
      Block& block = blocks[i];
      if (block.used && block.alive == 0) finish(block);
      if (outcome.code != 0) break;
      if (!block.used && started < total) start(block);
      busy = busy || block.used;
    }
    if (!busy || outcome.code != 0) break;
    Thread* next = queue.take(random);
    if (next == nullptr) {
      outcome = {launch_timeout, deadlock()};
      break;
    }
    current = next;
    switch_fiber(caller, next->fiber);
  }
  current = nullptr;
  for (size_t i = 0; i < slots; i++) {
    if (blocks[i].used) finish(blocks[i]);
  }
  acquire(&end);
}

std::string Run::deadlock() const {
  std::string message = text(launch.where) + ": deadlock";
  for (int i = 0; i < block_slots; i++) {
    const Block& block = blocks[static_cast<size_t>(i)];
    if (!block.used) continue;
    // operation and line -> how many threads, and the first of them
    std::map<std::string, std::pair<int, const Thread*>> places;
    int ended = 0;
    for (int t = 0; t < block.thread_count; t++) {
      const Thread& thread = block.threads[static_cast<size_t>(t)];
      ended += thread.ended;
      if (thread.waits == nullptr) continue;
      auto& place = places[std::string(thread.waits) + " (" + text(thread.where) + ")"];
      if (place.first++ == 0) place.second = &thread;
    }
    message += format(": in block %s", text(block.threads[0].Coordinates::block).c_str());
    for (const auto& [where, threads] : places) {
      message += format(" %d threads wait in %s, first %s;", threads.first, where.c_str(),
                        text(threads.second->Coordinates::thread).c_str());
    }
    message += format(" %d of %d have ended", ended, block.thread_count);
    break;  // one block says enough
  }
  return message;
}

void Run::stop() {
  Thread& thread = current_thread();
  current = nullptr;
  leave_fiber(thread.fiber, caller);
}

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
    return refuse(format("a grid of %ux%ux%u blocks", launch.blocks.x, launch.blocks.y,
                         launch.blocks.z));
  }
  if (launch.shared_bytes > most_shared) {
    return refuse(format("%zu bytes of shared memory, there are %zu", launch.shared_bytes,
                         most_shared));
  }
  static thread_local Stacks stacks;
  try {
    Run run(launch, settings(), stacks);
    run.statistics.launches++;
    run.all();
    add(run.statistics);
    return std::move(run.outcome);
  } catch (const std::bad_alloc&) {
    current = nullptr;
    return {out_of_memory, text(launch.where) + ": no memory for the emulation"};
  }
}

// ---- barriers -----------------------------------------------------------------------------

void* Block::barrier_order(int id, unsigned generation) {
  return memory.order() + id * 16 + (generation & 1) * 8;
}

void* Block::warp_order(const Warp& warp, int lane, unsigned generation) {
  return memory.order() + 4096 + warp.number * 512 + lane * 16 + (generation & 1) * 8;
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
  void* ordering = barrier_order(id, barrier.generation);
  if (thread_sanitizer()) release(ordering);
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
  if (thread_sanitizer()) acquire(ordering);
}

void synchronize_block(Where where) {
  current_thread().block->arrive(0, 0, "__syncthreads", where);
}

void barrier(int id, int threads, Where where) {
  Block& block = *current_thread().block;
  if (id < 0 || id >= Block::barrier_count) fail(where, "barrier %d, there are 0 to 15", id);
  if (threads <= 0 || threads % warp_lanes != 0 || threads > block.thread_count) {
    fail(where, "a barrier for %d threads, want whole warps of the %d threads of the block", threads,
         block.thread_count);
  }
  block.arrive(id, threads, "barrier", where);
}

void Thread::give_way(const char* operation, Where at) {
  if (++run->pauses > most_pauses) {
    run->outcome = {launch_timeout, run->place(at, *this) + "livelock: " + operation +
                                        " is repeated, and no thread writes what it waits for"};
    run->stop();
  }
  run->queue.push_last(this);
  wait(operation, at);
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
  unsigned char* base = memory.add(site, bytes);
  if (memory.static_bytes() > most_static_shared || memory.bytes() > most_shared) {
    fail(me.run->launch.where, "%zu bytes of static and %zu of all shared memory, most are %zu and %zu",
         memory.static_bytes(), memory.bytes(), most_static_shared, most_shared);
  }
  return base;
}

// ---- asynchronous copies ------------------------------------------------------------------

bool start_copy(const Copy& copy, Where where) {
  Thread& me = current_thread();
  const auto to = reinterpret_cast<uintptr_t>(copy.to), from = reinterpret_cast<uintptr_t>(copy.from);
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
