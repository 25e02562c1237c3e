// SPDX-License-Identifier: Apache-2.0
//
// matvec: out[rows, out_dim] = x[rows, cols] * W^T (+ bias) for few rows, where the time is that of
// reading the weights once. Tensor cores, because a product of 16 weight rows with 8 tokens costs
// them as much as one with 1, and because matmul then gives the same bits.
//   W packed (weight.cuh); grid: (groups of 16 weight rows, tiles of tokens), 8 warps a block
//
// A warp has one of the 8 segments of K and walks it part by part. Packed weights stream through a
// ring of slots of its own in shared memory, by asynchronous copies that are several parts ahead:
// 5 KiB a warp, 40 KiB a block, 80 KiB a multiprocessor of two blocks; 3.35 TB/s times a latency of
// 0.8 us over 132 multiprocessors is 20 KiB. The activations of the next part are on their way in
// registers, and are split into bfloat16 parts once for the groups of the block. Nothing waits for
// another warp until the end: there 8 sums are added in order of K.
//
// The floor: an H100 reads 14.5 bytes a cycle and multiprocessor at 3.35 TB/s and issues 4
// instructions in it, 3.6 bytes an instruction and warp. kernels/README.md has what each type needs.

#include "launch.cuh"
#include "product.cuh"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 32 * segments;

/** How a block works for a number of tokens in tiles of 8. */
template <class Format, int TILES>
struct Shape {
  static constexpr int tokens = 8 * TILES;
  // Splitting the activations of 16 tokens costs more than the product of a narrow type: shared by
  // two groups. Wide types have the time, and no room for more slots.
  static constexpr int groups = TILES > 1 && Format::part_bytes <= 1088 ? 2 : 1;
  static constexpr int slot_bytes = groups * (Format::header_bytes + Format::part_bytes);
  static constexpr int in_flight = 6656 / slot_bytes;
  static constexpr int slots = in_flight < 2 ? 2 : in_flight > 8 ? 8 : in_flight;
  static constexpr int sums_bytes = Format::has_minimums ? 2 * tokens * 4 : 0;
  static constexpr int warp_bytes = slots * slot_bytes + tokens * token_bytes + sums_bytes;
  // the sums of the warps lie where the slots were
  static_assert(slots * slot_bytes >= groups * TILES * 4 * 32 * 4);
};

template <class Format, int TILES>
__global__ void __launch_bounds__(threads, 2) matvec(Product product) {
  using S = Shape<Format, TILES>;
  DYN_SMEM(memory);
  const int rows = *product.rows, first_token = static_cast<int>(blockIdx.y) * S::tokens;
  if (first_token >= rows) return;
  const int tokens = min(rows - first_token, S::tokens);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t first_group = static_cast<int64_t>(blockIdx.x) * S::groups;

  uint8_t* slots = memory + warp * S::warp_bytes;
  uint8_t* staged = slots + S::slots * S::slot_bytes;  // (tokens, 64 columns) as parts
  float* sums = reinterpret_cast<float*>(staged + S::tokens * token_bytes);  // (2, tokens)

  const int parts = static_cast<int>(parts_of(product.cols));
  const int begin = segment_begin(parts, warp), end = segment_begin(parts, warp + 1);

  const uint8_t* weights[S::groups];
  bool present[S::groups];
  for (int i = 0; i < S::groups; i++) {
    present[i] = (first_group + i) * group_rows < product.out_dim;
    weights[i] =
        product.packed + (present[i] ? first_group + i : 0) * group_bytes<Format>(product.cols);
  }
  const auto copy_weights = [&](int part) {
    if (part < end) {
      uint8_t* slot = slots + (part - begin) % S::slots * S::slot_bytes;
      for (int i = 0; i < S::groups; i++) {
        copy_part<Format>(slot + i * (S::slot_bytes / S::groups), weights[i], part, present[i],
                          lane, 32);
      }
    }
    ptx::copy_commit();
  };

  // Lane i has quad i % 16 of tokens i / 16, i / 16 + 2, ...
  constexpr int lane_quads = S::tokens / 2;
  const int quad = lane % quads, half = lane / quads;
  float4 next[lane_quads];
  const auto load_activations = [&](int part) {
    const int64_t column = static_cast<int64_t>(part) * part_columns + quad * 4;
#pragma unroll
    for (int i = 0; i < lane_quads; i++) {
      next[i] = make_float4(0, 0, 0, 0);
      const int token = 2 * i + half;
      if (token < tokens) {
        next[i] = load4(product.x + (first_token + token) * product.cols, column, product.cols,
                        product.aligned);
      }
    }
  };

  Activations<TILES> x;
  x.parts = staged;
  x.sums = sums + lane % 4 * 2;
  x.sums_stride = S::tokens;
  for (int tile = 0; tile < TILES; tile++) {
    // Lanes of absent tokens read another token: no column of a product touches its neighbours.
    x.offset[tile] = activation_offset(min(tile * 8 + lane / 4, tokens - 1), lane);
  }

  float sum[S::groups][TILES][4] = {};
  for (int i = 0; i < S::slots - 1; i++) copy_weights(begin + i);
  if (begin < end) load_activations(begin);
  for (int part = begin; part < end; part++) {
#pragma unroll
    for (int i = 0; i < lane_quads; i++) {
      if (2 * i >= tokens) break;
      place_quad<Format>(staged, sums, S::tokens, 2 * i + half, quad, 2 * i + half < tokens,
                         next[i]);
    }
    if (part + 1 < end) load_activations(part + 1);
    copy_weights(part + S::slots - 1);
    ptx::copy_wait<S::slots - 1>();
    __syncwarp();  // what the other lanes copied and placed is there
    multiply_part<Format, S::groups, TILES>(
        slots + (part - begin) % S::slots * S::slot_bytes, lane, x, sum);
    __syncwarp();  // all have read
  }

  // [group][tile][i][lane] of each warp
  float* mine = reinterpret_cast<float*>(slots);
  for (int group = 0; group < S::groups; group++) {
    for (int tile = 0; tile < TILES; tile++) {
      for (int i = 0; i < 4; i++) mine[((group * TILES + tile) * 4 + i) * 32 + lane] = sum[group][tile][i];
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < S::groups * TILES * 128; i += threads) {
    float total = 0;
    for (int segment = 0; segment < segments; segment++) {
      total += reinterpret_cast<const float*>(memory + segment * S::warp_bytes)[i];
    }
    const int group = i / 128 / TILES, tile = i / 128 % TILES, of_lane = i / 32 % 4;
    const int64_t row = (first_group + group) * group_rows + result_row(lane, of_lane);
    const int token = tile * 8 + result_token(lane, of_lane);
    if (row < product.out_dim && token < tokens) {
      if (product.bias != nullptr) total += product.bias[row];
      product.out[(first_token + token) * product.out_dim + row] = total;
    }
  }
}

template <class Format, int TILES>
int launch_tiles(void* stream, int rows, const Product& product) {
  using S = Shape<Format, TILES>;
  const int64_t groups = (product.out_dim + group_rows - 1) / group_rows;
  const dim3 blocks(static_cast<unsigned>((groups + S::groups - 1) / S::groups),
                    static_cast<unsigned>((rows + S::tokens - 1) / S::tokens));
  return launch(stream, Grid{blocks, dim3(threads), size_t{segments} * S::warp_bytes},
                matvec<Format, TILES>, product);
}

}  // namespace

int launch_matvec(void* stream, int type, int rows, const Product& product) {
  return with_format(type, int{TK_UNSUPPORTED}, [&](auto format) {
    using Format = decltype(format);
    return rows <= 8 ? launch_tiles<Format, 1>(stream, rows, product)
                     : launch_tiles<Format, 2>(stream, rows, product);
  });
}

}  // namespace tokamak::cuda
