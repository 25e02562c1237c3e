// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "place.cuh"

namespace tokamak::cuda {

struct FormatF32 {
  using Block = float;
  static constexpr int block_columns = 1;
  static constexpr int header_parts = 1, header_bytes = 0, part_bytes = 4096;
  static constexpr int scale_steps = 0;
  static constexpr bool has_minimums = false;
  using Operand = PartsA;

  // [step][row g, row g+8][lane] four columns
  FN static int offset(int step, int half, int lane) {
    return ((step * 2 + half) * 32 + lane) * 16;
  }

  struct Held {
    const uint8_t* half;
    int lane;
  };
  FN static Held hold(const uint8_t*, const uint8_t* part, int lane, int half) {
    return {part + half * (part_bytes / 2), lane};
  }

  FN static Operand operand(const Held& held, int step) {
    Operand a;
    for (int half = 0; half < 2; half++) {
      const float4 v = at_once<float4>(held.half, offset(step, half, held.lane));
      const Pair left = split(v.x, v.y), right = split(v.z, v.w);
      a.high[half] = left.high, a.low[half] = left.low;
      a.high[half + 2] = right.high, a.low[half + 2] = right.low;
    }
    return a;
  }

  FN static float value(const uint8_t*, const uint8_t* part, const Place& p) {
    return at<float>(part, offset(p.step, p.pair % 2, p.lane) + (p.pair / 2 * 2 + p.side) * 4);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t*, uint8_t* part, int lane) {
    for (int step = 0; step < part_steps; step++) {
      for (int pair = 0; pair < 4; pair++) {
        for (int side = 0; side < 2; side++) {
          const Place p{lane, step, pair, side};
          const float* from = rows.block(row_of(p), i * part_columns + column_of(p));
          put(part, offset(step, pair % 2, lane) + (pair / 2 * 2 + side) * 4,
              from == nullptr ? 0.0f : *from);
        }
      }
    }
  }
};

/** What F16 and BF16 share: words of two values, [step][lane][pair]. */
struct FormatOfHalves {
  using Block = uint16_t;
  static constexpr int block_columns = 1;
  static constexpr int header_parts = 1, header_bytes = 0, part_bytes = 2048;
  static constexpr int scale_steps = 0;
  static constexpr bool has_minimums = false;

  FN static int offset(int step, int lane) { return (step * 32 + lane) * 16; }

  struct Held {
    const uint8_t* half;
    int lane;
  };
  FN static Held hold(const uint8_t*, const uint8_t* part, int lane, int half) {
    return {part + half * (part_bytes / 2), lane};
  }

  FN static uint16_t bits(const uint8_t* part, const Place& p) {
    return at<uint16_t>(part, offset(p.step, p.lane) + p.pair * 4 + p.side * 2);
  }

  FN static void pack(const SourceRows<Block>& rows, int i, uint8_t*, uint8_t* part, int lane) {
    for (int step = 0; step < part_steps; step++) {
      for (int pair = 0; pair < 4; pair++) {
        uint32_t word = 0;
        for (int side = 0; side < 2; side++) {
          const Place p{lane, step, pair, side};
          const uint16_t* from = rows.block(row_of(p), i * part_columns + column_of(p));
          if (from != nullptr) word |= static_cast<uint32_t>(*from) << 16 * side;
        }
        put(part, offset(step, lane) + pair * 4, word);
      }
    }
  }
};

struct FormatBF16 : FormatOfHalves {
  using Operand = ExactA;

  FN static Operand operand(const Held& held, int step) {
    const uint4 v = at_once<uint4>(held.half, offset(step, held.lane));
    return {{v.x, v.y, v.z, v.w}};
  }

  FN static float value(const uint8_t*, const uint8_t* part, const Place& p) {
    return ptx::bf16_to_float(bits(part, p));
  }
};

/** 11 bits of precision: exact as two parts. */
struct FormatF16 : FormatOfHalves {
  using Operand = PartsA;

  FN static Operand operand(const Held& held, int step) {
    const uint4 v = at_once<uint4>(held.half, offset(step, held.lane));
    Operand a;
    for (int pair = 0; pair < 4; pair++) {
      const uint32_t word = word_of(v, pair);
      const Pair parts = split(half_low(word), half_high(word));
      a.high[pair] = parts.high, a.low[pair] = parts.low;
    }
    return a;
  }

  FN static float value(const uint8_t*, const uint8_t* part, const Place& p) {
    return ptx::half_to_float(bits(part, p));
  }
};

}  // namespace tokamak::cuda
