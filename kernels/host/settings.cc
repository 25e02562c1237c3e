// SPDX-License-Identifier: Apache-2.0

#include "settings.h"

#include <atomic>
#include <utility>

namespace emu {
namespace {

std::atomic<int> order{0}, copies{0}, streams{0};
std::atomic<uint64_t> seed{1};

thread_local Statistics counted{};  // since take_statistics

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

void count(const Statistics& launch) {
  counted.launches += launch.launches;
  counted.blocks += launch.blocks;
  counted.switches += launch.switches;
  counted.collectives += launch.collectives;
  counted.products += launch.products;
  counted.barriers += launch.barriers;
  counted.matrix_phases += launch.matrix_phases;
  counted.matrix_conflicts += launch.matrix_conflicts;
  counted.shared_conflicts += launch.shared_conflicts;
}

Statistics take_statistics() { return std::exchange(counted, Statistics{}); }

}  // namespace emu
