// SPDX-License-Identifier: Apache-2.0
//
// Where the lanes of a warp hold the weights of a part (weight.cuh draws it), and what all formats
// need to put them there and to make operands of them.

#pragma once

#include "../parts.cuh"
#include "tokamak/block/half.h"
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

}  // namespace tokamak::cuda
