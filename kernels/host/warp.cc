// SPDX-License-Identifier: Apache-2.0
//
// Collectives: the lanes of a warp bring values to its registers and wait; the last one that comes
// computes for all.

#include <cstring>

#include "block.h"

namespace emu {
namespace {

bool same(const char* a, const char* b) { return a == b || std::strcmp(a, b) == 0; }

/** The open meeting of these lanes, or a new one. */
Meeting& find(Thread& me, const char* operation, unsigned mask, bool aligned, Where where) {
  Warp& warp = *me.warp;
  for (int i = 0; i < warp.open; i++) {
    Meeting& meeting = warp.meetings[i];
    if (meeting.mask != mask) continue;
    if (!same(meeting.operation, operation) || (aligned && meeting.where.line != where.line)) {
      fail(where, "is in %s while other lanes of its warp wait in %s in %s", operation,
           meeting.operation, text(meeting.where).c_str());
    }
    return meeting;
  }
  if ((mask & me.bit()) == 0) fail(where, "%s: mask %08x is without the calling lane", operation, mask);
  if ((mask & ~warp.exists) != 0) {
    fail(where, "%s: mask %08x names lanes that the block of %d threads does not have", operation,
         mask, me.block->thread_count);
  }
  if ((mask & warp.ended) != 0) {
    fail(where, "%s: waits for lane %d of its warp, which has ended", operation,
         __builtin_ctz(mask & warp.ended));
  }
  Meeting& meeting = warp.meetings[warp.open++];
  meeting = {mask, 0, operation, where};
  return meeting;
}

/** Waits until all lanes of the mask are here; the last one does the work. Aligned: all have to
 *  come from the same line. */
template <class Work>
void meet(Thread& me, const char* operation, unsigned mask, bool aligned, Where where, Work work) {
  Warp& warp = *me.warp;
  Meeting& meeting = find(me, operation, mask, aligned, where);
  meeting.arrived |= me.bit();
  if (meeting.arrived != mask) {
    me.wait(operation, where);
    return;
  }
  meeting = warp.meetings[--warp.open];
  statistics.collectives++;
  Run& run = *me.run;
  run.pauses = 0;
  work(warp);
  for (unsigned others = mask & ~me.bit(); others != 0; others &= others - 1) {
    run.queue.push(&warp.threads[__builtin_ctz(others)]);
  }
  if (run.settings.order == Order::random) {
    run.queue.push(&me);
    me.wait(operation, where);
  }
}

typedef float Float8 __attribute__((vector_size(32)));

float low(uint32_t pair) { return __builtin_bit_cast(float, pair << 16); }
float high(uint32_t pair) { return __builtin_bit_cast(float, pair & 0xffff0000u); }

// Fragments: see ptx::mma_bf16. Products of bfloat16 are exact in float32; the sum goes over k in
// ascending order, one rounding a step. (The device's own order is not documented.)
void multiply(Warp& warp) {
  alignas(32) float a[16][16];  // [row][k]
  alignas(32) float b[16][8];   // [k][column]
  alignas(32) float c[16][8];   // [row][column]
  const auto& r = warp.registers;
  for (int lane = 0; lane < warp_lanes; lane++) {
    const int g = lane / 4, t = lane % 4 * 2;
    a[g][t] = low(r[0][lane]), a[g][t + 1] = high(r[0][lane]);
    a[g + 8][t] = low(r[1][lane]), a[g + 8][t + 1] = high(r[1][lane]);
    a[g][t + 8] = low(r[2][lane]), a[g][t + 9] = high(r[2][lane]);
    a[g + 8][t + 8] = low(r[3][lane]), a[g + 8][t + 9] = high(r[3][lane]);
    b[t][g] = low(r[4][lane]), b[t + 1][g] = high(r[4][lane]);
    b[t + 8][g] = low(r[5][lane]), b[t + 9][g] = high(r[5][lane]);
    for (int i = 0; i < 4; i++) {
      c[g + i / 2 * 8][t + i % 2] = __builtin_bit_cast(float, r[6 + i][lane]);
    }
  }
  Float8 columns[16];
  std::memcpy(columns, b, sizeof columns);
  for (int row = 0; row < 16; row++) {
    Float8 sum;
    std::memcpy(&sum, c[row], sizeof sum);
    for (int k = 0; k < 16; k++) sum += a[row][k] * columns[k];
    std::memcpy(c[row], &sum, sizeof sum);
  }
  for (int lane = 0; lane < warp_lanes; lane++) {
    const int g = lane / 4, t = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
      warp.registers[6 + i][lane] = __builtin_bit_cast(uint32_t, c[g + i / 2 * 8][t + i % 2]);
    }
  }
}

}  // namespace

void synchronize_warp(unsigned mask, Where where) {
  Thread& me = current_thread();
  void* order = nullptr;
  if (thread_sanitizer()) {
    const int lowest = mask == 0 ? 0 : __builtin_ctz(mask);
    order = me.block->warp_order(*me.warp, lowest, me.warp->generations[lowest]);
    release(order);
  }
  meet(me, "__syncwarp", mask, false, where,
       [=](Warp& warp) { warp.generations[__builtin_ctz(mask)]++; });
  if (order != nullptr) acquire(order);
}

uint32_t shuffle(const char* name, unsigned mask, uint32_t value, int source, Where where) {
  Thread& me = current_thread();
  auto& registers = me.warp->registers;
  registers[0][me.lane] = value;
  registers[1][me.lane] = static_cast<uint32_t>(source);
  meet(me, name, mask, false, where, [=](Warp& warp) {
    auto& r = warp.registers;
    for (unsigned lanes = mask; lanes != 0; lanes &= lanes - 1) {
      const int lane = __builtin_ctz(lanes);
      const unsigned from = r[1][lane];
      r[2][lane] = (mask >> from & 1) != 0 ? r[0][from] : ~0u;
    }
  });
  return registers[2][me.lane];
}

unsigned ballot(const char* name, unsigned mask, bool predicate, Where where) {
  Thread& me = current_thread();
  auto& registers = me.warp->registers;
  registers[0][me.lane] = predicate;
  meet(me, name, mask, false, where, [=](Warp& warp) {
    unsigned result = 0;
    for (unsigned lanes = mask; lanes != 0; lanes &= lanes - 1) {
      const int lane = __builtin_ctz(lanes);
      result |= warp.registers[0][lane] << lane;
    }
    for (unsigned lanes = mask; lanes != 0; lanes &= lanes - 1) {
      warp.registers[2][__builtin_ctz(lanes)] = result;
    }
  });
  return registers[2][me.lane];
}

void mma_bf16(float* c, const uint32_t* a, const uint32_t* b, Where where) {
  Thread& me = current_thread();
  auto& registers = me.warp->registers;
  for (int i = 0; i < 4; i++) registers[i][me.lane] = a[i];
  for (int i = 0; i < 2; i++) registers[4 + i][me.lane] = b[i];
  for (int i = 0; i < 4; i++) registers[6 + i][me.lane] = __builtin_bit_cast(uint32_t, c[i]);
  meet(me, "mma", ~0u, true, where, [](Warp& warp) {
    statistics.products++;
    multiply(warp);
  });
  for (int i = 0; i < 4; i++) c[i] = __builtin_bit_cast(float, registers[6 + i][me.lane]);
}

void load_matrix(uint32_t* out, int matrices, bool transposed, const uint32_t* row,
                 const void* address, Where where) {
  Thread& me = current_thread();
  auto& registers = me.warp->registers;
  const auto bits = reinterpret_cast<uintptr_t>(address);
  if (me.lane < 8 * matrices) {
    if (bits % 16 != 0) fail(where, "ldmatrix of a row whose address is no multiple of 16");
    if (!me.block->memory.holds(address, 16)) fail(where, "ldmatrix of a row that is not in shared memory");
  }
  for (int i = 0; i < 4; i++) registers[i][me.lane] = row[i];
  registers[8][me.lane] = static_cast<uint32_t>(bits >> 4);
  meet(me, matrices == 4 ? "ldmatrix.x4" : "ldmatrix.x2", ~0u, true, where, [=](Warp& warp) {
    const auto& r = warp.registers;
    uint32_t result[4][warp_lanes];
    for (int m = 0; m < matrices; m++) {
      uint16_t element[8][8];  // [row][column] of 8 rows of 16 bytes
      int in_group[8] = {}, cycles = 0;
      for (int i = 0; i < 8; i++) {
        const int lane = m * 8 + i;
        for (int w = 0; w < 4; w++) std::memcpy(&element[i][2 * w], &r[w][lane], 4);
        // 16 bytes are four of the 32 banks; equal addresses are read once
        bool again = false;
        for (int j = 0; j < i; j++) again = again || r[8][m * 8 + j] == r[8][lane];
        if (!again) cycles = std::max(cycles, ++in_group[r[8][lane] % 8]);
      }
      statistics.matrix_phases++;
      statistics.matrix_conflicts += cycles - 1;
      for (int lane = 0; lane < warp_lanes; lane++) {
        const int g = lane / 4, t = lane % 4 * 2;
        const uint32_t first = transposed ? element[t][g] : element[g][t];
        const uint32_t second = transposed ? element[t + 1][g] : element[g][t + 1];
        result[m][lane] = first | second << 16;
      }
    }
    std::memcpy(warp.registers, result, sizeof result[0] * static_cast<size_t>(matrices));
  });
  for (int i = 0; i < matrices; i++) out[i] = registers[i][me.lane];
}

}  // namespace emu
