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
// lanes' numbers in planes, in lane order: a warp reads contiguous memory, a lane 4 to 16 bytes at
// a time. Behind them stand the part's scales. A group is its parts in order; K types put a header
// of the super-block's scales before every 4 parts. kernels/README.md draws it.
//
// A format (format/*.cuh) says:
//   Block, block_columns   of the GGUF file
//   header_parts           parts that share a header; header_bytes, part_bytes
//   scale_steps            1 or 2 steps share a scale (and a minimum where has_minimums): their
//                          product is summed by itself, then scaled; 0: values need no scale
//   Operand                ExactA or PartsA
//   Held, hold             what a lane keeps of half a part, 2 steps
//   operand(held, step)    the lane's weights of step 0 or 1 of the half
//   scales(held, step, scale, min)  of the run that begins at a step of the half, rows g and g+8
//   value(header, part, place)   one value, the bits of tk_decode
//   pack(rows, i, header, part, lane)  writes the lane's share of part i of a group

#pragma once

#include "format/floats.cuh"
#include "format/q4_0.cuh"
#include "format/q4_k.cuh"
#include "format/q5_k.cuh"
#include "format/q6_k.cuh"
#include "format/q8_0.cuh"

namespace tokamak::cuda {

// ---- where things are ---------------------------------------------------------------------

TK_BLOCK constexpr int64_t parts_of(int64_t cols) {
  return (cols + part_columns - 1) / part_columns;
}

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
