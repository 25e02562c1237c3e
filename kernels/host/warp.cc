// SPDX-License-Identifier: Apache-2.0
//
// Collectives: the lanes of a warp bring values to its registers and wait; the last one that comes
// computes for all.

#include <cstring>

#include "run.h"
#include "text.h"

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
      fail(where, "is in %s while other lanes of its warp wait in %s in %s:%d", operation,
           meeting.operation, file_name(meeting.where), meeting.where.line);
    }
    return meeting;
  }
  if ((mask & me.bit()) == 0) {
    fail(where, "%s: mask %08x is without the calling lane", operation, mask);
  }
  if ((mask & ~warp.exists) != 0) {
    fail(where, "%s: mask %08x names lanes that the block of %d threads does not have", operation,
         mask, me.block->thread_count);
  }
  if ((mask & warp.ended) != 0) {
    fail(where, "%s: waits for lane %d of its warp, which has ended", operation,
         __builtin_ctz(mask & warp.ended));
  }
  const int lowest = __builtin_ctz(mask);
  void* const order = me.block->warp_order(warp, lowest, warp.generations[lowest]++);
  Meeting& meeting = warp.meetings[warp.open++];
  meeting = {mask, 0, operation, where, order};
  return meeting;
}

struct Rules {
  bool aligned;         // all lanes have to come from one line
  bool orders = false;  // what a lane wrote before is visible to the others behind
};

/** Waits until all lanes of the mask are here; the last one does the work. */
template <class Work>
void meet(Thread& me, const char* operation, unsigned mask, Rules rules, Where where, Work work) {
  Warp& warp = *me.warp;
  Meeting& meeting = find(me, operation, mask, rules.aligned, where);
  void* const order = rules.orders ? meeting.order : nullptr;
  if (order != nullptr) release(order);
  meeting.arrived |= me.bit();
  if (meeting.arrived != mask) {
    me.wait(operation, where);
  } else {
    meeting = warp.meetings[--warp.open];
    Run& run = *me.run;
    run.statistics.collectives++;
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
  if (order != nullptr) acquire(order);
}

typedef float Float4 __attribute__((vector_size(16)));

float low(uint32_t pair) { return __builtin_bit_cast(float, pair << 16); }
float high(uint32_t pair) { return __builtin_bit_cast(float, pair & 0xffff0000u); }

// Fragments: see ptx::mma_bf16. Products of bfloat16 are exact in float32; the sum goes over k in
// ascending order, one rounding a step. (The device's own order is not documented.)
//
// Register c[0] of lanes 4 g .. 4 g + 3 is the even columns of row g, c[1] the odd ones: the sums
// stay where they are, and B is laid out to fit.
void multiply(Warp& warp) {
  auto& r = warp.registers;
  float low_a[4][warp_lanes], high_a[4][warp_lanes];
  for (int i = 0; i < 4; i++) {
    for (int lane = 0; lane < warp_lanes; lane++) {
      low_a[i][lane] = low(r[i][lane]);
      high_a[i][lane] = high(r[i][lane]);
    }
  }
  alignas(16) float b[16][2][4];  // [k][column % 2][column / 2]
  for (int column = 0; column < 8; column++) {
    for (int t = 0; t < 4; t++) {
      const int lane = 4 * column + t;
      b[2 * t][column % 2][column / 2] = low(r[4][lane]);
      b[2 * t + 1][column % 2][column / 2] = high(r[4][lane]);
      b[2 * t + 8][column % 2][column / 2] = low(r[5][lane]);
      b[2 * t + 9][column % 2][column / 2] = high(r[5][lane]);
    }
  }
  for (int g = 0; g < 8; g++) {
    Float4 sums[4];
    for (int i = 0; i < 4; i++) std::memcpy(&sums[i], &r[6 + i][4 * g], sizeof sums[i]);
    const auto step = [&](int k, float upper, float lower) {  // A in rows g and g + 8
      Float4 even, odd;
      std::memcpy(&even, b[k][0], sizeof even);
      std::memcpy(&odd, b[k][1], sizeof odd);
      sums[0] += upper * even;
      sums[1] += upper * odd;
      sums[2] += lower * even;
      sums[3] += lower * odd;
    };
    for (int half = 0; half < 2; half++) {  // columns 0 .. 7 of A, then 8 .. 15
      for (int t = 0; t < 4; t++) {
        const int lane = 4 * g + t, k = 8 * half + 2 * t;
        step(k, low_a[2 * half][lane], low_a[2 * half + 1][lane]);
        step(k + 1, high_a[2 * half][lane], high_a[2 * half + 1][lane]);
      }
    }
    for (int i = 0; i < 4; i++) std::memcpy(&r[6 + i][4 * g], &sums[i], sizeof sums[i]);
  }
}

/** Further cycles of a phase of eight rows of 16 bytes, given by number: each is four of the 32
 *  banks; rows of one bank take a cycle each, unless they are the same row. */
int conflicts(const uint32_t* rows) {
  unsigned seen = 0;  // groups of four banks
  for (int i = 0; i < 8; i++) seen |= 1u << rows[i] % 8;
  if (seen == 0xff) return 0;
  int in_group[8] = {}, cycles = 0;
  for (int i = 0; i < 8; i++) {
    bool again = false;
    for (int j = 0; j < i; j++) again = again || rows[j] == rows[i];
    if (!again) cycles = std::max(cycles, ++in_group[rows[i] % 8]);
  }
  return cycles - 1;
}

/** Registers 0 .. 3: the words of the row at a lane's address; 8: the number of its 16 bytes. */
void distribute(Warp& warp, int matrices, bool transposed, Statistics& statistics) {
  auto& r = warp.registers;
  uint32_t result[4][warp_lanes];
  for (int m = 0; m < matrices; m++) {
    statistics.matrix_phases++;
    statistics.matrix_conflicts += conflicts(&r[8][8 * m]);
    for (int lane = 0; lane < warp_lanes; lane++) {
      const int g = lane / 4, t = lane % 4;
      if (transposed) {
        const uint32_t first = r[g / 2][8 * m + 2 * t], second = r[g / 2][8 * m + 2 * t + 1];
        result[m][lane] =
            g % 2 == 0 ? (first & 0xffff) | second << 16 : first >> 16 | (second & 0xffff0000u);
      } else {
        result[m][lane] = r[t][8 * m + g];
      }
    }
  }
  for (int m = 0; m < matrices; m++) {
    for (int lane = 0; lane < warp_lanes; lane++) r[m][lane] = result[m][lane];
  }
}

}  // namespace

void synchronize_warp(unsigned mask, Where where) {
  meet(current_thread(), "__syncwarp", mask, {false, true}, where, [](Warp&) {});
}

uint32_t shuffle(const char* name, unsigned mask, uint32_t value, int source, Where where) {
  Thread& me = current_thread();
  auto& registers = me.warp->registers;
  registers[0][me.lane] = value;
  registers[1][me.lane] = static_cast<uint32_t>(source);
  meet(me, name, mask, {false}, where, [=](Warp& warp) {
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
  meet(me, name, mask, {false}, where, [=](Warp& warp) {
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
  meet(me, "mma", ~0u, {true}, where, [&](Warp& warp) {
    me.run->statistics.products++;
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
    if (!me.block->memory.holds(address, 16)) {
      fail(where, "ldmatrix of a row that is not in shared memory");
    }
  }
  for (int i = 0; i < 4; i++) registers[i][me.lane] = row[i];
  registers[8][me.lane] = static_cast<uint32_t>(bits >> 4);
  meet(me, matrices == 4 ? "ldmatrix.x4" : "ldmatrix.x2", ~0u, {true}, where,
       [&](Warp& warp) { distribute(warp, matrices, transposed, me.run->statistics); });
  for (int i = 0; i < matrices; i++) out[i] = registers[i][me.lane];
}

}  // namespace emu
