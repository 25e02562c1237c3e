// SPDX-License-Identifier: Apache-2.0
//
// Bank conflicts of accesses that kernels declare. Shared memory has 32 banks of 4 bytes; a warp
// that accesses more than 128 bytes does so in two or four parts of its lanes, and each part takes
// as many cycles as one bank has different words to give.

#include "run.h"

namespace emu {

int Access::conflicts() const {
  const int lanes_at_once = 128 / std::max(bytes, 4);
  int extra = 0;
  for (int first = 0; first < warp_lanes; first += lanes_at_once) {
    uint32_t different[warp_lanes][warp_lanes];  // [bank][count]
    int count[warp_lanes] = {}, cycles = 1;
    for (int lane = first; lane < first + lanes_at_once; lane++) {
      if ((lanes >> lane & 1) == 0) continue;
      for (int w = 0; w < bytes / 4; w++) {
        const uint32_t word = words[lane] + static_cast<uint32_t>(w), bank = word % warp_lanes;
        bool again = false;
        for (int i = 0; i < count[bank]; i++) again = again || different[bank][i] == word;
        if (again) continue;
        different[bank][count[bank]++] = word;
        cycles = std::max(cycles, count[bank]);
      }
    }
    extra += cycles - 1;
  }
  return extra;
}

void count_conflicts(const void* address, int bytes, Where where) {
  if (thread_sanitizer()) return;  // it would see lanes race for the list
  Thread& me = current_thread();
  Warp& warp = *me.warp;
  if (!me.block->memory.holds(address, static_cast<size_t>(bytes))) {
    fail(where, "an access to shared memory that is not shared memory of the block");
  }
  size_t i = 0;
  while (i < warp.accesses.size() &&
         (warp.accesses[i].where.line != where.line || (warp.accesses[i].lanes & me.bit()) != 0)) {
    i++;
  }
  if (i == warp.accesses.size()) warp.accesses.push_back({where, bytes, 0, {}});
  Access& access = warp.accesses[i];
  access.lanes |= me.bit();
  access.words[me.lane] = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(address) / 4);
  if (access.lanes != warp.exists) return;
  me.run->statistics.shared_conflicts += access.conflicts();
  warp.accesses.erase(warp.accesses.begin() + static_cast<ptrdiff_t>(i));
}

}  // namespace emu
