// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "q4_k.cuh"
#include "tokamak/block/q5_k.h"

namespace tokamak::cuda {

struct FormatQ5_K : FormatWithMinimums<BlockQ5_K> {
  // Behind the nibbles the fifth bits: [lane] a word, bits 4 * step + pair + 16 * side.
  static constexpr int fifth_at = Nibbles::bytes, scales_at = fifth_at + 128;
  static constexpr int part_bytes = scales_at + 64;

  struct Held {
    uint2 nibbles;
    uint32_t fifth;
    Scales scales;
  };
  FN static Held hold(const uint8_t* header, const uint8_t* part, int lane, int half) {
    return {Nibbles::hold(part, lane, half),
            at_once<uint32_t>(part, fifth_at + lane * 4) >> half * 8,
            hold_scales(header, part + scales_at, lane, half)};
  }

  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      const int bit = 4 * step + pair;  // goes to bit 4; the other half's bits are masked
      const uint32_t fifth = bit < 4 ? held.fifth << (4 - bit) : held.fifth >> (bit - 4);
      a.value[pair] = ptx::add_bf16(
          ptx::and_or(fifth, both(16), Nibbles::biased(held.nibbles, step, pair)),
          minus_128);
    }
    return a;
  }

  FN static void scales(const Held& held, int, float (&scale)[2], float (&min)[2]) {
    scales_of(held.scales, scale, min);
  }

  FN static float value(const uint8_t* header, const uint8_t* part, const Place& p) {
    const uint32_t word = at<uint32_t>(part, fifth_at + p.lane * 4);
    const int fifth = word >> (4 * p.step + p.pair + 16 * p.side) & 1;
    return value_of(header, part + scales_at, p, Nibbles::value(part, p) | fifth << 4);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t* header, uint8_t* part,
                      int lane) {
    uint32_t fifth = 0;
    Nibbles::pack(part, lane, [&](const Place& p) {
      const Block* from = rows.block(row_of(p), i / 4);
      if (from != nullptr) {
        const int column = column_of(p);
        const uint32_t bit = from->fifth[column % 32] >> (i % 4 * 2 + column / 32) & 1;
        fifth |= bit << (4 * p.step + p.pair + 16 * p.side);
      }
      return nibble(rows, i, p);
    });
    put(part, fifth_at + lane * 4, fifth);
    pack_scales(rows, i, header, part + scales_at, lane);
  }
};

}  // namespace tokamak::cuda
