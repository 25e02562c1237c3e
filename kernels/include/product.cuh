// SPDX-License-Identifier: Apache-2.0
//
// One part (64 columns) of a product of packed weights and activations: what matvec and matmul do
// with it, the same instructions in the same order for every element of the result, so that their
// bits are equal. Also how K is cut into segments, which makes the order of the whole sum:
//
//     element = ((0 + s0) + s1) + ...     s = the parts of segment s, one after the other, from 0
//
// Activations lie in shared memory as bfloat16 parts, [token][64 columns] of 256 bytes: for four
// columns 4t .. 4t+3 of a step the 16 bytes
//
//     high 4t 4t+1 | high 4t+2 4t+3 | low 4t 4t+1 | low 4t+2 4t+3
//
// which are the operand of lane 4g+t for token g. The step's 64 bytes of odd tokens change places
// pairwise, so that the 8 lanes of one phase, two tokens, meet all 32 banks.

#pragma once

#include "weight.cuh"

namespace tokamak::cuda {

/** The operands of tk_cuda_matmul. */
struct Product {
  const float* x;  // [*rows, cols]
  const uint8_t* packed;
  const float* bias;  // [out_dim] or null
  float* out;         // [*rows, out_dim]
  const int32_t* rows;
  int64_t group_bytes;  // of packed
  int cols, parts, out_dim;
  bool aligned;  // rows of x begin at multiples of 16 bytes; always if the type has blocks
};

/** By matvec.cu: for a step of at most `rows` rows. */
int launch_matvec(void* stream, int type, int rows, const Product& product);

constexpr int quads = part_columns / 4;  // of a token
constexpr int token_bytes = part_columns * 4;

/** Segments of K, whole pairs of parts: a function of cols alone. */
constexpr int segments = 8;
FN int segment_begin(int parts, int segment) {
  return min((parts + 1) / 2 * segment / segments * 2, parts);
}

/** Where the four values of a quad (0 .. 15) of a token lie. */
FN int quad_at(int token, int quad) {
  return token * token_bytes + (quad / 4 ^ (token & 1)) * 64 + quad % 4 * 16;
}

/** x[0 .. 3], which are columns column .. column+3 of a row; zeros from cols on. `beyond`: the
 *  caller may ask for parts that no row has. */
template <class Format>
FN float4 load_quad(const float* x, int column, bool beyond, const Product& product) {
  const int cols = product.cols;
  float4 v = make_float4(0, 0, 0, 0);
  if (Format::block_columns > 1 || product.aligned) {
    if ((Format::block_columns % part_columns == 0 && !beyond) || column < cols) {
      v = *reinterpret_cast<const float4*>(x);
    }
  } else {
    if (column < cols) v.x = x[0];
    if (column + 1 < cols) v.y = x[1];
    if (column + 2 < cols) v.z = x[2];
    if (column + 3 < cols) v.w = x[3];
  }
  return v;
}

/** Puts a quad in place. All lanes of the warp call it, lane i with quad i % 16. `sums` [2][tokens]
 *  are of 32 columns each, for types with minimums. */
template <class Format>
FN void place_quad(uint8_t* parts, float* sums, int tokens, int token, int quad, float4 v) {
  const Pair left = split(v.x, v.y), right = split(v.z, v.w);
  ptx::count_conflicts<16>(parts + quad_at(token, quad));
  put(parts, quad_at(token, quad), make_uint4(left.high, right.high, left.low, right.low));
  if constexpr (Format::has_minimums) {
    float sum = (v.x + v.y) + (v.z + v.w);
    for (int lanes = 1; lanes < 8; lanes *= 2) sum += __shfl_xor_sync(~0u, sum, lanes);
    if (quad % 8 == 0) sums[quad / 8 * tokens + token] = sum;
  }
}

/** What a lane reads of the activations, in tiles of 8 tokens. */
struct Activations {
  const uint8_t* parts;  // of this lane's token of tile 0, its first quad
  int odd;               // whether that token is odd: of every tile, then
  const float* sums;     // of this lane's two columns of the result, in tile 0
  int tokens;            // from the sums of 32 columns to those of the next

  FN PartsB operand(int tile, int step) const {
    const int place = (odd ^ step % 2) * 64 + step / 2 * 128 + tile * 8 * token_bytes;
    ptx::count_conflicts<16>(parts + place);
    const uint4 v = at<uint4>(parts, place);
    return {{v.x, v.y}, {v.z, v.w}};
  }

  FN float2 sum(int tile, int half) const {
    return *reinterpret_cast<const float2*>(sums + half * tokens + tile * 8);
  }
};

/** From token `first`, a multiple of 8, of `tokens`. */
FN Activations activations(const uint8_t* parts, const float* sums, int tokens, int first,
                           int lane) {
  const int token = first + lane / 4;
  return {parts + token * token_bytes + lane % 4 * 16, token & 1, sums + first + lane % 4 * 2,
          tokens};
}

/** A place in shared memory for `PARTS` parts of a group, their header before them. */
template <class Format, int PARTS>
struct Slot {
  static constexpr int bytes = Format::header_bytes + PARTS * Format::part_bytes;

  /** Starts the warp's copy of parts part, part + 1, ..., below `end` and with the same header.
   *  `valid` false fills with zeros. */
  FN static void copy(uint8_t* slot, const uint8_t* group, int part, int end, bool valid,
                      int lane) {
    const int present =
        PARTS == 1 ? bytes : Format::header_bytes + min(end - part, PARTS) * Format::part_bytes;
    const uint8_t* header = group + header_at<Format>(part) + lane * 16;
    const uint8_t* rest = group + part_at<Format>(part) - Format::header_bytes + lane * 16;
#pragma unroll
    for (int first = 0; first < bytes; first += 32 * 16) {
      const int byte = first + lane * 16;
      if (first + 32 * 16 <= Format::header_bytes + Format::part_bytes || byte < present) {
        const uint8_t* from = (byte < Format::header_bytes ? header : rest) + first;
        ptx::copy_async<16>(slot + byte, from, valid);
      }
    }
  }
};

/** sum[group][tile] += part `index` of the groups' slots, one behind the other, times a part of the
 *  tokens. */
template <class Format, int PARTS, int GROUPS, int TILES>
FN void multiply_part(const uint8_t* slots, int index, int lane, const Activations& x,
                      float (&sum)[GROUPS][TILES][4]) {
  // large products: one half at a time, or the compiler keeps both in registers that are not there
#pragma unroll(GROUPS * TILES > 4 ? 1 : 2)
  for (int half = 0; half < 2; half++) {
    typename Format::Held held[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
      const uint8_t* slot = slots + group * Slot<Format, PARTS>::bytes;
      held[group] = Format::hold(
          slot, slot + Format::header_bytes + index * Format::part_bytes, lane, half);
    }
    // steps whose products are summed before they meet the total
    constexpr int run_steps = Format::scale_steps == 0 ? 1 : Format::scale_steps;
#pragma unroll
    for (int first = 0; first < 2; first += run_steps) {
      typename Format::Operand a[GROUPS][run_steps];
      float scale[GROUPS][2], min[GROUPS][2];  // of rows g, g+8
      for (int group = 0; group < GROUPS; group++) {
        for (int i = 0; i < run_steps; i++) {
          a[group][i] = Format::operand(held[group], first + i);
        }
        if constexpr (Format::scale_steps > 0) {
          Format::scales(held[group], first, scale[group], min[group]);
        }
      }
      for (int tile = 0; tile < TILES; tile++) {
        PartsB b[run_steps];
        for (int i = 0; i < run_steps; i++) b[i] = x.operand(tile, half * 2 + first + i);
        for (int group = 0; group < GROUPS; group++) {
          float(&total)[4] = sum[group][tile];
          if constexpr (Format::scale_steps == 0) {
            multiply(total, a[group][0], b[0]);
          } else {
            float run[4];
            multiply_from_zero(run, a[group][0], b[0]);
            for (int i = 1; i < run_steps; i++) multiply(run, a[group][i], b[i]);
            for (int i = 0; i < 4; i++) total[i] = fmaf(scale[group][i / 2], run[i], total[i]);
          }
          if constexpr (Format::has_minimums) {
            const float2 of_x = x.sum(tile, half);  // of the two columns
            total[0] = fmaf(-min[group][0], of_x.x, total[0]);
            total[1] = fmaf(-min[group][0], of_x.y, total[1]);
            total[2] = fmaf(-min[group][1], of_x.x, total[2]);
            total[3] = fmaf(-min[group][1], of_x.y, total[3]);
          }
        }
      }
    }
  }
}

/** The row of a group, and the token of a tile, that sum[i] of lane 4g+t is for. */
FN int result_row(int lane, int i) { return lane / 4 + i / 2 * 8; }
FN int result_token(int lane, int i) { return lane % 4 * 2 + i % 2; }

}  // namespace tokamak::cuda
