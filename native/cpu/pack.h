// SPDX-License-Identifier: Apache-2.0
//
// The packed layout of weight matrices: the same at every instruction-set level.
//
// Rows go together in groups of 16, and a lane of a vector is a row. One 64-byte vector of
// quantised weights is 16 rows x 4 columns, a "step":
//
//        row 0        row 1              row 15
//     k k+1 k+2 k+3 | k k+1 k+2 k+3 |...| k k+1 k+2 k+3
//
// The same 4 activation bytes, broadcast to all lanes, times such a vector give 16 finished sums:
// no shuffles and no sum across lanes. Bytes are unsigned; what was added to make them so is
// taken off by the sum of the activations, known before.
//
// A matrix is its groups in order; the last one is filled with zero rows. A group is its blocks
// along the columns in order: one of the structs below, each holding 16 rows. Columns: the
// quantised types need whole GGUF blocks; the others are filled with zeros to whole blocks.
// Against the file this costs the fill, and 2.8 % (Q4_K) and 2.3 % (Q5_K) for unpacked scales.
#pragma once

#include <stdint.h>

namespace tokamak::cpu {

constexpr int group_rows = 16;

struct PackedF32 {
  static constexpr int columns = 16;
  float values[16][16];  // [column][row]
};

struct PackedF16 {
  static constexpr int columns = 16;
  uint16_t values[16][16];  // [column][row]
};

struct PackedBF16 {
  static constexpr int columns = 16;
  uint16_t values[8][16][2];  // [column / 2][row][column % 2]
};

struct PackedQ8_0 {
  static constexpr int columns = 32;
  uint8_t bytes[8][16][4];  // byte + 128
  uint16_t scales[16];      // F16
};

/** 32 columns of 4-bit numbers, 8 steps in 4 pairs: step 2p is low, step 2p + 1 high. */
struct PackedNibbles {
  uint8_t pairs[4][16][4];
};

struct PackedQ4_0 {
  static constexpr int columns = 32;
  PackedNibbles nibbles;
  uint16_t scales[16];  // F16
};

struct PackedQ4_K {
  static constexpr int columns = 256;
  uint16_t scale[16], min[16];  // F16
  struct Part {
    PackedNibbles nibbles;
    uint8_t scales[16], mins[16];
  } parts[8];
};

struct PackedQ5_K {
  static constexpr int columns = 256;
  uint16_t scale[16], min[16];  // F16
  struct Part {
    PackedNibbles nibbles;
    uint8_t fifth[16][4];  // bit s: the fifth bit of step s
    uint8_t scales[16], mins[16];
  } parts[8];
};

struct PackedQ6_K {
  static constexpr int columns = 256;
  uint16_t scale[16];  // F16
  struct Part {
    PackedNibbles nibbles;
    uint8_t upper[2][16][4];  // [step / 4], bits 2 * (step % 4) and up: the upper two bits
    int8_t scales[2][16];     // of columns 0..15 and 16..31
  } parts[8];
};

static_assert(sizeof(PackedQ8_0) == 16 * 34 && sizeof(PackedQ4_0) == 16 * 18 &&
              sizeof(PackedQ4_K) == 2368 && sizeof(PackedQ5_K) == 2880 &&
              sizeof(PackedQ6_K) == 16 * 210);

constexpr int64_t row_groups(int64_t rows) { return (rows + group_rows - 1) / group_rows; }

/** Bytes of one group of 16 rows; -1: this type or number of columns is not supported. */
int64_t group_bytes(int type, int64_t cols);

/** Bytes of a packed matrix; -1: type or shape not supported. */
int64_t packed_bytes(int type, int64_t rows, int64_t cols);

/** Packs the groups first .. last-1 of a matrix [rows, cols] that packed_bytes accepts. Source
 *  and packed are those of the whole matrix; neither needs alignment. This is the plain version,
 *  which each level has a fast one of (pack.inl.h). */
void pack_groups(int type, int64_t rows, int64_t cols, const void* source, int64_t first,
                 int64_t last, void* packed);

/** out[cols] = the values of a row of a packed matrix, the bits that its GGUF blocks decode to.
 *  Packed memory must be aligned to 4 bytes. */
void unpack_row(int type, int64_t cols, const void* packed, int64_t row, float* out);

}  // namespace tokamak::cpu
