// SPDX-License-Identifier: Apache-2.0
//
// Tiles of two packed factors on their way from memory to the tensor cores. A packed matrix [rows,
// cols] is a plane of bfloat16 [rows][stride], cols filled up with zeros to a multiple of 8. So every
// 8 values are one aligned copy of 16 bytes, whatever the width. For float32 two more planes follow,
// of what those before leave of each value:
//
//     v = high + middle + low     three times 8 bits: float32's 24, exactly
//
// and a product of two such sums is six products of parts, smallest first: low high, high low,
// middle middle, middle high, high middle, high high. What is left out is below 2^-24 of it. Two parts
// (parts.cuh) serve inference; in training their error of 2^-16, each step on top of that before,
// moves the losses of two hundred steps apart by more than 1e-3.
//
// A product sums over k, 32 at a time. A factor lies in memory with k along its rows, or turned,
// with k from row to row; the tile in shared memory lies as the factor does, and ldmatrix reads it
// plain or transposed:
//
//     plain    [Extent][32]  a line is 64 bytes, 4 chunks       as x and W in x W^T
//     turned   [32][Extent]  a line is 2 Extent bytes           as both in dY^T x
//
// The chunks of a line are permuted, so that the 8 lines that ldmatrix reads at once lie in
// different banks: by the line's number (turned), or by half of it, two lines being 128 bytes
// (plain).

#pragma once

#include "ptx.cuh"
#include "tokamak/block/half.h"

namespace tokamak::cuda {

constexpr int tile_k = 32;

/** Words of two neighbouring values, one for each plane. */
template <int Planes>
FN void split_planes(float first, float second, uint32_t (&word)[Planes]) {
#pragma unroll
  for (int p = 0; p < Planes; p++) {
    word[p] = ptx::pack_bf16(first, second);
    first -= ptx::bf16_low(word[p]);
    second -= ptx::bf16_high(word[p]);
  }
}

/** 8 values to the 16 bytes at `to` in each plane. */
template <int Planes>
FN void store_planes(char* to, int64_t plane_bytes, float4 left, float4 right) {
  uint32_t word[4][Planes];
  split_planes<Planes>(left.x, left.y, word[0]);
  split_planes<Planes>(left.z, left.w, word[1]);
  split_planes<Planes>(right.x, right.y, word[2]);
  split_planes<Planes>(right.z, right.w, word[3]);
#pragma unroll
  for (int p = 0; p < Planes; p++) {
    *reinterpret_cast<uint4*>(to + p * plane_bytes) =
        make_uint4(word[0][p], word[1][p], word[2][p], word[3][p]);
  }
}

/** sum += a b, where b is the left or the right half of two columns' operands. The operands are
 *  those of mma.m16n8k16. */
template <int Planes>
FN void multiply_planes(float (&sum)[4], const uint32_t (&a)[Planes][4],
                        const uint32_t (&b)[Planes][4], int side) {
  static_assert(Planes == 1 || Planes == 3);
  const auto multiply = [&](int of_a, int of_b) {
    const uint32_t word[2] = {b[of_b][2 * side], b[of_b][2 * side + 1]};
    ptx::mma_bf16(sum, a[of_a], word);
  };
  if constexpr (Planes == 3) {
    multiply(2, 0);
    multiply(0, 2);
    multiply(1, 1);
    multiply(1, 0);
    multiply(0, 1);
  }
  multiply(0, 0);
}

/** Columns of a packed matrix in memory. */
TK_BLOCK constexpr int64_t packed_stride(int64_t cols) { return (cols + 7) / 8 * 8; }

/** One factor of a block's product, as a thread copies it: Extent rows or columns of the result. */
template <int Extent, bool Turned, int Threads>
struct Side {
  static constexpr int line_chunks = (Turned ? Extent : tile_k) / 8;
  static constexpr int line_bytes = 16 * line_chunks;
  static constexpr int plane_bytes = Extent * tile_k * 2;
  static constexpr int copy_lines = Threads / line_chunks;  // from one copy of a thread to the next
  static constexpr int copies = plane_bytes / 16 / Threads;
  static_assert(copies * Threads * 16 == plane_bytes && copy_lines % 8 == 0);

  const uint16_t* from;  // the chunk of this thread's first copy, of the next step
  int64_t plane;         // values of a plane
  int64_t stride;
  int place;      // of the first copy in a stage
  int rows_left;  // of the matrix, from the first copy's line on
  int columns_left;

  /** @param first of the block's rows or columns of the result; k of the first step. */
  FN Side(const uint16_t* packed, int64_t rows, int64_t packed_columns, int64_t end_of_rows,
          int64_t first, int64_t k)
      : plane(rows * packed_columns), stride(packed_columns) {
    const int line = static_cast<int>(threadIdx.x) / line_chunks;
    const int chunk = static_cast<int>(threadIdx.x) % line_chunks;
    const int64_t row = (Turned ? k : first) + line, column = (Turned ? first : k) + 8 * chunk;
    from = packed + row * stride + column;
    rows_left = static_cast<int>(end_of_rows - row);
    columns_left = static_cast<int>(stride - column);
    place = line * line_bytes + (permuted(line, chunk) << 4);
  }

  FN static int permuted(int line, int chunk) {
    return chunk ^ (Turned ? line & 7 : line >> 1 & 3);
  }

  /** Starts this thread's copies of the next step into a stage, `Planes` planes. */
  template <int Planes>
  FN void copy(char* stage, const uint16_t* packed) {
#pragma unroll
    for (int i = 0; i < copies; i++) {
      const bool valid = i * copy_lines < rows_left && columns_left > 0;
      const uint16_t* const at = valid ? from + i * copy_lines * stride : packed;
#pragma unroll
      for (int p = 0; p < Planes; p++) {
        ptx::copy_async<16>(stage + p * plane_bytes + place + i * copy_lines * line_bytes,
                            at + (valid ? p * plane : 0), valid);
      }
    }
    if (Turned) {
      from += tile_k * stride;
      rows_left -= tile_k;
    } else {
      from += tile_k;
      columns_left -= tile_k;
    }
  }

  FN static const char* chunk_at(const char* plane, int line, int chunk) {
    return plane + line * line_bytes + (permuted(line, chunk) << 4);
  }

  /** Operand a of rows first .. first + 15 and the 16 k of a half step. */
  FN static void load_a(uint32_t (&a)[4], const char* plane, int first, int half, int lane) {
    if constexpr (Turned) {
      ptx::load_matrix_x4_transposed(
          a, chunk_at(plane, 16 * half + lane / 16 * 8 + lane % 8, first / 8 + lane / 8 % 2));
    } else {
      ptx::load_matrix_x4(a, chunk_at(plane, first + lane % 16, 2 * half + lane / 16));
    }
  }

  /** Operands b of columns first .. first + 7 and first + 8 .. first + 15. */
  FN static void load_b(uint32_t (&b)[4], const char* plane, int first, int half, int lane) {
    if constexpr (Turned) {
      ptx::load_matrix_x4_transposed(
          b, chunk_at(plane, 16 * half + lane % 16, first / 8 + lane / 16));
    } else {
      ptx::load_matrix_x4(
          b, chunk_at(plane, first + lane / 16 * 8 + lane % 8, 2 * half + lane / 8 % 2));
    }
  }
};

}  // namespace tokamak::cuda
