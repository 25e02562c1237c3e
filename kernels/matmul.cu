// SPDX-License-Identifier: Apache-2.0
//
// matmul: out[rows, out_dim] = x[rows, cols] * W^T (+ bias) for many rows, where the time is that of
// the tensor cores. The launcher is the one of matvec too: both give the same bits.
//   W packed (weight.cuh); grid: (tiles of 64 tokens, tiles of 128 weight rows), 8 warps a block
//
// Packed weights and float32 activations come into shared memory part by part (64 columns), by
// asynchronous copies one or two parts ahead. A thread splits the activations that it copied itself
// into bfloat16 parts, in place, before the barrier that also shows the copies of the others. A warp
// has 32 weight rows x 32 tokens: it makes operands of its packed weights in registers, and reads
// those of the activations as they lie. Four warps dequantise different rows; two the same ones.
// The segments of K, which matvec gives to warps, are walked one after the other.
//
//            tokens  0 .. 31   32 .. 63
//     rows  0 .. 31   warp 0    warp 4
//          32 .. 63   warp 1    warp 5
//          64 .. 95   warp 2    warp 6
//          96 .. 127  warp 3    warp 7

#include "arguments.h"
#include "launch.cuh"
#include "product.cuh"
#include "step.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256;
constexpr int tile_groups = 8, tile_tokens = 64;
constexpr int warp_groups = 2, warp_tiles = 4;  // of 16 weight rows, of 8 tokens
constexpr int warps_of_rows = tile_groups / warp_groups;
static_assert(warps_of_rows * (tile_tokens / 8 / warp_tiles) * 32 == threads);

template <class Format>
struct Stage {
  static constexpr int slot_bytes = Format::header_bytes + Format::part_bytes;
  static constexpr int sums_at = tile_tokens * token_bytes;
  static constexpr int weights_at = sums_at + (Format::has_minimums ? 2 * tile_tokens * 4 : 0);
  static constexpr int bytes = weights_at + tile_groups * slot_bytes;
  // 99 KiB is what a block gets at most where capability is 8.6, 8.9 or 12.0
  static constexpr int count = 3 * bytes <= 99 << 10 ? 3 : 2;
  static_assert(count * bytes <= 99 << 10);
};

template <class Format>
__global__ void __launch_bounds__(threads, 1) matmul(Product product) {
  using S = Stage<Format>;
  DYN_SMEM(memory);
  const int rows = *product.rows, first_token = static_cast<int>(blockIdx.x) * tile_tokens;
  if (first_token >= rows) return;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int64_t first_group = static_cast<int64_t>(blockIdx.y) * tile_groups;
  const int parts = static_cast<int>(parts_of(product.cols));

  // A thread copies quad `quad` of tokens thread / 16, thread / 16 + 16, ... and splits them.
  constexpr int thread_quads = tile_tokens * quads / threads;
  const int quad = thread % quads, thread_token = thread / quads;
  const auto copy_activations = [&](uint8_t* stage, int part) {
    const int64_t column = static_cast<int64_t>(part) * part_columns + quad * 4;
#pragma unroll
    for (int i = 0; i < thread_quads; i++) {
      const int token = thread_token + i * (threads / quads);
      const bool present = first_token + token < rows && column < product.cols;
      const float* from =
          present ? product.x + (first_token + token) * product.cols + column : product.x;
      uint8_t* to = stage + quad_at(token, quad);
      if (product.aligned) {
        ptx::copy_async<16>(to, from, present);
      } else {
        for (int k = 0; k < 4; k++) {
          const bool inside = present && column + k < product.cols;
          ptx::copy_async<4>(to + 4 * k, inside ? from + k : product.x, inside);
        }
      }
    }
  };
  const auto split_activations = [&](uint8_t* stage) {
#pragma unroll
    for (int i = 0; i < thread_quads; i++) {
      const int token = thread_token + i * (threads / quads);
      place_quad<Format>(stage, reinterpret_cast<float*>(stage + S::sums_at), tile_tokens, token,
                         quad, true, at<float4>(stage, quad_at(token, quad)));
    }
  };
  const auto copy_stage = [&](int part) {
    if (part < parts) {
      uint8_t* stage = memory + part % S::count * S::bytes;
      copy_activations(stage, part);
      // A warp copies the slot of its own group.
      const int64_t group = first_group + warp;
      const bool present = group * group_rows < product.out_dim;
      copy_part<Format>(stage + S::weights_at + warp * S::slot_bytes,
                        product.packed + (present ? group : 0) * group_bytes<Format>(product.cols),
                        part, present, lane, 32);
    }
    ptx::copy_commit();
  };

  const int warp_group = warp % warps_of_rows * warp_groups;
  const int warp_token = warp / warps_of_rows * warp_tiles * 8;
  Activations<warp_tiles> x;
  x.sums_stride = tile_tokens;
  for (int tile = 0; tile < warp_tiles; tile++) {
    x.offset[tile] = activation_offset(warp_token + tile * 8 + lane / 4, lane);
  }

  float total[warp_groups][warp_tiles][4] = {}, sum[warp_groups][warp_tiles][4] = {};
  int segment = 1, segment_end = segment_begin(parts, segment);
  for (int i = 0; i < S::count - 1; i++) copy_stage(i);
  for (int part = 0; part < parts; part++) {
    uint8_t* stage = memory + part % S::count * S::bytes;
    ptx::copy_wait<S::count - 2>();
    split_activations(stage);
    __syncthreads();  // the stage is complete, and all are done with the one before
    copy_stage(part + S::count - 1);
    x.parts = stage;
    x.sums = reinterpret_cast<const float*>(stage + S::sums_at) + warp_token + lane % 4 * 2;
    multiply_part<Format, warp_groups, warp_tiles>(
        stage + S::weights_at + warp_group * S::slot_bytes, lane, x, sum);
    while (segment_end <= part) segment_end = segment_begin(parts, ++segment);  // empty ones
    if (segment_end != part + 1) continue;
    for (int group = 0; group < warp_groups; group++) {
      for (int tile = 0; tile < warp_tiles; tile++) {
        for (int i = 0; i < 4; i++) {
          total[group][tile][i] += sum[group][tile][i];
          sum[group][tile][i] = 0;
        }
      }
    }
  }

  for (int group = 0; group < warp_groups; group++) {
    for (int i = 0; i < 4; i++) {
      const int64_t row = (first_group + warp_group + group) * group_rows + result_row(lane, i);
      if (row >= product.out_dim) continue;
      const float bias = product.bias == nullptr ? 0.0f : product.bias[row];
      for (int tile = 0; tile < warp_tiles; tile++) {
        const int token = first_token + warp_token + tile * 8 + result_token(lane, i);
        if (token < rows) {
          product.out[token * product.out_dim + row] = total[group][tile][i] + bias;
        }
      }
    }
  }
}

/** Whether the kernel for few rows is the faster one. Up to 16 rows it reads the weights once; with
 *  more, once for every 16, from the cache, which still pays where tiles of 128 weight rows would
 *  leave most multiprocessors without a block. */
constexpr bool few_rows(int rows, int64_t out_dim) {
  return rows <= 16 || (rows <= 64 && out_dim < 64 * tile_groups * group_rows);
}

int launch_matmul(void* stream, int type, int rows, const Product& product) {
  return with_format(type, int{TK_UNSUPPORTED}, [&](auto format) {
    using Format = decltype(format);
    constexpr int64_t tile_rows = tile_groups * group_rows;
    const dim3 blocks(static_cast<unsigned>((rows + tile_tokens - 1) / tile_tokens),
                      static_cast<unsigned>((product.out_dim + tile_rows - 1) / tile_rows));
    return launch(stream, Grid{blocks, dim3(threads), size_t{Stage<Format>::count} * Stage<Format>::bytes},
                  matmul<Format>, product);
  });
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_matmul(tk_cuda_step* step, int rows, const float* x, int64_t cols, int type,
                   const void* packed, int64_t out_dim, const float* bias, float* out) {
  const int64_t bytes = tk_cuda_packed_bytes(type, out_dim, cols);
  Arguments arguments("tk_cuda_matmul");
  arguments.step(step)
      .rows(rows)
      .pointer("x", x)
      .width("cols", cols)
      .width("out_dim", out_dim)
      .pointer("packed", packed)
      .aligned("packed", packed, 16)
      .optional("bias", bias)
      .pointer("out", out)
      .that(bytes >= 0, TK_UNSUPPORTED, "type is none of quant.def, or cols no multiple of its block");
  if (arguments.status() == TK_OK) {
    arguments.numbers(step->most(rows), cols).numbers(step->most(rows), out_dim);
  }
  if (arguments.status() != TK_OK) return arguments.status();
  const int most = step->most(rows);
  const Product product{x,   static_cast<const uint8_t*>(packed), bias, out, step->count(rows),
                        cols, out_dim, aligned16(x, cols)};
  const double numbers = 1.0 * most * (cols + out_dim) + (bias == nullptr ? 0 : out_dim);
  report_work(4 * numbers + static_cast<double>(bytes), 2.0 * most * cols * out_dim);
  return few_rows(most, out_dim) ? launch_matvec(step->stream, type, most, product)
                                 : launch_matmul(step->stream, type, most, product);
}
