// SPDX-License-Identifier: Apache-2.0
#include "pack.h"

#include <string.h>

#include "tokamak/block/q4_0.h"
#include "tokamak/block/q4_k.h"
#include "tokamak/block/q5_k.h"
#include "tokamak/block/q6_k.h"
#include "tokamak/block/q8_0.h"

namespace tokamak::cpu {
namespace {

// For each type, put() lays one block of one row into its lane of a packed block, and take() gives
// the values in a lane as tk_decode does, operation by operation. The blocks are copied out of the
// file first, whose data may lie at any address.

uint32_t word(const uint8_t* bytes) {
  uint32_t w;
  memcpy(&w, bytes, 4);
  return w;
}

void set_word(uint8_t* bytes, uint32_t w) { memcpy(bytes, &w, 4); }

constexpr uint32_t low_nibbles = 0x0f0f0f0f;

/** 8 steps of 4-bit numbers, one to a byte, into a lane. */
void put_nibbles(const uint32_t* steps, PackedNibbles& out, int lane) {
  for (int p = 0; p < 4; p++) set_word(out.pairs[p][lane], steps[2 * p] | steps[2 * p + 1] << 4);
}

/** The inverse. */
void take_nibbles(const PackedNibbles& in, int lane, uint32_t* steps) {
  for (int p = 0; p < 4; p++) {
    const uint32_t pair = word(in.pairs[p][lane]);
    steps[2 * p] = pair & low_nibbles;
    steps[2 * p + 1] = pair >> 4 & low_nibbles;
  }
}

/** Number i of 32 in 8 steps. */
int number(const uint32_t* steps, int i) { return steps[i / 4] >> i % 4 * 8 & 0xff; }

struct F32 {
  static constexpr int source_bytes = 4;
  using Packed = PackedF32;
  static void put(const char* source, int64_t count, Packed& out, int lane) {
    float row[Packed::columns] = {};
    memcpy(row, source, count * sizeof *row);
    for (int k = 0; k < Packed::columns; k++) out.values[k][lane] = row[k];
  }
  static void take(const Packed& in, int lane, float* out) {
    for (int k = 0; k < Packed::columns; k++) out[k] = in.values[k][lane];
  }
};

struct F16 {
  static constexpr int source_bytes = 2;
  using Packed = PackedF16;
  static void put(const char* source, int64_t count, Packed& out, int lane) {
    uint16_t row[Packed::columns] = {};
    memcpy(row, source, count * sizeof *row);
    for (int k = 0; k < Packed::columns; k++) out.values[k][lane] = row[k];
  }
  static void take(const Packed& in, int lane, float* out) {
    for (int k = 0; k < Packed::columns; k++) out[k] = tk_f16_to_float(in.values[k][lane]);
  }
};

struct BF16 {
  static constexpr int source_bytes = 2;
  using Packed = PackedBF16;
  static void put(const char* source, int64_t count, Packed& out, int lane) {
    uint16_t row[Packed::columns] = {};
    memcpy(row, source, count * sizeof *row);
    for (int pair = 0; pair < Packed::columns / 2; pair++) {
      memcpy(out.values[pair][lane], row + 2 * pair, 2 * sizeof *row);
    }
  }
  static void take(const Packed& in, int lane, float* out) {
    for (int k = 0; k < Packed::columns; k++) {
      out[k] = tk_bf16_to_float(in.values[k / 2][lane][k % 2]);
    }
  }
};

struct Q8_0 {
  static constexpr int source_bytes = sizeof(BlockQ8_0);
  using Packed = PackedQ8_0;
  static void put(const char* source, int64_t, Packed& out, int lane) {
    uint8_t bytes[32];
    memcpy(&out.scales[lane], source, 2);
    memcpy(bytes, source + 2, sizeof bytes);
    for (int s = 0; s < 8; s++) {
      set_word(out.bytes[s][lane], word(bytes + 4 * s) ^ 0x80808080);  // + 128, byte by byte
    }
  }
  static void take(const Packed& in, int lane, float* out) {
    const float scale = tk_f16_to_float(in.scales[lane]);
    for (int i = 0; i < 32; i++) {
      out[i] = scale * static_cast<float>(in.bytes[i / 4][lane][i % 4] - 128);
    }
  }
};

struct Q4_0 {
  static constexpr int source_bytes = sizeof(BlockQ4_0);
  using Packed = PackedQ4_0;
  static void put(const char* source, int64_t, Packed& out, int lane) {
    BlockQ4_0 block;
    memcpy(&block, source, sizeof block);
    uint32_t steps[8];
    for (int s = 0; s < 4; s++) {
      steps[s] = word(block.nibbles + 4 * s) & low_nibbles;
      steps[s + 4] = word(block.nibbles + 4 * s) >> 4 & low_nibbles;
    }
    put_nibbles(steps, out.nibbles, lane);
    out.scales[lane] = block.scale;
  }
  static void take(const Packed& in, int lane, float* out) {
    const float scale = tk_f16_to_float(in.scales[lane]);
    uint32_t steps[8];
    take_nibbles(in.nibbles, lane, steps);
    for (int i = 0; i < 32; i++) out[i] = scale * static_cast<float>(number(steps, i) - 8);
  }
};

/** What Q4_K and Q5_K have in common: two scales, and parts of nibbles with scale and minimum. */
template <class Block, class Packed>
void put_parts(const Block& block, Packed& out, int lane) {
  out.scale[lane] = block.scale;
  out.min[lane] = block.min;
  for (int p = 0; p < 8; p++) {
    auto& part = out.parts[p];
    tk_scale_and_min(block.scales, p, &part.scales[lane], &part.mins[lane]);
    const uint8_t* nibbles = block.nibbles + p / 2 * 32;
    const int shift = p % 2 * 4;
    uint32_t steps[8];
    for (int s = 0; s < 8; s++) steps[s] = word(nibbles + 4 * s) >> shift & low_nibbles;
    put_nibbles(steps, part.nibbles, lane);
  }
}

/** The values of a part whose numbers are in steps. */
template <class Packed>
void take_part(const Packed& in, int p, int lane, const uint32_t* steps, float* out) {
  const float scale = tk_f16_to_float(in.scale[lane]) * in.parts[p].scales[lane];
  const float min = tk_f16_to_float(in.min[lane]) * in.parts[p].mins[lane];
  for (int i = 0; i < 32; i++) {
    out[32 * p + i] = scale * static_cast<float>(number(steps, i)) - min;
  }
}

struct Q4_K {
  static constexpr int source_bytes = sizeof(BlockQ4_K);
  using Packed = PackedQ4_K;
  static void put(const char* source, int64_t, Packed& out, int lane) {
    BlockQ4_K block;
    memcpy(&block, source, sizeof block);
    put_parts(block, out, lane);
  }
  static void take(const Packed& in, int lane, float* out) {
    for (int p = 0; p < 8; p++) {
      uint32_t steps[8];
      take_nibbles(in.parts[p].nibbles, lane, steps);
      take_part(in, p, lane, steps, out);
    }
  }
};

struct Q5_K {
  static constexpr int source_bytes = sizeof(BlockQ5_K);
  using Packed = PackedQ5_K;
  static void put(const char* source, int64_t, Packed& out, int lane) {
    BlockQ5_K block;
    memcpy(&block, source, sizeof block);
    put_parts(block, out, lane);
    for (int p = 0; p < 8; p++) {
      uint32_t bits = 0;
      for (int s = 0; s < 8; s++) bits |= (word(block.fifth + 4 * s) >> p & 0x01010101) << s;
      set_word(out.parts[p].fifth[lane], bits);
    }
  }
  static void take(const Packed& in, int lane, float* out) {
    for (int p = 0; p < 8; p++) {
      uint32_t steps[8];
      take_nibbles(in.parts[p].nibbles, lane, steps);
      const uint32_t fifth = word(in.parts[p].fifth[lane]);
      for (int s = 0; s < 8; s++) steps[s] |= (fifth >> s & 0x01010101) << 4;
      take_part(in, p, lane, steps, out);
    }
  }
};

struct Q6_K {
  static constexpr int source_bytes = sizeof(BlockQ6_K);
  using Packed = PackedQ6_K;
  static void put(const char* source, int64_t, Packed& out, int lane) {
    BlockQ6_K block;
    memcpy(&block, source, sizeof block);
    out.scale[lane] = block.scale;
    for (int p = 0; p < 8; p++) {
      const int half = p / 4, quarter = p % 4;  // part p is a quarter of a half of the block
      auto& part = out.parts[p];
      const uint8_t* nibbles = block.nibbles + 64 * half + quarter % 2 * 32;
      const uint8_t* upper = block.upper + 32 * half;
      uint32_t steps[8], planes[2] = {};
      for (int s = 0; s < 8; s++) {
        steps[s] = word(nibbles + 4 * s) >> quarter / 2 * 4 & low_nibbles;
        planes[s / 4] |= (word(upper + 4 * s) >> 2 * quarter & 0x03030303) << s % 4 * 2;
      }
      put_nibbles(steps, part.nibbles, lane);
      for (int i = 0; i < 2; i++) {
        set_word(part.upper[i][lane], planes[i]);
        part.scales[i][lane] = block.scales[2 * p + i];
      }
    }
  }
  static void take(const Packed& in, int lane, float* out) {
    const float scale = tk_f16_to_float(in.scale[lane]);
    for (int p = 0; p < 8; p++) {
      const auto& part = in.parts[p];
      uint32_t steps[8];
      take_nibbles(part.nibbles, lane, steps);
      for (int s = 0; s < 8; s++) {
        steps[s] |= (word(part.upper[s / 4][lane]) >> s % 4 * 2 & 0x03030303) << 4;
      }
      for (int i = 0; i < 32; i++) {
        const float of_part = scale * static_cast<float>(part.scales[i / 16][lane]);
        out[32 * p + i] = of_part * static_cast<float>(number(steps, i) - 32);
      }
    }
  }
};

/** Calls f with the description of a type; `none` for a type that has none. */
template <class Result, class F>
Result with_type(int type, Result none, F f) {
  switch (type) {
#define TK_TYPE(name, number, elements, bytes) \
  case number:                                 \
    return f(name());
#include "tokamak/quant.def"
#undef TK_TYPE
    default:
      return none;
  }
}

template <class Type>
constexpr bool quantised = Type::source_bytes > 4;

template <class Type>
int64_t blocks_of(int64_t cols) {
  return (cols + Type::Packed::columns - 1) / Type::Packed::columns;
}

template <class Type>
void pack(int64_t rows, int64_t cols, const char* source, int64_t first, int64_t last,
          char* packed) {
  using Packed = typename Type::Packed;
  constexpr int columns = Packed::columns;
  constexpr int block_bytes = Type::source_bytes * (quantised<Type> ? 1 : columns);
  const int64_t blocks = blocks_of<Type>(cols);
  const int64_t row_bytes = Type::source_bytes * (quantised<Type> ? blocks : cols);
  for (int64_t group = first; group < last; group++) {
    const int64_t row = group * group_rows;
    const int lanes = static_cast<int>(rows - row < group_rows ? rows - row : group_rows);
    for (int64_t b = 0; b < blocks; b++) {
      Packed out;
      if (lanes < group_rows) memset(&out, 0, sizeof out);
      const int64_t left = cols - b * columns;
      const int64_t count = left < columns ? left : columns;
      for (int lane = 0; lane < lanes; lane++) {
        Type::put(source + (row + lane) * row_bytes + b * block_bytes, count, out, lane);
      }
      memcpy(packed + (group * blocks + b) * static_cast<int64_t>(sizeof out), &out, sizeof out);
    }
  }
}

template <class Type>
void unpack(int64_t cols, const char* packed, int64_t row, float* out) {
  using Packed = typename Type::Packed;
  const int64_t blocks = blocks_of<Type>(cols);
  const char* group = packed + row / group_rows * blocks * static_cast<int64_t>(sizeof(Packed));
  for (int64_t b = 0; b < blocks; b++) {
    // Packed memory is aligned for the blocks of every type.
    const auto& block = reinterpret_cast<const Packed*>(group)[b];
    float values[Packed::columns];
    Type::take(block, static_cast<int>(row % group_rows), values);
    const int64_t left = cols - b * Packed::columns;
    const int64_t count = left < Packed::columns ? left : Packed::columns;
    memcpy(out + b * Packed::columns, values, static_cast<size_t>(count) * sizeof(float));
  }
}

}  // namespace

int64_t group_bytes(int type, int64_t cols) {
  return with_type(type, int64_t{-1}, [&](auto t) -> int64_t {
    using Type = decltype(t);
    if (cols < 1 || cols > INT64_MAX - Type::Packed::columns) return -1;
    if (quantised<Type> && cols % Type::Packed::columns != 0) return -1;
    int64_t bytes;
    const int64_t size = sizeof(typename Type::Packed);
    return __builtin_mul_overflow(blocks_of<Type>(cols), size, &bytes) ? -1 : bytes;
  });
}

int64_t packed_bytes(int type, int64_t rows, int64_t cols) {
  const int64_t group = group_bytes(type, cols);
  int64_t bytes;
  if (group < 0 || rows < 1 || rows > INT64_MAX - group_rows) return -1;
  return __builtin_mul_overflow(group, row_groups(rows), &bytes) ? -1 : bytes;
}

void pack_groups(int type, int64_t rows, int64_t cols, const void* source, int64_t first,
                 int64_t last, void* packed) {
  with_type(type, false, [&](auto t) {
    using Type = decltype(t);
    pack<Type>(rows, cols, static_cast<const char*>(source), first, last,
               static_cast<char*>(packed));
    return true;
  });
}

void unpack_row(int type, int64_t cols, const void* packed, int64_t row, float* out) {
  with_type(type, false, [&](auto t) {
    unpack<decltype(t)>(cols, static_cast<const char*>(packed), row, out);
    return true;
  });
}

}  // namespace tokamak::cpu
