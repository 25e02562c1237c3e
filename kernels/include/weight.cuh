// SPDX-License-Identifier: Apache-2.0
//
// The packed layout of weight matrices, one Format a GGUF type: how a lane of a tensor-core product
// holds its weights, how a value is read back, how a block of the file becomes all that.
//
// Rows go together in groups of 16, columns in parts of 64, which are 4 steps of 16 columns: a step
// is one m16n8k16 product. Missing rows and columns are zeros. Lane 4g+t of a warp holds columns
// 4t .. 4t+3 of every step, of rows g and g+8, as four pairs:
//
//     column       4t   4t+1  |  4t+2  4t+3
//     row g         pair 0    |   pair 2          pair p is register a[p] of the product
//     row g+8       pair 1    |   pair 3
//
// so that the activations which meet them are one float4 at x[token][16 * step + 4t]. A part is the
// lanes' numbers in planes, in lane order: a warp reads contiguous memory, a lane 4 to 16 bytes at a
// time. Behind them stand the part's scales. A group is its parts in order; K types put a header of
// the super-block's scales before every 4 parts. kernels/README.md draws it.

#pragma once

#include "parts.cuh"
#include "tokamak/block/q4_0.h"
#include "tokamak/block/q4_k.h"
#include "tokamak/block/q5_k.h"
#include "tokamak/block/q6_k.h"
#include "tokamak/block/q8_0.h"
#include "tokamak/tokamak_cuda.h"

namespace tokamak::cuda {

constexpr int group_rows = TK_CUDA_GROUP_ROWS;
constexpr int step_columns = 16;
constexpr int part_columns = 64;
constexpr int part_steps = part_columns / step_columns;

/** Where lane 4g+t holds a value. */
struct Place {
  int lane, step, pair, side;  // side: 0 is the lower half of a word
};

/** row 0 .. 15 of a group, column 0 .. 63 of a part. */
FN Place place_of(int row, int column) {
  return {row % 8 * 4 + column % 16 / 4, column / 16, row / 8 + column % 4 / 2 * 2, column % 2};
}

/** The row of a group, and the column of a part. */
FN int row_of(const Place& place) { return place.lane / 4 + place.pair % 2 * 8; }
FN int column_of(const Place& place) {
  return place.step * 16 + place.lane % 4 * 4 + place.pair / 2 * 2 + place.side;
}

/** 16 rows of a matrix in the layout of the GGUF file. */
template <class Block>
struct SourceRows {
  const Block* first;  // block 0 of row 0
  int64_t blocks;      // of a row
  int rows;            // that exist

  /** Null where the matrix has none. */
  FN const Block* block(int row, int64_t i) const {
    return row < rows && i < blocks ? first + row * blocks + i : nullptr;
  }
};

// ---- two numbers of a pair as bfloat16 ----------------------------------------------------
// The bfloat16 0x4300 | n, n below 128, is 128 + n: numbers are put there, and 128 is taken off.

TK_BLOCK constexpr uint32_t both(uint32_t bits) { return bits | bits << 16; }
constexpr uint32_t bf16_128 = both(0x4300), minus_128 = both(0xc300);
constexpr uint32_t minus_136 = both(0xc308), minus_160 = both(0xc320);

// ---- access -------------------------------------------------------------------------------

template <class T>
FN T at(const uint8_t* bytes, int offset) {
  return *reinterpret_cast<const T*>(bytes + offset);
}
/** The same in shared memory, by all lanes at once. */
template <class T>
FN T at_once(const uint8_t* bytes, int offset) {
  ptx::count_conflicts<sizeof(T)>(bytes + offset);
  return at<T>(bytes, offset);
}
template <class T>
FN void put(uint8_t* bytes, int offset, T value) {
  *reinterpret_cast<T*>(bytes + offset) = value;
}

FN float half_low(uint32_t word) { return ptx::half_to_float(static_cast<uint16_t>(word)); }
FN float half_high(uint32_t word) { return ptx::half_to_float(static_cast<uint16_t>(word >> 16)); }
FN float byte_of(uint32_t word, int i) { return static_cast<float>(word >> 8 * i & 255); }
FN float signed_byte_of(uint32_t word, int i) {
  return static_cast<float>(static_cast<int8_t>(word >> 8 * i));
}
FN uint32_t word_of(const uint4& words, int i) {
  return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;
}

// ---- the formats --------------------------------------------------------------------------
// What each says:
//   Block, block_columns   of the GGUF file
//   header_parts           parts that share a header; header_bytes, part_bytes
//   scale_steps            1 or 2 steps share a scale (and a minimum where has_minimums): their
//                          product is summed by itself, then scaled; 0: values need no scale
//   Operand                ExactA or PartsA
//   Held, hold             what a lane keeps of half a part, 2 steps; `slot` is a header with the
//                          part behind it
//   operand(held, step)    the lane's weights of step 0 or 1 of the half
//   scales(held, step, scale, min)  of the run that begins at a step of the half, rows g and g+8
//   value(header, part, place)   one value, the bits of tk_decode
//   pack(rows, i, header, part, lane)  writes the lane's share of part i of a group

struct FormatF32 {
  using Block = float;
  static constexpr int block_columns = 1;
  static constexpr int header_parts = 1, header_bytes = 0, part_bytes = 4096;
  static constexpr int scale_steps = 0;
  static constexpr bool has_minimums = false;
  using Operand = PartsA;

  // [step][row g, row g+8][lane] four columns
  FN static int offset(int step, int half, int lane) { return ((step * 2 + half) * 32 + lane) * 16; }

  struct Held {
    const uint8_t* half;
    int lane;
  };
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    return {slot + half * (part_bytes / 2), lane};
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
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    return {slot + half * (part_bytes / 2), lane};
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
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    return {at_once<uint4>(slot, half * 512 + lane * 16),
            at_once<uint32_t>(slot, scales_at + half * 32 + lane / 4 * 4)};
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

/** 4 bits of every number: [step / 2][lane][step % 2], in a word bits 4 * pair + 16 * side. */
struct Nibbles {
  static constexpr int bytes = 512;
  FN static int offset(int step, int lane) { return step / 2 * 256 + lane * 8 + step % 2 * 4; }

  /** Of half a part. */
  FN static uint2 hold(const uint8_t* plane, int lane, int half) {
    return at_once<uint2>(plane, offset(half * 2, lane));
  }

  /** 128 + the nibble, both sides of a pair. */
  FN static uint32_t biased(const uint2& held, int step, int pair) {
    return ptx::and_or((step == 0 ? held.x : held.y) >> 4 * pair, both(15), bf16_128);
  }

  FN static int value(const uint8_t* plane, const Place& p) {
    return at<uint32_t>(plane, offset(p.step, p.lane)) >> (4 * p.pair + 16 * p.side) & 15;
  }

  /** number(place): its lower 4 bits count. */
  template <class Number>
  FN static void pack(uint8_t* plane, int lane, Number number) {
    for (int step = 0; step < part_steps; step++) {
      uint32_t word = 0;
      for (int pair = 0; pair < 4; pair++) {
        for (int side = 0; side < 2; side++) {
          const uint32_t bits = number(Place{lane, step, pair, side});
          word |= (bits & 15) << (4 * pair + 16 * side);
        }
      }
      put(plane, offset(step, lane), word);
    }
  }
};

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
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    return {Nibbles::hold(slot, lane, half),
            at_once<uint32_t>(slot, scales_at + half * 32 + lane / 4 * 4)};
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
    return {at_once<uint2>(header, lane / 4 * 8), at_once<uint32_t>(bytes, half * 32 + lane / 4 * 4)};
  }

  FN static void scales_of(const Scales& held, float (&scale)[2], float (&min)[2]) {
    scale[0] = half_low(held.super.x) * byte_of(held.half, 0);
    scale[1] = half_low(held.super.y) * byte_of(held.half, 1);
    min[0] = half_high(held.super.x) * byte_of(held.half, 2);
    min[1] = half_high(held.super.y) * byte_of(held.half, 3);
  }

  FN static float value_of(const uint8_t* header, const uint8_t* bytes, const Place& p, int number) {
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
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    const uint8_t* part = slot + header_bytes;
    return {Nibbles::hold(part, lane, half),
            hold_scales(slot, part + Nibbles::bytes, lane, half)};
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

struct FormatQ5_K : FormatWithMinimums<BlockQ5_K> {
  // Behind the nibbles the fifth bits: [lane] a word, bits 4 * step + pair + 16 * side.
  static constexpr int fifth_at = Nibbles::bytes, scales_at = fifth_at + 128;
  static constexpr int part_bytes = scales_at + 64;

  struct Held {
    uint2 nibbles;
    uint32_t fifth;
    Scales scales;
  };
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    const uint8_t* part = slot + header_bytes;
    return {Nibbles::hold(part, lane, half), at_once<uint32_t>(part, fifth_at + lane * 4) >> half * 8,
            hold_scales(slot, part + scales_at, lane, half)};
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
  FN static Held hold(const uint8_t* slot, int lane, int half) {
    const uint8_t* part = slot + header_bytes;
    return {Nibbles::hold(part, lane, half), at_once<uint32_t>(part, upper_at + half * 128 + lane * 4),
            at_once<uint32_t>(part, scales_at + half * 32 + lane / 4 * 4),
            at_once<uint32_t>(slot, lane / 4 * 4)};
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

// ---- where things are ---------------------------------------------------------------------

TK_BLOCK constexpr int64_t parts_of(int64_t cols) { return (cols + part_columns - 1) / part_columns; }

/** Bytes of 16 packed rows. */
template <class Format>
TK_BLOCK constexpr int64_t group_bytes(int64_t cols) {
  const int64_t parts = parts_of(cols);
  return parts * Format::part_bytes + parts / Format::header_parts * Format::header_bytes;
}

/** The most columns of a matrix: offsets inside a group fit an int. */
constexpr int64_t most_columns = 1 << 24;

/** From the start of a group to the header of a part. */
template <class Format>
FN int header_at(int part) {
  return part / Format::header_parts *
         (Format::header_bytes + Format::header_parts * Format::part_bytes);
}

/** From the start of a group to a part. */
template <class Format>
FN int part_at(int part) {
  return part * Format::part_bytes + (part / Format::header_parts + 1) * Format::header_bytes;
}

/** The value at [row, column] of a packed matrix: the bits of tk_decode. */
template <class Format>
FN float packed_value(const void* packed, int64_t cols, int64_t row, int64_t column) {
  const uint8_t* group =
      static_cast<const uint8_t*>(packed) + row / group_rows * group_bytes<Format>(cols);
  const int part = static_cast<int>(column) / part_columns;
  return Format::value(group + header_at<Format>(part), group + part_at<Format>(part),
                       place_of(static_cast<int>(row % group_rows),
                                static_cast<int>(column) % part_columns));
}

/** f(Format) of a GGUF type; `otherwise` if it is none. */
template <class Result, class F>
Result with_format(int type, Result otherwise, F f) {
  switch (type) {
#define TK_TYPE(name, number, elements, bytes) \
  case number:                                 \
    return f(Format##name{});
#include "tokamak/quant.def"
#undef TK_TYPE
    default:
      return otherwise;
  }
}

}  // namespace tokamak::cuda
