// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nibbles.cuh"
#include "tokamak/block/q4_k.h"

namespace tokamak::cuda {

/** What Q4_K and Q5_K share. Header, F16: [row g][row g, row g+8][scale, min]. Behind a part's
 *  planes, bytes: [32 columns][row g][scales of row g, row g+8, minimums of row g, row g+8]. */
template <class B>
struct FormatWithMinimums {
  using Block = B;
  static constexpr int block_columns = 256;
  static constexpr int header_parts = 4, header_bytes = 64;
  static constexpr int scale_steps = 2;
  static constexpr bool has_minimums = true;
  using Operand = ExactA;

  struct Scales {
    uint2 super;
    uint32_t half;
  };
  FN static Scales hold_scales(const uint8_t* header, const uint8_t* bytes, int lane, int half) {
    return {at_once<uint2>(header, lane / 4 * 8),
            at_once<uint32_t>(bytes, half * 32 + lane / 4 * 4)};
  }

  FN static void scales_of(const Scales& held, float (&scale)[2], float (&min)[2]) {
    scale[0] = half_low(held.super.x) * byte_of(held.half, 0);
    scale[1] = half_low(held.super.y) * byte_of(held.half, 1);
    min[0] = half_high(held.super.x) * byte_of(held.half, 2);
    min[1] = half_high(held.super.y) * byte_of(held.half, 3);
  }

  FN static float value_of(const uint8_t* header, const uint8_t* bytes, const Place& p,
                           int number) {
    const int super = p.lane / 4 * 8 + p.pair % 2 * 4;
    const int at_byte = p.step / 2 * 32 + p.lane / 4 * 4 + p.pair % 2;
    const float scale = ptx::half_to_float(at<uint16_t>(header, super)) * bytes[at_byte];
    const float min = ptx::half_to_float(at<uint16_t>(header, super + 2)) * bytes[at_byte + 2];
    return scale * static_cast<float>(number) - min;
  }

  FN static void pack_scales(const SourceRows<Block>& rows, int i, uint8_t* header,
                             uint8_t* bytes, int lane) {
    const int row = lane % 16, half = lane / 16;
    const Block* from = rows.block(row, i / 4);
    uint8_t scale = 0, min = 0;
    uint32_t super = 0;
    if (from != nullptr) {
      tk_scale_and_min(from->scales, i % 4 * 2 + half, &scale, &min);
      super = from->scale | static_cast<uint32_t>(from->min) << 16;
    }
    uint8_t* to = bytes + half * 32 + row % 8 * 4 + row / 8;
    to[0] = scale;
    to[2] = min;
    if (i % 4 == 0 && half == 0) put(header, row % 8 * 8 + row / 8 * 4, super);
  }

  /** The lower 4 bits of a number of part i. */
  FN static uint32_t nibble(const SourceRows<Block>& rows, int i, const Place& p) {
    const Block* from = rows.block(row_of(p), i / 4);
    if (from == nullptr) return 0;
    const int byte = from->nibbles[i % 4 * 32 + column_of(p) % 32];
    return column_of(p) < 32 ? byte & 15 : byte >> 4;
  }
};

struct FormatQ4_K : FormatWithMinimums<BlockQ4_K> {
  static constexpr int part_bytes = Nibbles::bytes + 64;

  struct Held {
    uint2 nibbles;
    Scales scales;
  };
  FN static Held hold(const uint8_t* header, const uint8_t* part, int lane, int half) {
    return {Nibbles::hold(part, lane, half),
            hold_scales(header, part + Nibbles::bytes, lane, half)};
  }

  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      a.value[pair] = ptx::add_bf16(Nibbles::biased(held.nibbles, step, pair), minus_128);
    }
    return a;
  }

  FN static void scales(const Held& held, int, float (&scale)[2], float (&min)[2]) {
    scales_of(held.scales, scale, min);
  }

  FN static float value(const uint8_t* header, const uint8_t* part, const Place& p) {
    return value_of(header, part + Nibbles::bytes, p, Nibbles::value(part, p));
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t* header, uint8_t* part,
                      int lane) {
    Nibbles::pack(part, lane, [&](const Place& p) { return nibble(rows, i, p); });
    pack_scales(rows, i, header, part + Nibbles::bytes, lane);
  }
};

}  // namespace tokamak::cuda
