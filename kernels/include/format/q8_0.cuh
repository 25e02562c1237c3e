// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "place.cuh"
#include "tokamak/block/q8_0.h"

namespace tokamak::cuda {

struct FormatQ8_0 {
  using Block = BlockQ8_0;
  static constexpr int block_columns = 32;
  static constexpr int header_parts = 1, header_bytes = 0, part_bytes = 1024 + 64;
  static constexpr int scale_steps = 2;
  static constexpr bool has_minimums = false;
  using Operand = ExactA;

  // Bytes: [step / 2][lane][step % 2][pair / 2], in a word pair % 2 of side 0, then of side 1.
  // Scales, F16: [block of 32][row g][row g, row g+8].
  static constexpr int scales_at = 1024;
  FN static int offset(int step, int pair, int lane) {
    return (step / 2 * 32 + lane) * 16 + step % 2 * 8 + pair / 2 * 4;
  }

  struct Held {
    uint4 bytes;
    uint32_t scales;
  };
  FN static Held hold(const uint8_t*, const uint8_t* part, int lane, int half) {
    return {at_once<uint4>(part, half * 512 + lane * 16),
            at_once<uint32_t>(part, scales_at + half * 32 + lane / 4 * 4)};
  }

  // The lower 7 bits count from 0; the upper bit stands for -128. As the lowest bit of the exponent
  // it turns the 128 that is taken off into 256.
  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      const uint32_t word = word_of(held.bytes, step * 2 + pair / 2) >> pair % 2 * 8;
      a.value[pair] = ptx::add_bf16(ptx::and_or(word, both(0x7f), bf16_128),
                                    ptx::and_or(word, both(0x80), minus_128));
    }
    return a;
  }

  FN static void scales(const Held& held, int, float (&scale)[2], float (&)[2]) {
    scale[0] = half_low(held.scales), scale[1] = half_high(held.scales);
  }

  FN static float value(const uint8_t*, const uint8_t* part, const Place& p) {
    const int byte = offset(p.step, p.pair, p.lane) + p.pair % 2 + p.side * 2;
    const int scale = scales_at + p.step / 2 * 32 + p.lane / 4 * 4 + p.pair % 2 * 2;
    return ptx::half_to_float(at<uint16_t>(part, scale)) * at<int8_t>(part, byte);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t*, uint8_t* part, int lane) {
    for (int step = 0; step < part_steps; step++) {
      for (int upper = 0; upper < 2; upper++) {
        uint32_t word = 0;
        for (int k = 0; k < 4; k++) {
          const Place p{lane, step, upper * 2 + k % 2, k / 2};
          const Block* from = rows.block(row_of(p), i * 2 + step / 2);
          if (from != nullptr) {
            word |= (from->bytes[column_of(p) % 32] & 255u) << 8 * k;
          }
        }
        put(part, offset(step, upper * 2, lane), word);
      }
    }
    const Block* from = rows.block(lane % 16, i * 2 + lane / 16);
    put(part, scales_at + lane / 16 * 32 + lane % 8 * 4 + lane % 16 / 8 * 2,
        from == nullptr ? uint16_t{0} : from->scale);
  }
};

}  // namespace tokamak::cuda
