// SPDX-License-Identifier: Apache-2.0

#include "run.h"

#include <map>

#include "text.h"

namespace emu {
namespace {

constexpr int blocks_at_once = 4;  // in random order
constexpr size_t race_detectors = 1024;
// Pauses in a row between which no thread ends, meets others or passes a barrier.
constexpr int64_t most_pauses = int64_t{1} << 20;

void thread_entry() {
  entered_fiber();
  Thread& thread = current_thread();
  acquire(&thread.run->begin);
  thread.run->launch.body(thread.run->launch.arguments.get());
  thread.end();
}

}  // namespace

// ---- threads ------------------------------------------------------------------------------

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

void Thread::give_way(const char* operation, Where at) {
  if (++run->pauses > most_pauses) {
    run->outcome = {launch_timeout, run->place(at, *this) + "livelock: " + operation +
                                        " is repeated, and no thread writes what it waits for"};
    run->stop();
  }
  run->queue.push_last(this);
  wait(operation, at);
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

// ---- blocks -------------------------------------------------------------------------------

Run::Run(const Launch& launch_, const Settings& settings_, Stacks& stacks_)
    : launch(launch_),
      settings(settings_),
      stacks(stacks_),
      random(settings_.seed),
      total(uint64_t{launch_.blocks.x} * launch_.blocks.y * launch_.blocks.z),
      queue(size_t{blocks_at_once} * most_block_threads, settings_.order) {
  block_slots = settings.order != Order::random ? 1
                : total < blocks_at_once        ? static_cast<int>(total)
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
  block.memory.start(launch.shared_bytes, block.order_bytes());
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
      const std::string name =
          "block " + text(index) + " thread " + text(thread.Coordinates::thread);
      thread.fiber.name(name.c_str());
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

std::string Run::place(Where where, const Thread& thread) const {
  return text(where) + ": block " + text(thread.Coordinates::block) + ", thread " +
         text(thread.Coordinates::thread) + ": ";
}

}  // namespace emu
