// SPDX-License-Identifier: Apache-2.0
//
// pack: pack_groups of pack.h, the same bytes. Where that puts a word at a time into its lane, here
// 16 words of 16 rows are transposed at once, and what is left to do is done to whole vectors.

namespace TK_LEVEL {

/** 16 rows of a matrix in the layout of the file, at any address. */
struct SourceRows {
  const char* first;
  int64_t row_bytes;

  const char* at(int row, int64_t byte) const { return first + row * row_bytes + byte; }
};

/** Lane r of words[i] is word i, from `byte` on, of row r. */
static inline void load_columns(const SourceRows& rows, int64_t byte, Ints (&words)[16]) {
  TK_UNROLL for (int r = 0; r < 16; r++) words[r] = load_ints(rows.at(r, byte));
  transpose(words);
}

/** The same of the 4 words at each of 4 places. */
static inline void load_columns(const SourceRows& rows, int64_t a, int64_t b, int64_t c, int64_t d,
                                Ints (&words)[16]) {
  TK_UNROLL for (int r = 0; r < 16; r++) {
    words[r] = load_quarters(rows.at(r, a), rows.at(r, b), rows.at(r, c), rows.at(r, d));
  }
  transpose(words);
}

/** The same of the `bytes`, fewer than 64, that are left of each row; words past them are zero. */
static inline void load_last_columns(const SourceRows& rows, int64_t byte, int64_t bytes,
                                     Ints (&words)[16]) {
  for (int r = 0; r < 16; r++) {
    char row[64] = {};
    __builtin_memcpy(row, rows.at(r, byte), static_cast<size_t>(bytes));
    words[r] = load_ints(row);
  }
  transpose(words);
}

/** The 2 bytes at `byte` of each row. */
static inline void copy_halves(const SourceRows& rows, int64_t byte, uint16_t (&out)[16]) {
  TK_UNROLL for (int r = 0; r < 16; r++) __builtin_memcpy(&out[r], rows.at(r, byte), 2);
}

/** Pairs of steps of 4-bit numbers: one from the low, one from the high halves of 8 words. */
TK_INLINE void store_low_nibbles(const Ints* words, int pairs, uint8_t (*out)[16][4]) {
  const Ints low = set_ints(0x0f0f0f0f);
  TK_UNROLL for (int p = 0; p < pairs; p++) {
    store_ints(out[p], bit_or(bit_and(words[2 * p], low),
                              shift_left<4>(bit_and(words[2 * p + 1], low))));
  }
}
TK_INLINE void store_high_nibbles(const Ints* words, int pairs, uint8_t (*out)[16][4]) {
  const Ints low = set_ints(0x0f0f0f0f), high = shift_left<4>(low);
  TK_UNROLL for (int p = 0; p < pairs; p++) {
    store_ints(out[p], bit_or(bit_and(shift_right<4>(words[2 * p]), low),
                              bit_and(words[2 * p + 1], high)));
  }
}

/** The lowest byte of each lane; what is above it comes next. */
TK_INLINE Ints next_byte(Ints& lanes) {
  const Ints byte = bit_and(lanes, set_ints(0xff));
  lanes = shift_right<8>(lanes);
  return byte;
}

static void pack_group(const SourceRows& rows, int64_t cols, PackedF32* out) {
  for (int64_t k = 0; k < cols; k += 16, out++) {
    Ints words[16];
    if (cols - k >= 16) {
      load_columns(rows, 4 * k, words);
    } else {
      load_last_columns(rows, 4 * k, 4 * (cols - k), words);
    }
    TK_UNROLL for (int i = 0; i < 16; i++) store_ints(out->values[i], words[i]);
  }
}

TK_INLINE void store_pairs(const Ints* words, PackedF16& out) {
  TK_UNROLL for (int i = 0; i < 8; i++) {
    store_low_halves(out.values[2 * i], words[i]);
    store_low_halves(out.values[2 * i + 1], shift_right<16>(words[i]));
  }
}
TK_INLINE void store_pairs(const Ints* words, PackedBF16& out) {
  TK_UNROLL for (int i = 0; i < 8; i++) store_ints(out.values[i], words[i]);
}
/** F16 and BF16: two blocks are 64 bytes of a row. */
template <class Packed>
static void pack_halves(const SourceRows& rows, int64_t cols, Packed* out) {
  for (int64_t k = 0; k < cols; k += 32, out += 2) {
    Ints words[16];
    if (cols - k >= 32) {
      load_columns(rows, 2 * k, words);
    } else {
      load_last_columns(rows, 2 * k, 2 * (cols - k), words);
    }
    store_pairs(words, out[0]);
    if (cols - k > 16) store_pairs(words + 8, out[1]);
  }
}
static void pack_group(const SourceRows& rows, int64_t cols, PackedF16* out) {
  pack_halves(rows, cols, out);
}
static void pack_group(const SourceRows& rows, int64_t cols, PackedBF16* out) {
  pack_halves(rows, cols, out);
}

TK_INLINE void store_bytes(const Ints* words, PackedQ8_0& out) {
  const Ints middle = set_ints(static_cast<int32_t>(0x80808080));
  TK_UNROLL for (int s = 0; s < 8; s++) store_ints(out.bytes[s], bit_xor(words[s], middle));
}
/** Two blocks at once; one alone is both. */
static void pack_group(const SourceRows& rows, int64_t cols, PackedQ8_0* out) {
  const int64_t bytes = cols / 32 * int64_t{sizeof(BlockQ8_0)};
  for (int64_t a = 0; a < bytes; a += 2 * int64_t{sizeof(BlockQ8_0)}, out += 2) {
    const bool two = a + int64_t{sizeof(BlockQ8_0)} < bytes;
    const int64_t b = two ? a + int64_t{sizeof(BlockQ8_0)} : a;
    Ints words[16];
    load_columns(rows, a + 2, a + 18, b + 2, b + 18, words);
    store_bytes(words, out[0]);
    copy_halves(rows, a, out[0].scales);
    if (two) {
      store_bytes(words + 8, out[1]);
      copy_halves(rows, b, out[1].scales);
    }
  }
}

/** Four blocks at once; where fewer are left, the last one stands for the others. */
static void pack_group(const SourceRows& rows, int64_t cols, PackedQ4_0* out) {
  const int64_t blocks = cols / 32;
  for (int64_t block = 0; block < blocks; block += 4, out += 4) {
    const int64_t left = blocks - block;
    const int count = left < 4 ? static_cast<int>(left) : 4;
    int64_t at[4];
    for (int i = 0; i < 4; i++) {
      at[i] = (block + (i < count ? i : count - 1)) * int64_t{sizeof(BlockQ4_0)};
    }
    Ints words[16];
    load_columns(rows, at[0] + 2, at[1] + 2, at[2] + 2, at[3] + 2, words);
    TK_UNROLL for (int i = 0; i < 4; i++) {
      if (i < count) {
        // a word has 4 columns of the first half low, 4 of the second half high
        store_low_nibbles(words + 4 * i, 2, out[i].nibbles.pairs);
        store_high_nibbles(words + 4 * i, 2, out[i].nibbles.pairs + 2);
        copy_halves(rows, at[i], out[i].scales);
      }
    }
  }
}

/** The two scales and those of the parts, of blocks of Q4_K or Q5_K: tk_scale_and_min of 16 rows
 *  and, a byte each, 4 parts at once. */
template <class Packed>
TK_INLINE void pack_scales(const SourceRows& rows, int64_t at, Packed& out) {
  Ints words[16];
  load_columns(rows, at, at, at, at, words);
  store_low_halves(out.scale, words[0]);
  store_low_halves(out.min, shift_right<16>(words[0]));
  const Ints six = set_ints(0x3f3f3f3f), low = set_ints(0x0f0f0f0f), upper = set_ints(0x30303030);
  Ints scales[2] = {
      bit_and(words[1], six),
      bit_or(bit_and(words[3], low), bit_and(shift_right<2>(words[1]), upper))};
  Ints mins[2] = {
      bit_and(words[2], six),
      bit_or(bit_and(shift_right<4>(words[3]), low), bit_and(shift_right<2>(words[2]), upper))};
  TK_UNROLL for (int p = 0; p < 8; p++) {
    store_s8(out.parts[p].scales, next_byte(scales[p / 4]));
    store_s8(out.parts[p].mins, next_byte(mins[p / 4]));
  }
}

/** The nibbles of 4 of the 8 parts of Q4_K and Q5_K: 8 words have an even part low, an odd high. */
template <class Part>
TK_INLINE void pack_parts(const SourceRows& rows, int64_t at, Part* parts) {
  Ints words[16];
  load_columns(rows, at, words);
  TK_UNROLL for (int i = 0; i < 2; i++) {
    store_low_nibbles(words + 8 * i, 4, parts[2 * i].nibbles.pairs);
    store_high_nibbles(words + 8 * i, 4, parts[2 * i + 1].nibbles.pairs);
  }
}

static void pack_group(const SourceRows& rows, int64_t cols, PackedQ4_K* out) {
  for (int64_t k = 0, at = 0; k < cols; k += 256, at += int64_t{sizeof(BlockQ4_K)}, out++) {
    pack_scales(rows, at, *out);
    for (int half = 0; half < 2; half++) {
      pack_parts(rows, at + int64_t{offsetof(BlockQ4_K, nibbles)} + 64 * half,
                 out->parts + 4 * half);
    }
  }
}

static void pack_group(const SourceRows& rows, int64_t cols, PackedQ5_K* out) {
  for (int64_t k = 0, at = 0; k < cols; k += 256, at += int64_t{sizeof(BlockQ5_K)}, out++) {
    pack_scales(rows, at, *out);
    for (int half = 0; half < 2; half++) {
      pack_parts(rows, at + int64_t{offsetof(BlockQ5_K, nibbles)} + 64 * half,
                 out->parts + 4 * half);
    }
    Ints fifth[16];
    const int64_t bits_at = at + int64_t{offsetof(BlockQ5_K, fifth)};
    load_columns(rows, bits_at, bits_at + 16, bits_at, bits_at + 16, fifth);
    for (int p = 0; p < 8; p++) {
      Ints bits = set_ints(0);
      TK_UNROLL for (int s = 7; s >= 0; s--) {
        bits = bit_or(shift_left<1>(bits), bit_and(fifth[s], set_ints(0x01010101)));
        fifth[s] = shift_right<1>(fifth[s]);
      }
      store_ints(out->parts[p].fifth, bits);
    }
  }
}

static void pack_group(const SourceRows& rows, int64_t cols, PackedQ6_K* out) {
  for (int64_t k = 0, at = 0; k < cols; k += 256, at += int64_t{sizeof(BlockQ6_K)}, out++) {
    Ints upper[16], scales[16];
    load_columns(rows, at + int64_t{offsetof(BlockQ6_K, upper)}, upper);
    for (int half = 0; half < 2; half++) {
      auto* parts = out->parts + 4 * half;
      Ints words[16];
      load_columns(rows, at + 64 * half, words);
      store_low_nibbles(words, 4, parts[0].nibbles.pairs);
      store_low_nibbles(words + 8, 4, parts[1].nibbles.pairs);
      store_high_nibbles(words, 4, parts[2].nibbles.pairs);
      store_high_nibbles(words + 8, 4, parts[3].nibbles.pairs);
    }
    for (int quarter = 0; quarter < 4; quarter++) {
      TK_UNROLL for (int i = 0; i < 4; i++) {  // 4 steps of one half of the block
        Ints bits = set_ints(0);
        TK_UNROLL for (int s = 4 * i + 3; s >= 4 * i; s--) {
          bits = bit_or(shift_left<2>(bits), bit_and(upper[s], set_ints(0x03030303)));
          upper[s] = shift_right<2>(upper[s]);
        }
        store_ints(out->parts[4 * (i / 2) + quarter].upper[i % 2], bits);
      }
    }
    const int64_t scales_at = at + int64_t{offsetof(BlockQ6_K, scales)};
    load_columns(rows, scales_at, scales_at, scales_at, scales_at, scales);
    const Ints sign = set_ints(0x80);
    TK_UNROLL for (int i = 0; i < 16; i++) {
      const Ints scale = sub(bit_xor(next_byte(scales[i / 4]), sign), sign);
      store_s8(out->parts[i / 2].scales[i % 2], scale);
    }
    copy_halves(rows, at + int64_t{offsetof(BlockQ6_K, scale)}, out->scale);
  }
}

/** Whole groups first .. last-1. */
template <class Packed>
static void pack_whole(int64_t cols, int64_t row_bytes, const char* source, int64_t first,
                       int64_t last, void* packed) {
  const int64_t blocks = (cols + Packed::columns - 1) / Packed::columns;
  for (int64_t group = first; group < last; group++) {
    const SourceRows rows = {source + group * group_rows * row_bytes, row_bytes};
    pack_group(rows, cols, static_cast<Packed*>(packed) + group * blocks);
  }
}

static void pack(int type, int64_t rows, int64_t cols, const void* source, int64_t first,
                 int64_t last, void* packed) {
  const int64_t groups = rows / group_rows, whole = last < groups ? last : groups;
  const char* from = static_cast<const char*>(source);
  switch (type) {
#define TK_TYPE(name, number, elements, bytes)                                                \
  case number:                                                                                \
    pack_whole<Packed##name>(cols, cols / (elements) * (bytes), from, first, whole, packed);  \
    break;
#include "tokamak/quant.def"
#undef TK_TYPE
  }
  // Of fewer rows there is at most one group.
  if (last > groups) {
    pack_groups(type, rows, cols, source, first > groups ? first : groups, last, packed);
  }
}

}  // namespace TK_LEVEL
