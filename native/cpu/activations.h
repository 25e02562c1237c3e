// SPDX-License-Identifier: Apache-2.0
//
// How matmul reads its activations: written once per product by quantize_row, one row at a time.
//
// Rows go together in panels of up to 12, the most that one register tile takes, and a panel is
// interleaved by block of columns: [panel][block][row of the panel]. So a tile finds all rows of
// a block at constant distances from one address, and what it reads lies close together.
#pragma once

#include <stdint.h>

namespace tokamak::cpu {

constexpr int most_panel_rows = 12;

/** Rows of each part but the last, which may have fewer, where `rows` rows are done in parts of at
 *  most `most`: as few parts as can be, and those as equal as can be. 13 of at most 12 are 7 + 6. */
static constexpr int64_t rows_of_part(int64_t rows, int64_t most) {
  const int64_t parts = (rows + most - 1) / most;
  return parts == 0 ? 1 : (rows + parts - 1) / parts;
}

/** Rows of each panel but the last. The blocks of one row alone lie as far apart as those of a
 *  full panel: side by side they cost a step with Q8_0 weights 6 to 10 % (LOG.md). */
static constexpr int64_t panel_rows(int64_t rows) {
  return rows == 1 ? most_panel_rows : rows_of_part(rows, most_panel_rows);
}

enum ActivationFormat {
  ACTIVATIONS_FLOAT,  // for weights in F32 and F16, and BF16 where the processor has no BF16
  ACTIVATIONS_BF16,   // for weights in BF16
  ACTIVATIONS_INT8    // for quantised weights
};

/** As they are. */
struct FloatBlock {
  static constexpr ActivationFormat format = ACTIVATIONS_FLOAT;
  static constexpr int columns = 16;
  float values[16];
};

/** Rounded to bf16. */
struct Bf16Block {
  static constexpr ActivationFormat format = ACTIVATIONS_BF16;
  static constexpr int columns = 16;
  uint16_t values[16];
};

/** value = scale * byte, scale = largest magnitude / 127. Where a value is NaN or
 *  infinite the scale is NaN. The sums take off what makes packed weights unsigned. */
struct Int8Block {
  static constexpr ActivationFormat format = ACTIVATIONS_INT8;
  static constexpr int columns = 32;
  int8_t values[32];
  float scale;
  float sum;               // of the bytes
  int32_t minus_8_sum;     // -8 * sum of the bytes
  int32_t minus_32_first;  // -32 * sum of the first 16 bytes
};
static_assert(sizeof(FloatBlock) == 64 && sizeof(Bf16Block) == 32 && sizeof(Int8Block) == 48);

template <class Block>
static constexpr int64_t activation_bytes(int64_t rows, int64_t cols) {
  const int64_t padded = (rows + most_panel_rows - 1) / most_panel_rows * most_panel_rows;
  return padded * ((cols + Block::columns - 1) / Block::columns) * int64_t{sizeof(Block)};
}

/** Bytes for up to `rows` rows of `cols` values. */
static constexpr int64_t activation_bytes(int format, int64_t rows, int64_t cols) {
  return format == ACTIVATIONS_FLOAT  ? activation_bytes<FloatBlock>(rows, cols)
         : format == ACTIVATIONS_BF16 ? activation_bytes<Bf16Block>(rows, cols)
                                      : activation_bytes<Int8Block>(rows, cols);
}

}  // namespace tokamak::cpu
