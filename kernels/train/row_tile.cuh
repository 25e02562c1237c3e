// SPDX-License-Identifier: Apache-2.0
//
// What attention of training and its gradients are made of: a block owns some rows of one head, a
// warp 16 of them, and a stream of other rows passes through shared memory.
//
//     kernel        owns          streams            a warp computes
//     attention     queries       keys, values       s = q k^T, o += p v
//     gradient q    queries, do   keys, values       s, dp = do v^T, dq += ds k
//     gradient kv   keys, values  queries, do        s^T = k q^T, dp^T = v do^T, dv += p^T do,
//                                                    dk += ds^T q
//
// So there are two products: of own rows by streamed ones, turned (scores); and of what is made of
// scores, which are where operand a wants them, by streamed rows. Rows lie in shared
// memory as planes of bfloat16 [rows][Dim] (tile.cuh), chunks of 16 bytes permuted by row so that
// ldmatrix meets no bank twice.
//
// A query sees the keys from the first row of its sequence to itself. What it does not see is
// computed with, where a tile has others that do, and gets the weight 0.

#pragma once

#include "tile.cuh"
#include "vectors.cuh"

namespace tokamak::cuda {

/** Heads of up to Dim values. Two owned and two streamed tiles fit into 96 KiB. */
template <int Dim, int Planes>
struct AttentionShape {
  static constexpr int warps = Dim * Planes <= 256 ? 4 : Dim * Planes <= 384 ? 2 : 1;
  static constexpr int threads = 32 * warps, owned = 16 * warps;
  static constexpr int streamed = Dim <= 128 ? 32 : 16;
  static constexpr int columns = Dim <= 128 ? Dim : 128;  // of both gradients of keys and values
};

struct TrainAttention {
  const float* q;
  const float* k;
  const float* v;
  const float* log_sums;      // [rows][heads]
  const float* out_gradient;  // null in the forward pass
  const float* products;      // [rows][heads], of out_gradient and out
  float* out;                 // or the gradient of q
  float* out_log_sums;
  float* k_gradient;
  float* v_gradient;
  const int32_t* starts;
  int rows, heads, kv_heads, head_dim;
  float scale;
  bool aligned;

  FN int steps() const { return (head_dim + 15) / 16; }
};

constexpr float log2_e = 1.44269504088896341f, ln_2 = 0.69314718055994531f;

/** A tile [Rows][Dim] in shared memory. */
template <int Dim, int Planes, int Rows>
struct RowTile {
  static constexpr int plane_bytes = Rows * Dim * 2, bytes = Planes * plane_bytes;

  char* memory;

  FN char* chunk(int plane, int row, int number) const {
    return memory + plane * plane_bytes + row * (2 * Dim) + ((number ^ (row & 7)) << 4);
  }

  /** Brings the rows first, first + 1, ... of one head; zeros from row `end` on. A block together. */
  template <int Threads>
  FN void load(const float* x, int64_t stride, int first, int end, int dim, bool aligned) const {
    for (int i = static_cast<int>(threadIdx.x); i < Rows * (Dim / 8); i += Threads) {
      const int row = i / (Dim / 8), number = i % (Dim / 8);
      if (number >= (dim + 15) / 16 * 2) continue;
      const float* const from = x + (first + row) * stride;
      const int columns = first + row < end ? dim : 0;
      const float4 a = load4(from, 8 * number, columns, aligned);
      const float4 b = load4(from, 8 * number + 4, columns, aligned);
      store_planes<Planes>(chunk(0, row, number), plane_bytes, a, b);
    }
  }
};

/** s[16][Streamed] = own rows first .. first + 15 times streamed rows, turned. */
template <int Dim, int Planes, int Owned, int Streamed>
FN void scores_of(float (&s)[Streamed / 8][4], const RowTile<Dim, Planes, Owned>& own, int first,
                  const RowTile<Dim, Planes, Streamed>& stream, int steps, int lane) {
#pragma unroll
  for (int j = 0; j < Streamed / 8; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) s[j][i] = 0;
  }
#pragma unroll 2
  for (int step = 0; step < steps; step++) {
    uint32_t a[Planes][4];
#pragma unroll
    for (int p = 0; p < Planes; p++) {
      ptx::load_matrix_x4(a[p], own.chunk(p, first + lane % 16, 2 * step + lane / 16));
    }
#pragma unroll
    for (int j = 0; j < Streamed / 8; j += 2) {
      uint32_t b[Planes][4];
#pragma unroll
      for (int p = 0; p < Planes; p++) {
        ptx::load_matrix_x4(
            b[p], stream.chunk(p, 8 * j + lane / 16 * 8 + lane % 8, 2 * step + lane / 8 % 2));
      }
      multiply_planes<Planes>(s[j], a, b, 0);
      multiply_planes<Planes>(s[j + 1], a, b, 1);
    }
  }
}

/** sum [16][8 Columns8] += w [16][Streamed] times the streamed rows' columns from 8 `chunk` on. */
template <int Columns8, int Dim, int Planes, int Streamed>
FN void add_rows(float (&sum)[Columns8][4], const float (&w)[Streamed / 8][4],
                 const RowTile<Dim, Planes, Streamed>& stream, int chunk, int steps, int lane) {
#pragma unroll
  for (int i = 0; i < Streamed / 16; i++) {
    uint32_t a[Planes][4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float* const two = &w[2 * i + j / 2][j % 2 * 2];
      uint32_t word[Planes];
      split_planes<Planes>(two[0], two[1], word);
#pragma unroll
      for (int p = 0; p < Planes; p++) a[p][j] = word[p];
    }
#pragma unroll
    for (int c = 0; c < Columns8; c += 2) {
      if (chunk + c >= 2 * steps) continue;
      uint32_t b[Planes][4];
#pragma unroll
      for (int p = 0; p < Planes; p++) {
        ptx::load_matrix_x4_transposed(
            b[p], stream.chunk(p, 16 * i + lane % 16, chunk + c + lane / 16));
      }
      multiply_planes<Planes>(sum[c], a, b, 0);
      multiply_planes<Planes>(sum[c + 1], a, b, 1);
    }
  }
}

/** Writes factor[half] * sum to one head of the rows first + g and first + 8 + g, below `end`. */
template <int Columns8>
FN void write_rows(const float (&sum)[Columns8][4], const float (&factor)[2], float* x,
                   int64_t stride, int first, int end, int column, int dim, int lane) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = first + 8 * half + lane / 4;
    if (row >= end) continue;
#pragma unroll
    for (int c = 0; c < Columns8; c++) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        const int at = column + 8 * c + lane % 4 * 2 + i;
        if (at < dim) x[row * stride + at] = sum[c][2 * half + i] * factor[half];
      }
    }
  }
}

template <int Dim>
struct HeadSize {
  static constexpr int value = Dim;
};

/** f(HeadSize) for heads of `dim` values. */
template <class F>
int with_head_size(int64_t dim, F f) {
  return dim <= 64 ? f(HeadSize<64>{}) : dim <= 128 ? f(HeadSize<128>{}) : f(HeadSize<256>{});
}

constexpr int64_t most_head_dim = 256;

}  // namespace tokamak::cuda
