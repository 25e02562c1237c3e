// SPDX-License-Identifier: Apache-2.0
//
// matvec: out[rows, out_dim] = x[rows, cols] * W^T (+ bias) for few rows, where the time is that of
// reading the weights once. Tensor cores, because a product of 16 weight rows with 8 tokens costs
// them as much as one with 1, and because matmul then gives the same bits.
//   W packed (weight.cuh); grid: 16 or 32 weight rows x 8 or 16 tokens a block, of 8 warps
//   bytes: W once, x, bias and out     operations: 2 * rows * cols * out_dim
//
// A warp has one of the 8 segments of K and walks it part by part. Packed weights stream through a
// ring of slots of its own in shared memory, by asynchronous copies that are several parts ahead: 3
// to 5 KiB a warp, 46 KiB and more on a multiprocessor of two blocks, where 3.35 TB/s times a
// latency of 0.8 us over 132 multiprocessors is 20 KiB. The activations of the next parts are on
// their way in registers, and are split into bfloat16 parts once for the groups of the block.
// Nothing waits for another warp until the end: there 8 sums are added in order of K.
//
// The floor: at 3.35 TB/s an H100 reads 14.5 bytes a cycle and multiprocessor and issues 4
// instructions of a warp in it: 3.6 bytes of weights an instruction. kernels/README.md has what
// each type needs.

#include "launch.cuh"
#include "product.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 32 * segments;

/** How a block works for a number of tokens in tiles of 8. */
template <class Format, int TILES>
struct Shape {
  static constexpr int tokens = 8 * TILES;
  static constexpr bool narrow = Format::part_bytes <= 1024;
  // Splitting the activations of 16 tokens costs more than the product of all but the widest types:
  // it is shared by two groups. The others have the time, and no room for more slots.
  static constexpr int groups = TILES > 1 && Format::part_bytes <= 1088 ? 2 : 1;
  // Parts at a time: with two, one token's activations are a quad for every lane, and the walk
  // costs fewer instructions. Where the activations are many, there are no registers for it.
  static constexpr int span = TILES == 1 && narrow ? 2 : 1;
  // Activations of the next parts are loaded while these are multiplied. Not of 16 tokens: they
  // would take the registers of the product, which has work enough for other warps to wait less.
  static constexpr bool ahead = TILES == 1;

  using Slot = tokamak::cuda::Slot<Format, span>;
  static constexpr int slot_bytes = groups * Slot::bytes;
  static constexpr int in_flight = (span == 1 ? 6656 : 5632) / slot_bytes;
  static constexpr int slots = in_flight < 2 ? 2 : in_flight > 8 ? 8 : in_flight;
  static constexpr int staged_bytes = tokens * token_bytes;  // of a part
  static constexpr int sums_bytes = Format::has_minimums ? 2 * tokens * 4 : 0;
  static constexpr int warp_bytes = slots * slot_bytes + span * (staged_bytes + sums_bytes);
  // the sums of the warps lie where the slots were
  static_assert(slots * slot_bytes >= groups * TILES * 4 * 32 * 4);
  static_assert(segments * warp_bytes <= 99 << 10);  // of a block, where capability is 8.6
};

template <class Format, int TILES>
__global__ void __launch_bounds__(threads, 2) matvec(Product product, int token_tiles) {
  using S = Shape<Format, TILES>;
  DYN_SMEM(memory);
  const int rows = *product.rows;
  const int first_token = static_cast<int>(blockIdx.x % token_tiles) * S::tokens;
  if (first_token >= rows) return;
  const int tokens = min(rows - first_token, S::tokens);
  // By way of a shuffle the compiler knows that all lanes have the same warp: it branches without
  // care for lanes that stay behind, and keeps what depends on the warp once.
  const int warp = __shfl_sync(~0u, static_cast<int>(threadIdx.x) / 32, 0);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first_group = static_cast<int>(blockIdx.x / token_tiles) * S::groups;

  uint8_t* slots = memory + warp * S::warp_bytes;      // each [group] a header and [span] parts
  uint8_t* staged = slots + S::slots * S::slot_bytes;  // [span] (tokens, 64 columns) as parts
  uint8_t* sums = staged + S::span * S::staged_bytes;  // [span] (2, tokens)
  const auto sums_of = [&](int i) { return reinterpret_cast<float*>(sums + i * S::sums_bytes); };

  const int begin = segment_begin(product.parts, warp);
  const int end = segment_begin(product.parts, warp + 1);

  const uint8_t* weights = product.packed + first_group * product.group_bytes;
  const auto copy_weights = [&](int part, uint8_t* slot) {
    if (part < end) {
      for (int i = 0; i < S::groups; i++) {
        S::Slot::copy(slot + i * S::Slot::bytes, weights + i * product.group_bytes, part, end,
                      i == 0 || (first_group + i) * group_rows < product.out_dim, lane);
      }
    }
    ptx::copy_commit();
  };

  // The lanes of a token have its quads; a round is the tokens that 32 lanes have. In the place of
  // an absent token stands the last one, or what was there: no column of a product touches its
  // neighbours. Parts beyond the segment are loaded, too, and not used.
  constexpr int token_lanes = quads * S::span, round_tokens = 32 / token_lanes;
  constexpr int rounds = S::tokens / round_tokens;
  const int first = lane / token_lanes, quad = lane % quads, of_span = lane % token_lanes / quads;
  const int used_rounds = (tokens + round_tokens - 1) / round_tokens;
  const int cols = product.cols;  // 16 * most_columns fits
  const int first_offset = first * cols, last_offset = (tokens - 1) * cols;
  int column = (begin * quads + lane % token_lanes) * 4;
  const float* from = product.x + int64_t{first_token} * cols + column;
  float4 next[rounds];
  const auto load_activations = [&] {
#pragma unroll
    for (int i = 0; i < rounds; i++) {
      if (TILES == 1 && i >= used_rounds) break;
      next[i] = load_quad<Format>(from + min(first_offset + i * round_tokens * cols, last_offset),
                                  column, S::span > 1, product);
    }
    from += S::span * part_columns;
    column += S::span * part_columns;
  };

  float sum[S::groups][TILES][4] = {};
  for (int i = 0; i < S::slots - 1; i++) {
    copy_weights(begin + i * S::span, slots + i * S::slot_bytes);
  }
  int slot = 0;  // of the part, in bytes
  if (S::ahead && begin < end) load_activations();
  for (int part = begin; part < end; part += S::span) {
    const int slot_before = (slot == 0 ? S::slots * S::slot_bytes : slot) - S::slot_bytes;
    copy_weights(part + (S::slots - 1) * S::span, slots + slot_before);  // all have read that one
    if (!S::ahead) load_activations();
#pragma unroll
    for (int i = 0; i < rounds; i++) {
      if (TILES == 1 && i >= used_rounds) break;
      place_quad<Format>(staged + of_span * S::staged_bytes, sums_of(of_span), S::tokens,
                         i * round_tokens + first, quad, next[i]);
    }
    if (S::ahead && part + S::span < end) load_activations();
    ptx::copy_wait<S::slots - 1>();
    __syncwarp();  // what the other lanes copied and placed is there
#pragma unroll
    for (int i = 0; i < S::span; i++) {
      if (part + i >= end) break;
      multiply_part<Format, S::span>(
          slots + slot, i, lane,
          activations(staged + i * S::staged_bytes, sums_of(i), S::tokens, 0, lane), sum);
    }
    __syncwarp();  // all have read
    slot = slot == (S::slots - 1) * S::slot_bytes ? 0 : slot + S::slot_bytes;
  }

  // [group][tile][i][lane] of each warp
  float* mine = reinterpret_cast<float*>(slots);
  for (int group = 0; group < S::groups; group++) {
    for (int tile = 0; tile < TILES; tile++) {
      for (int i = 0; i < 4; i++) {
        mine[((group * TILES + tile) * 4 + i) * 32 + lane] = sum[group][tile][i];
      }
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < S::groups * TILES * 128; i += threads) {
    float total = 0;
    for (int segment = 0; segment < segments; segment++) {
      total += reinterpret_cast<const float*>(memory + segment * S::warp_bytes)[i];
    }
    const int group = i / 128 / TILES, tile = i / 128 % TILES, of_lane = i / 32 % 4;
    const int row = (first_group + group) * group_rows + result_row(lane, of_lane);
    const int token = tile * 8 + result_token(lane, of_lane);
    if (row < product.out_dim && token < tokens) {
      if (product.bias != nullptr) total += product.bias[row];
      product.out[int64_t{first_token + token} * product.out_dim + row] = total;
    }
  }
}

template <class Format, int TILES>
int launch_tiles(void* stream, int rows, const Product& product) {
  using S = Shape<Format, TILES>;
  const int groups = (product.out_dim + group_rows - 1) / group_rows;
  const int token_tiles = (rows + S::tokens - 1) / S::tokens;
  // neighbouring blocks read the same weights
  const dim3 blocks(static_cast<unsigned>((groups + S::groups - 1) / S::groups * token_tiles));
  return launch(stream, Grid{blocks, dim3(threads), size_t{segments} * S::warp_bytes},
                matvec<Format, TILES>, product, token_tiles);
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
