// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nibbles.cuh"
#include "tokamak/block/q6_k.h"

namespace tokamak::cuda {

struct FormatQ6_K {
  using Block = BlockQ6_K;
  static constexpr int block_columns = 256;
  // Header, F16: [row g][row g, row g+8].
  // Behind the nibbles the upper bits: [step / 2][lane] a word, bits 8 * (step % 2) + 2 * pair
  // + 16 * side. Then scales, bytes: [step / 2][row g][step % 2][row g, row g+8].
  static constexpr int upper_at = Nibbles::bytes, scales_at = upper_at + 256;
  static constexpr int header_parts = 4, header_bytes = 32, part_bytes = scales_at + 64;
  static constexpr int scale_steps = 1;
  static constexpr bool has_minimums = false;
  using Operand = ExactA;

  struct Held {
    uint2 nibbles;
    uint32_t upper, scales, super;
  };
  FN static Held hold(const uint8_t* header, const uint8_t* part, int lane, int half) {
    return {Nibbles::hold(part, lane, half),
            at_once<uint32_t>(part, upper_at + half * 128 + lane * 4),
            at_once<uint32_t>(part, scales_at + half * 32 + lane / 4 * 4),
            at_once<uint32_t>(header, lane / 4 * 4)};
  }

  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      const int bit = 8 * step + 2 * pair;  // goes to bit 4
      const uint32_t upper = bit < 4 ? held.upper << (4 - bit) : held.upper >> (bit - 4);
      a.value[pair] = ptx::add_bf16(
          ptx::and_or(upper, both(48), Nibbles::biased(held.nibbles, step, pair)),
          minus_160);
    }
    return a;
  }

  FN static void scales(const Held& held, int step, float (&scale)[2], float (&)[2]) {
    scale[0] = half_low(held.super) * signed_byte_of(held.scales, step * 2);
    scale[1] = half_high(held.super) * signed_byte_of(held.scales, step * 2 + 1);
  }

  FN static float value(const uint8_t* header, const uint8_t* part, const Place& p) {
    const uint32_t word = at<uint32_t>(part, upper_at + p.step / 2 * 128 + p.lane * 4);
    const int upper = word >> (p.step % 2 * 8 + 2 * p.pair + 16 * p.side) & 3;
    const int8_t scale = at<int8_t>(
        part, scales_at + p.step / 2 * 32 + p.lane / 4 * 4 + p.step % 2 * 2 + p.pair % 2);
    const float super =
        ptx::half_to_float(at<uint16_t>(header, p.lane / 4 * 4 + p.pair % 2 * 2));
    return super * scale * static_cast<float>((Nibbles::value(part, p) | upper << 4) - 32);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t* header, uint8_t* part,
                      int lane) {
    uint32_t upper[2] = {0, 0};
    Nibbles::pack(part, lane, [&](const Place& p) -> uint32_t {
      const Block* from = rows.block(row_of(p), i / 4);
      if (from == nullptr) return 0;
      const auto number =
          static_cast<uint32_t>(tk_number(*from, i % 4 * 64 + column_of(p)));
      upper[p.step / 2] |= number >> 4 << (p.step % 2 * 8 + 2 * p.pair + 16 * p.side);
      return number;
    });
    put(part, upper_at + lane * 4, upper[0]);
    put(part, upper_at + 128 + lane * 4, upper[1]);
    if (lane >= group_rows) return;
    const Block* from = rows.block(lane, i / 4);
    for (int step = 0; step < part_steps; step++) {
      put(part, scales_at + step / 2 * 32 + lane % 8 * 4 + step % 2 * 2 + lane / 8,
          from == nullptr ? int8_t{0} : from->scales[i % 4 * 4 + step]);
    }
    if (i % 4 == 0) {
      put(header, lane % 8 * 4 + lane / 8 * 2, from == nullptr ? uint16_t{0} : from->scale);
    }
  }
};

}  // namespace tokamak::cuda
