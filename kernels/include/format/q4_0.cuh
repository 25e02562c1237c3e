// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nibbles.cuh"
#include "tokamak/block/q4_0.h"

namespace tokamak::cuda {

struct FormatQ4_0 {
  using Block = BlockQ4_0;
  static constexpr int block_columns = 32;
  static constexpr int header_parts = 1, header_bytes = 0, part_bytes = Nibbles::bytes + 64;
  static constexpr int scale_steps = 2;
  static constexpr bool has_minimums = false;
  using Operand = ExactA;

  static constexpr int scales_at = Nibbles::bytes;  // as in Q8_0

  struct Held {
    uint2 nibbles;
    uint32_t scales;
  };
  FN static Held hold(const uint8_t*, const uint8_t* part, int lane, int half) {
    return {Nibbles::hold(part, lane, half),
            at_once<uint32_t>(part, scales_at + half * 32 + lane / 4 * 4)};
  }

  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      a.value[pair] = ptx::add_bf16(Nibbles::biased(held.nibbles, step, pair), minus_136);
    }
    return a;
  }

  FN static void scales(const Held& held, int, float (&scale)[2], float (&)[2]) {
    scale[0] = half_low(held.scales), scale[1] = half_high(held.scales);
  }

  FN static float value(const uint8_t*, const uint8_t* part, const Place& p) {
    const int scale = scales_at + p.step / 2 * 32 + p.lane / 4 * 4 + p.pair % 2 * 2;
    return ptx::half_to_float(at<uint16_t>(part, scale)) * (Nibbles::value(part, p) - 8);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t*, uint8_t* part, int lane) {
    Nibbles::pack(part, lane, [&](const Place& p) -> uint32_t {
      const Block* from = rows.block(row_of(p), i * 2 + p.step / 2);
      if (from == nullptr) return 0;
      const int column = column_of(p) % 32;
      return column < 16 ? from->nibbles[column] : from->nibbles[column - 16] >> 4;
    });
    const Block* from = rows.block(lane % 16, i * 2 + lane / 16);
    put(part, scales_at + lane / 16 * 32 + lane % 8 * 4 + lane % 16 / 8 * 2,
        from == nullptr ? uint16_t{0} : from->scale);
  }
};

}  // namespace tokamak::cuda
