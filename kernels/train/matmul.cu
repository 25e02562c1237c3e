// SPDX-License-Identifier: Apache-2.0
//
// The three products of training, of packed factors (tile.cuh):
//   matmul            out [rows, out_dim]      = x W^T (+ bias)     both factors plain
//   input gradient    x_gradient [rows, cols]  = dY W               W turned
//   weight gradient   gradient [out_dim, cols] += dY^T x            both turned
//   bytes: 2 (BF16) or 6 a value of the factors, 4 of the result    operations: 2 m n k (F32: six times as many)
//
// A block has a tile of the result, its warps parts of that; the factors come by asynchronous
// copies, two or more steps of 32 k ahead:
//
//                    block       warps          stages
//     BF16           128 x 256   2 x 4, 64 x 64   4
//     F32            128 x 128   2 x 4, 64 x 32   2
//     few tiles      64 x 64     2 x 2, 32 x 32   4, F32 2
//
// With 64 x 64 a warp has 4 products for each ldmatrix of four matrices, so that shared memory keeps
// up with the tensor cores. The factors are bfloat16 in memory already: read as float32 by each
// block they would take twice the bandwidth of the second-level cache, which is what limits such a
// tile on a large device.
//
// Sum order: ascending k, in one chain of products; of a weight gradient in segments of rows, fixed
// by its shape, which are added in order by a second kernel. Nothing of it depends on the tile.

#include "arguments.h"
#include "fold.cuh"
#include "launch.cuh"
#include "tile.cuh"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr size_t most_shared = 99 << 10;

/** A packed matrix. */
struct Factor {
  const uint16_t* values;
  int64_t rows, stride;
};

struct Product {
  Factor a, b;
  int64_t m, n;       // of the result
  int64_t k;          // summed over
  int64_t segment;    // of k, a multiple of tile_k; the result of segment i is behind that of i - 1
  const float* bias;  // of columns; may be null
  float* out;
  bool accumulate;
};

/** M x N of a warp in units of the tensor cores, and warps of a block. */
template <int M16, int N8, int WarpsM, int WarpsN>
struct Tile {
  static constexpr int m16 = M16, n8 = N8, warps_n = WarpsN;
  static constexpr int warp_m = 16 * M16, warp_n = 8 * N8;
  static constexpr int block_m = warp_m * WarpsM, block_n = warp_n * WarpsN;
  static constexpr int threads = 32 * WarpsM * WarpsN;
  template <int Planes>
  static constexpr int stage_bytes = (block_m + block_n) * tile_k * 2 * Planes;
  template <int Planes>
  static constexpr int stages = Planes == 1 ? 4 : 2;
};
using LargeBf16 = Tile<4, 8, 2, 4>;
using LargeFloat = Tile<4, 4, 2, 4>;
using Small = Tile<2, 4, 2, 2>;

/** Blocks that share columns of b follow each other, 8 rows of tiles at a time, so that those which
 *  run together find both factors in the second-level cache. */
constexpr int64_t tiles_together = 8;

template <int Planes, bool TurnedA, bool TurnedB, class T>
__global__ void __launch_bounds__(T::threads, 1) train_matmul(const Product product) {
  DYN_SMEM(memory);
  using A = Side<T::block_m, TurnedA, T::threads>;
  using B = Side<T::block_n, TurnedB, T::threads>;
  constexpr int stages = T::template stages<Planes>;
  constexpr int stage_bytes = T::template stage_bytes<Planes>;
  static_assert(Planes * (A::plane_bytes + B::plane_bytes) == stage_bytes);
  static_assert(stages * stage_bytes <= int{most_shared});
  constexpr int b_at = Planes * A::plane_bytes;

  const int64_t tiles_m = (product.m + T::block_m - 1) / T::block_m;
  const int64_t tiles_n = (product.n + T::block_n - 1) / T::block_n;
  const int64_t together = blockIdx.x / (tiles_together * tiles_n) * tiles_together;
  const int64_t beside = min(tiles_m - together, tiles_together);
  const int64_t in_group = blockIdx.x - together * tiles_n;
  const int64_t first_m = (together + in_group % beside) * T::block_m;
  const int64_t first_n = in_group / beside * T::block_n;
  const int64_t first_k = blockIdx.y * product.segment;
  const int64_t end_k = min(first_k + product.segment, product.k);

  const Factor &fa = product.a, &fb = product.b;
  A a(fa.values, fa.rows, fa.stride, TurnedA ? end_k : fa.rows, first_m, first_k);
  B b(fb.values, fb.rows, fb.stride, TurnedB ? end_k : fb.rows, first_n, first_k);
  const int steps = static_cast<int>((end_k - first_k + tile_k - 1) / tile_k);
  char* const shared = reinterpret_cast<char*>(memory);
  const auto copy_stage = [&](int stage, bool more) {
    if (more) {
      a.template copy<Planes>(shared + stage * stage_bytes, fa.values);
      b.template copy<Planes>(shared + stage * stage_bytes + b_at, fb.values);
    }
    ptx::copy_commit();  // an empty group too: the wait counts groups
  };
  for (int i = 0; i < stages - 1; i++) copy_stage(i, i < steps);

  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int warp_m = warp / T::warps_n * T::warp_m, warp_n = warp % T::warps_n * T::warp_n;
  const bool active = first_m + warp_m < product.m && first_n + warp_n < product.n;
  float sum[T::m16][T::n8][4] = {};
  int stage = 0;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    ptx::copy_wait<stages - 2>();
    __syncthreads();  // the stage is complete, and all are done with the one before
    copy_stage(stage == 0 ? stages - 1 : stage - 1, step + stages - 1 < steps);
    const char* const tile_a = shared + stage * stage_bytes;
    const char* const tile_b = tile_a + b_at;
    stage = stage == stages - 1 ? 0 : stage + 1;
    if (!active) continue;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      uint32_t of_a[T::m16][Planes][4];
#pragma unroll
      for (int i = 0; i < T::m16; i++) {
#pragma unroll
        for (int p = 0; p < Planes; p++) {
          A::load_a(of_a[i][p], tile_a + p * A::plane_bytes, warp_m + 16 * i, half, lane);
        }
      }
#pragma unroll
      for (int j = 0; j < T::n8; j += 2) {
        uint32_t of_b[Planes][4];
#pragma unroll
        for (int p = 0; p < Planes; p++) {
          B::load_b(of_b[p], tile_b + p * B::plane_bytes, warp_n + 8 * j, half, lane);
        }
#pragma unroll
        for (int i = 0; i < T::m16; i++) {
          multiply_planes<Planes>(sum[i][j], of_a[i], of_b, 0);
          multiply_planes<Planes>(sum[i][j + 1], of_a[i], of_b, 1);
        }
      }
    }
  }
  ptx::copy_wait<0>();
  if (!active) return;

  float* const out = product.out + blockIdx.y * product.m * product.n;
#pragma unroll
  for (int i = 0; i < T::m16; i++) {
#pragma unroll
    for (int under = 0; under < 2; under++) {
      const int64_t row = first_m + warp_m + 16 * i + 8 * under + lane / 4;
      if (row >= product.m) continue;
#pragma unroll
      for (int j = 0; j < T::n8; j++) {
        const int64_t column = first_n + warp_n + 8 * j + lane % 4 * 2;
#pragma unroll
        for (int side = 0; side < 2; side++) {
          if (column + side >= product.n) continue;
          float value = sum[i][j][2 * under + side];
          if (product.bias != nullptr) value += product.bias[column + side];
          float& place = out[row * product.n + column + side];
          place = product.accumulate ? place + value : value;
        }
      }
    }
  }
}

/** A thread has 8 values of a row. */
template <int Planes>
__global__ void __launch_bounds__(run_threads)
    pack_factor(const float* x, int64_t rows, int64_t cols, uint16_t* packed, bool aligned) {
  const int64_t stride = packed_stride(cols);
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x) * 8;
  if (at >= rows * stride) return;
  const int64_t row = at / stride, column = at % stride;
  const float* const from = x + row * cols;
  store_planes<Planes>(reinterpret_cast<char*>(packed + at), 2 * rows * stride,
                       load4(from, column, cols, aligned),
                       load4(from, column + 4, cols, aligned));
}

template <int Planes, bool TurnedA, bool TurnedB, class T>
int launch_tile(void* stream, const Product& product, int64_t segments) {
  const int64_t tiles = (product.m + T::block_m - 1) / T::block_m *
                        ((product.n + T::block_n - 1) / T::block_n);
  if (tiles > INT32_MAX) return refuse(TK_UNSUPPORTED, "product: too many tiles");
  const Grid grid{dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(segments)),
                  dim3(T::threads),
                  size_t{T::template stages<Planes>} * T::template stage_bytes<Planes>};
  return launch(stream, grid, train_matmul<Planes, TurnedA, TurnedB, T>, product);
}

/** Large tiles where they are enough for a large part of a device, else small ones. Same bits. */
constexpr int64_t enough_tiles = 64;

template <bool TurnedA, bool TurnedB>
int launch_product(void* stream, int arithmetic, const Product& product, int64_t segments) {
  report_work((arithmetic == TK_TRAIN_BF16 ? 2.0 : 6.0) * product.k * (product.m + product.n) +
                  4.0 * product.m * product.n * segments,
              2.0 * product.m * product.n * product.k);
  const auto large = [&](int64_t m, int64_t n) {
    return (product.m / m) * (product.n / n) * segments >= enough_tiles;
  };
  if (arithmetic == TK_TRAIN_BF16) {
    return large(LargeBf16::block_m, LargeBf16::block_n)
               ? launch_tile<1, TurnedA, TurnedB, LargeBf16>(stream, product, segments)
               : launch_tile<1, TurnedA, TurnedB, Small>(stream, product, segments);
  }
  return large(LargeFloat::block_m, LargeFloat::block_n)
             ? launch_tile<3, TurnedA, TurnedB, LargeFloat>(stream, product, segments)
             : launch_tile<3, TurnedA, TurnedB, Small>(stream, product, segments);
}

Factor factor(const void* packed, int64_t rows, int64_t cols) {
  return {static_cast<const uint16_t*>(packed), rows, packed_stride(cols)};
}

/** Segments that the rows of a weight gradient are summed in, at most: enough for one wave of blocks
 *  of a large device, each of at least 512 rows. Never more for fewer rows. */
int64_t most_segments(int64_t rows, int64_t out_dim, int64_t cols) {
  const int64_t tiles = ((out_dim + LargeBf16::block_m - 1) / LargeBf16::block_m) *
                        ((cols + LargeBf16::block_n - 1) / LargeBf16::block_n);
  return min(max(int64_t{1}, 128 / tiles), (rows + 511) / 512);
}
int64_t segment_rows(int64_t rows, int64_t out_dim, int64_t cols) {
  const int64_t segments = most_segments(rows, out_dim, cols);
  return ((rows + segments - 1) / segments + tile_k - 1) / tile_k * tile_k;
}
int64_t segments_of(int64_t rows, int64_t segment) { return (rows + segment - 1) / segment; }

void check_arithmetic(Arguments& arguments, int arithmetic) {
  arguments.range("arithmetic", arithmetic, TK_TRAIN_F32, TK_TRAIN_BF16);
}

void check_shape(Arguments& arguments, int64_t rows, int64_t out_dim, int64_t cols) {
  arguments.range("rows", rows, 1, most_width).width("out_dim", out_dim).width("cols", cols);
  if (arguments.status() == TK_OK) {
    arguments.numbers(rows, out_dim).numbers(rows, cols).numbers(out_dim, cols);
  }
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_train_packed_bytes(int arithmetic, int64_t rows, int64_t cols) {
  Arguments arguments("tk_cuda_train_packed_bytes");
  check_arithmetic(arguments, arithmetic);
  arguments.range("rows", rows, 1, most_width).width("cols", cols);
  if (arguments.status() == TK_OK) arguments.numbers(rows, cols);
  if (arguments.status() != TK_OK) return -1;
  return rows * packed_stride(cols) * (arithmetic == TK_TRAIN_BF16 ? 2 : 6);
}

int tk_cuda_train_pack(void* stream, int arithmetic, int64_t rows, int64_t cols, const float* x,
                       void* packed) {
  Arguments arguments("tk_cuda_train_pack");
  check_arithmetic(arguments, arithmetic);
  arguments.range("rows", rows, 1, most_width)
      .width("cols", cols)
      .pointer("x", x)
      .pointer("packed", packed)
      .aligned("packed", packed, 16);
  if (arguments.status() == TK_OK) arguments.numbers(rows, cols);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t numbers = rows * packed_stride(cols), block = run_threads * 8;
  const Grid grid{dim3(static_cast<unsigned>((numbers + block - 1) / block)), dim3(run_threads)};
  report_work((arithmetic == TK_TRAIN_BF16 ? 6.0 : 10.0) * numbers, 0);
  return arithmetic == TK_TRAIN_BF16
             ? launch(stream, grid, pack_factor<1>, x, rows, cols,
                      static_cast<uint16_t*>(packed), aligned16(x, cols))
             : launch(stream, grid, pack_factor<3>, x, rows, cols,
                      static_cast<uint16_t*>(packed), aligned16(x, cols));
}

int tk_cuda_train_matmul(void* stream, int arithmetic, int64_t rows, const void* x, int64_t cols,
                         const void* weight, int64_t out_dim, const float* bias, float* out) {
  Arguments arguments("tk_cuda_train_matmul");
  check_arithmetic(arguments, arithmetic);
  check_shape(arguments, rows, out_dim, cols);
  arguments.pointer("x", x)
      .aligned("x", x, 16)
      .pointer("weight", weight)
      .aligned("weight", weight, 16)
      .optional("bias", bias)
      .pointer("out", out);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t segment = (cols + tile_k - 1) / tile_k * tile_k;
  return launch_product<false, false>(
      stream, arithmetic,
      {factor(x, rows, cols), factor(weight, out_dim, cols), rows, out_dim, cols, segment, bias, out,
       false},
      1);
}

int tk_cuda_train_input_gradient(void* stream, int arithmetic, int64_t rows,
                                 const void* out_gradient, int64_t out_dim, const void* weight,
                                 int64_t cols, int accumulate, float* x_gradient) {
  Arguments arguments("tk_cuda_train_input_gradient");
  check_arithmetic(arguments, arithmetic);
  check_shape(arguments, rows, out_dim, cols);
  arguments.pointer("out_gradient", out_gradient)
      .aligned("out_gradient", out_gradient, 16)
      .pointer("weight", weight)
      .aligned("weight", weight, 16)
      .range("accumulate", accumulate, 0, 1)
      .pointer("x_gradient", x_gradient);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t segment = (out_dim + tile_k - 1) / tile_k * tile_k;
  return launch_product<false, true>(
      stream, arithmetic,
      {factor(out_gradient, rows, out_dim), factor(weight, out_dim, cols), rows, cols, out_dim,
       segment, nullptr, x_gradient, accumulate != 0},
      1);
}

int64_t tk_cuda_train_weight_gradient_bytes(int64_t rows, int64_t out_dim, int64_t cols) {
  Arguments arguments("tk_cuda_train_weight_gradient_bytes");
  check_shape(arguments, rows, out_dim, cols);
  if (arguments.status() != TK_OK) return -1;
  const int64_t segments = most_segments(rows, out_dim, cols);
  return segments == 1 ? 0 : segments * out_dim * cols * int64_t{sizeof(float)};
}

int tk_cuda_train_weight_gradient(void* stream, int arithmetic, int64_t rows,
                                  const void* out_gradient, int64_t out_dim, const void* x,
                                  int64_t cols, void* scratch, float* gradient) {
  Arguments arguments("tk_cuda_train_weight_gradient");
  check_arithmetic(arguments, arithmetic);
  check_shape(arguments, rows, out_dim, cols);
  arguments.pointer("out_gradient", out_gradient)
      .aligned("out_gradient", out_gradient, 16)
      .pointer("x", x)
      .aligned("x", x, 16)
      .pointer("gradient", gradient);
  if (arguments.status() != TK_OK) return arguments.status();
  const int64_t segment = segment_rows(rows, out_dim, cols), segments = segments_of(rows, segment);
  if (segments > 1) arguments.pointer("scratch", static_cast<float*>(scratch));
  if (arguments.status() != TK_OK) return arguments.status();
  float* const sums = segments > 1 ? static_cast<float*>(scratch) : gradient;
  const int status = launch_product<true, true>(
      stream, arithmetic,
      {factor(out_gradient, rows, out_dim), factor(x, rows, cols), out_dim, cols, rows, segment,
       nullptr, sums, segments == 1},
      segments);
  if (status != TK_OK || segments == 1) return status;
  return launch_fold(stream, sums, segments, out_dim * cols, gradient);
}
