// SPDX-License-Identifier: Apache-2.0
//
// matmul: out[rows, out_dim] = x[rows, cols] * W^T (+ bias) for many rows, where the time is that
// of the tensor cores. The launcher is the one of matvec too: both give the same bits.
//   W packed (weight.cuh); grid: 128, 192 or 256 weight rows x 64 tokens a block, of 8 warps
//   bytes: W once, x, bias and out     operations: 2 * rows * cols * out_dim
//
//            tokens  0 .. 31   32 .. 63
//     weight rows     warp 0    warp 4        a warp: 32, 48 or 64 rows x 32 tokens
//         |           warp 1    warp 5
//         |           warp 2    warp 6
//         v           warp 3    warp 7
//
// Packed weights and float32 activations come into shared memory part by part (64 columns), by
// asynchronous copies one or two parts ahead. A thread splits the activations that it copied itself
// into bfloat16 parts, in place, before the barrier that also shows the copies of the others. A
// warp makes operands of its packed weights in registers, and reads those of the activations as
// they lie. The segments of K, which matvec gives to warps, are walked one after the other.
//
// One block a multiprocessor: two sums for every element, of the segment and of all of them, take
// 128 to 192 registers. With 32 x 32 a warp two blocks would fit, but more of their instructions
// would be copies, splits and dequantisation than the schedulers issue beside the products; 32 x 64
// asks more of shared memory than it gives (each 16 bytes of an operand serve only 32 rows).

#include "arguments.h"
#include "launch.cuh"
#include "product.cuh"
#include "step.h"
#include "types.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256;
constexpr int tile_tokens = 64;
constexpr int warps_of_rows = 4, warp_tiles = 4;  // 32 tokens
static_assert(warps_of_rows * (tile_tokens / 8 / warp_tiles) * 32 == threads);

template <class Format>
struct Shape {
  // Of 16 weight rows. F32 has no room for more; scales need the registers of a fourth.
  static constexpr int warp_groups = Format::part_bytes > 2048  ? 2
                                     : Format::scale_steps > 0 ? 3
                                                               : 4;
  static constexpr int groups = warps_of_rows * warp_groups;
  using Slot = tokamak::cuda::Slot<Format, 1>;
  static constexpr int sums_at = tile_tokens * token_bytes;
  static constexpr int weights_at = sums_at + (Format::has_minimums ? 2 * tile_tokens * 4 : 0);
  static constexpr int stage_bytes = weights_at + groups * Slot::bytes;
  // 99 KiB is what a block gets at most where capability is 8.6, 8.9 or 12.0
  static constexpr int most_bytes = 99 << 10;
  static constexpr int stages = 3 * stage_bytes <= most_bytes ? 3 : 2;
  static_assert(stages * stage_bytes <= most_bytes);
};

template <class Format>
__global__ void __launch_bounds__(threads, 1) matmul(Product product, int token_tiles) {
  using S = Shape<Format>;
  DYN_SMEM(memory);
  const int rows = *product.rows;
  const int first_token = static_cast<int>(blockIdx.x % token_tiles) * tile_tokens;
  if (first_token >= rows) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int first_group = static_cast<int>(blockIdx.x / token_tiles) * S::groups;
  const int groups = (product.out_dim + group_rows - 1) / group_rows - first_group;  // there are

  // A thread copies quad `quad` of tokens thread / 16, thread / 16 + 16, ... and splits them.
  constexpr int thread_quads = tile_tokens * quads / threads, thread_rows = threads / quads;
  const int quad = thread % quads, thread_token = thread / quads;
  const int tokens = rows - first_token;
  const float* from = product.x + int64_t{first_token + thread_token} * product.cols + quad * 4;
  const auto copy_activations = [&](uint8_t* stage, int part) {
    const int column = part * part_columns + quad * 4;
#pragma unroll
    for (int i = 0; i < thread_quads; i++) {
      const int token = thread_token + i * thread_rows;
      const float* quad_from = from + (i * thread_rows * product.cols + part * part_columns);
      uint8_t* to = stage + quad_at(token, quad);
      if (Format::block_columns > 1 || product.aligned) {
        const bool inside = Format::block_columns % part_columns == 0 || column < product.cols;
        ptx::copy_async<16>(to, quad_from, token < tokens && inside);
      } else {
        for (int k = 0; k < 4; k++) {
          const bool inside = token < tokens && column + k < product.cols;
          ptx::copy_async<4>(to + 4 * k, quad_from + k, inside);
        }
      }
    }
  };
  const auto split_activations = [&](uint8_t* stage) {
#pragma unroll
    for (int i = 0; i < thread_quads; i++) {
      const int token = thread_token + i * thread_rows;
      place_quad<Format>(stage, reinterpret_cast<float*>(stage + S::sums_at), tile_tokens, token,
                         quad, at<float4>(stage, quad_at(token, quad)));
    }
  };
  const uint8_t* weights = product.packed + (first_group + warp) * product.group_bytes;
  const auto copy_stage = [&](uint8_t* stage, int part) {
    if (part < product.parts) {
      copy_activations(stage, part);
      for (int i = 0; i < S::groups; i += threads / 32) {
        if (warp + i >= S::groups) break;
        S::Slot::copy(stage + S::weights_at + (warp + i) * S::Slot::bytes,
                      weights + i * product.group_bytes, part, part + 1, warp + i < groups, lane);
      }
    }
    ptx::copy_commit();
  };

  const int warp_group = warp % warps_of_rows * S::warp_groups;
  const int warp_token = warp / warps_of_rows * warp_tiles * 8;
  float total[S::warp_groups][warp_tiles][4] = {}, sum[S::warp_groups][warp_tiles][4] = {};
  for (int i = 0; i < S::stages - 1; i++) copy_stage(memory + i * S::stage_bytes, i);
  int stage = 0;  // of the part, in bytes
  for (int segment = 0, part = 0; segment < segments; segment++) {
    for (const int end = segment_begin(product.parts, segment + 1); part < end; part++) {
      ptx::copy_wait<S::stages - 2>();
      split_activations(memory + stage);
      __syncthreads();  // the stage is complete, and all are done with the one before
      const int before = (stage == 0 ? S::stages * S::stage_bytes : stage) - S::stage_bytes;
      copy_stage(memory + before, part + S::stages - 1);
      const Activations x =
          activations(memory + stage, reinterpret_cast<const float*>(memory + stage + S::sums_at),
                      tile_tokens, warp_token, lane);
      multiply_part<Format, 1>(memory + stage + S::weights_at + warp_group * S::Slot::bytes, 0,
                               lane, x, sum);
      stage = stage == (S::stages - 1) * S::stage_bytes ? 0 : stage + S::stage_bytes;
    }
    for (int group = 0; group < S::warp_groups; group++) {
      for (int tile = 0; tile < warp_tiles; tile++) {
        for (int i = 0; i < 4; i++) {
          total[group][tile][i] += sum[group][tile][i];
          sum[group][tile][i] = 0;
        }
      }
    }
  }

  for (int group = 0; group < S::warp_groups; group++) {
    for (int i = 0; i < 4; i++) {
      const int row = (first_group + warp_group + group) * group_rows + result_row(lane, i);
      if (row >= product.out_dim) continue;
      const float bias = product.bias == nullptr ? 0.0f : product.bias[row];
      for (int tile = 0; tile < warp_tiles; tile++) {
        const int token = warp_token + tile * 8 + result_token(lane, i);
        if (token < tokens) {
          product.out[int64_t{first_token + token} * product.out_dim + row] =
              total[group][tile][i] + bias;
        }
      }
    }
  }
}

template <class Format>
int launch_tiles(void* stream, int type, int rows, const Product& product) {
  using S = Shape<Format>;
  constexpr int tile_rows = S::groups * group_rows;
  const int token_tiles = (rows + tile_tokens - 1) / tile_tokens;
  const int row_tiles = (product.out_dim + tile_rows - 1) / tile_rows;
  // Up to 16 rows matvec reads the weights once. With more it reads them once for every 16, from
  // the cache, and works out the same bits on all multiprocessors, where matmul has not the tiles
  // for half of them.
  if (rows <= 16 || (rows <= 128 && token_tiles * row_tiles < 64)) {
    return launch_matvec(stream, type, rows, product);
  }
  // neighbouring blocks read the same weights
  return launch(stream,
                Grid{dim3(static_cast<unsigned>(token_tiles * row_tiles)), dim3(threads),
                     size_t{S::stages} * S::stage_bytes},
                matmul<Format>, product, token_tiles);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_matmul(tk_cuda_step* step, int rows, const float* x, int64_t cols, int type,
                   const void* packed, int64_t out_dim, const float* bias, float* out) {
  const BlockSize block = block_size(type);
  Arguments arguments("tk_cuda_matmul");
  arguments.step(step)
      .rows(rows)
      .pointer("x", x)
      .range("cols", cols, 1, most_columns)
      .width("out_dim", out_dim)
      .pointer("packed", packed)
      .aligned("packed", packed, 16)
      .optional("bias", bias)
      .pointer("out", out)
      .that(block.elements != 0, TK_UNSUPPORTED, "type is none of quant.def");
  if (arguments.status() == TK_OK) {
    arguments.multiple("cols", cols, "block", block.elements)
        .aligned("x", x, block.elements > 1 ? 16 : 4)
        .numbers(step->most(rows), cols)
        .numbers(step->most(rows), out_dim);
  }
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t bytes = tk_cuda_packed_bytes(type, out_dim, cols);
  const int most = step->most(rows);
  const int64_t groups = (out_dim + group_rows - 1) / group_rows;
  const Product product{x,
                        static_cast<const uint8_t*>(packed),
                        bias,
                        out,
                        step->count(rows),
                        bytes / groups,
                        static_cast<int>(cols),
                        static_cast<int>(parts_of(cols)),
                        static_cast<int>(out_dim),
                        aligned16(x, cols)};
  const double numbers = 1.0 * most * (cols + out_dim) + (bias == nullptr ? 0 : out_dim);
  report_work(4 * numbers + static_cast<double>(bytes), 2.0 * most * cols * out_dim);
  return with_format(type, int{TK_UNSUPPORTED}, [&](auto format) {
    return launch_tiles<decltype(format)>(step->stream, type, most, product);
  });
}
