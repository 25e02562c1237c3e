// SPDX-License-Identifier: Apache-2.0
//
// The norm of gradients, AdamW, and Muon, whose products are those of matmul.cu.
//   squares   x [count]; sum[0] in double precision; as many blocks as the count wants, at most
//             1024, whatever the device; bytes: 4 a number
//   adamw     weights, gradients, moments [count]; bytes: 32 a parameter, operations: 14
//   muon      a matrix [rows, cols]. Newton and Schulz work on it lying on its long side, x [short,
//             long], five times: A = x x^T, P = b A + c A A, x = a x + P x
//
// Sum order of squares: thread i of T adds the numbers 4i + 4Tj + c over j and c; then the lanes as a
// tree, the warps in order, and the blocks alike. T depends on the count alone.

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"
#include "tokamak/tokamak_cuda_train.h"
#include "vectors.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256;
constexpr int64_t most_square_blocks = 1024;

unsigned square_blocks(int64_t count) {
  return static_cast<unsigned>(min(int64_t{run_blocks(count)}, most_square_blocks));
}

__global__ void __launch_bounds__(threads)
    squares(const float* x, int64_t count, double* partial, bool aligned) {
  SHARED(double, of_warps, threads / warp_threads);
  double sum = 0;
  for (int64_t i = run_start(); i < count; i += gridDim.x * run_block) {
    const float4 v = load4(x, i, count, aligned);
    sum += double(v.x) * v.x + double(v.y) * v.y + (double(v.z) * v.z + double(v.w) * v.w);
  }
  sum = block_sum<threads>(sum, of_warps);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(threads) sum_squares(const double* partial, int count, double* total) {
  SHARED(double, of_warps, threads / warp_threads);
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += threads) sum += partial[i];
  sum = block_sum<threads>(sum, of_warps);
  if (threadIdx.x == 0) *total = sum;
}

FN void adamw_one(const tk_cuda_adamw& by, float& w, float g, float& m, float& v) {
  g *= by.gradient_factor;
  m = fmaf(by.first_share, g - m, m);
  v = fmaf(by.second_share, fmaf(g, g, -v), v);
  w = fmaf(-by.decay, w, w);
  w -= by.rate * m / fmaf(sqrtf(v), by.second_factor, by.epsilon);
}

__global__ void __launch_bounds__(run_threads)
    adamw(const tk_cuda_adamw by, int64_t count, float* weights, float* gradients, float* first,
          float* second, bool aligned) {
  const int64_t i = run_start();
  if (i >= count) return;
  float4 w = load4(weights, i, count, aligned), m = load4(first, i, count, aligned);
  float4 v = load4(second, i, count, aligned);
  const float4 g = load4(gradients, i, count, aligned);
  adamw_one(by, w.x, g.x, m.x, v.x);
  adamw_one(by, w.y, g.y, m.y, v.y);
  adamw_one(by, w.z, g.z, m.z, v.z);
  adamw_one(by, w.w, g.w, m.w, v.w);
  store4(weights, i, count, aligned, w);
  store4(first, i, count, aligned, m);
  store4(second, i, count, aligned, v);
  store4(gradients, i, count, aligned, make_float4(0, 0, 0, 0));
}

// ---- muon ---------------------------------------------------------------------------------

// Their largest slope at zero; after five steps all singular values are about 1.
constexpr int newton_steps = 5;
constexpr float newton_a = 3.4445f, newton_b = -4.7750f, newton_c = 2.0315f;

struct Muon {
  int64_t rows, cols;
  float* x;  // [short, long]

  /** Where the number `at` of the matrix lies in x. */
  FN int64_t place(int64_t at) const {
    return rows <= cols ? at : at % cols * rows + at / cols;
  }
};

FN int64_t number() { return static_cast<int64_t>(blockIdx.x) * run_threads + threadIdx.x; }

__global__ void __launch_bounds__(run_threads)
    muon_momentum(const Muon work, float gradient_factor, float share, float* gradient,
                  float* momentum) {
  const int64_t i = number();
  if (i >= work.rows * work.cols) return;
  const float g = gradient[i] * gradient_factor, m = fmaf(share, g - momentum[i], momentum[i]);
  momentum[i] = m;
  gradient[i] = 0;
  work.x[work.place(i)] = fmaf(1 - share, m - g, g);
}

__global__ void __launch_bounds__(run_threads)
    muon_scale(float* x, int64_t count, const double* squares) {
  const int64_t i = number();
  if (i < count) x[i] = static_cast<float>(x[i] / (sqrt(*squares) + 1e-7));
}

__global__ void __launch_bounds__(run_threads)
    muon_polynomial(const float* a, float* squared, int64_t count) {
  const int64_t i = number();
  if (i < count) squared[i] = fmaf(newton_b, a[i], newton_c * squared[i]);
}

__global__ void __launch_bounds__(run_threads)
    muon_apply(const Muon work, float rate, float decay, float* weight) {
  const int64_t i = number();
  if (i >= work.rows * work.cols) return;
  const float w = fmaf(-decay, weight[i], weight[i]);
  weight[i] = fmaf(-rate, work.x[work.place(i)], w);
}

/** Scratch memory of Muon. */
struct MuonMemory {
  float *x, *a, *p;
  void *packed, *packed_square;
  void* partial;
  double* squares;
  int64_t bytes;

  MuonMemory(int arithmetic, int64_t rows, int64_t cols, void* scratch) {
    const int64_t small = min(rows, cols), large = max(rows, cols);
    auto at = reinterpret_cast<uintptr_t>(scratch);
    const uintptr_t begin = at;
    const auto take = [&](int64_t size) {
      void* const memory = reinterpret_cast<void*>(at);
      at += static_cast<uintptr_t>((size + 255) / 256 * 256);
      return memory;
    };
    x = static_cast<float*>(take(4 * small * large));
    a = static_cast<float*>(take(4 * small * small));
    p = static_cast<float*>(take(4 * small * small));
    packed = take(tk_cuda_train_packed_bytes(arithmetic, small, large));
    packed_square = take(tk_cuda_train_packed_bytes(arithmetic, small, small));
    partial = take(tk_cuda_train_squares_bytes());
    squares = static_cast<double*>(take(sizeof(double)));
    bytes = static_cast<int64_t>(at - begin);
  }
};

void check_matrix(Arguments& arguments, int arithmetic, int64_t rows, int64_t cols) {
  arguments.range("arithmetic", arithmetic, TK_TRAIN_F32, TK_TRAIN_BF16)
      .range("rows", rows, 1, most_width)
      .width("cols", cols);
  if (arguments.status() == TK_OK) arguments.numbers(rows, cols);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_train_squares_bytes(void) { return most_square_blocks * int64_t{sizeof(double)}; }

int tk_cuda_train_squares(void* stream, int64_t count, const float* x, void* scratch, double* sum) {
  Arguments arguments("tk_cuda_train_squares");
  arguments.range("count", count, 1, int64_t{1} << 40)
      .pointer("x", x)
      .pointer("scratch", static_cast<double*>(scratch))
      .pointer("sum", sum);
  if (arguments.status() != TK_OK) return arguments.status();
  double* const partial = static_cast<double*>(scratch);
  report_work(4.0 * count, 2.0 * count);
  const unsigned blocks = square_blocks(count);
  const int status = launch(stream, {blocks, threads}, squares, x, count, partial, aligned16(x));
  return status == TK_OK ? launch(stream, {1, threads}, sum_squares, partial,
                                  static_cast<int>(blocks), sum)
                         : status;
}

int tk_cuda_train_adamw(void* stream, int64_t count, const tk_cuda_adamw* update, float* weights,
                        float* gradients, float* first, float* second) {
  Arguments arguments("tk_cuda_train_adamw");
  arguments.range("count", count, 1, most_numbers)
      .pointer("update", update)
      .pointer("weights", weights)
      .pointer("gradients", gradients)
      .pointer("first", first)
      .pointer("second", second);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(32.0 * count, 14.0 * count);
  return launch(stream, {run_blocks(count), run_threads}, adamw, *update, count, weights, gradients,
                first, second,
                aligned16(weights) && aligned16(gradients) && aligned16(first) &&
                    aligned16(second));
}

int64_t tk_cuda_train_muon_bytes(int arithmetic, int64_t rows, int64_t cols) {
  Arguments arguments("tk_cuda_train_muon_bytes");
  check_matrix(arguments, arithmetic, rows, cols);
  if (arguments.status() != TK_OK) return -1;
  return MuonMemory(arithmetic, rows, cols, nullptr).bytes;
}

int tk_cuda_train_muon(void* stream, int arithmetic, int64_t rows, int64_t cols,
                       float gradient_factor, float share, float rate, float decay, void* scratch,
                       float* weight, float* gradient, float* momentum) {
  Arguments arguments("tk_cuda_train_muon");
  check_matrix(arguments, arithmetic, rows, cols);
  arguments.pointer("scratch", scratch)
      .aligned("scratch", scratch, 16)
      .pointer("weight", weight)
      .pointer("gradient", gradient)
      .pointer("momentum", momentum);
  if (arguments.status() != TK_OK) return arguments.status();
  const MuonMemory memory(arithmetic, rows, cols, scratch);
  const int64_t small = min(rows, cols), large = max(rows, cols), count = rows * cols;
  const Muon work{rows, cols, memory.x};
  const auto grid = [](int64_t numbers) {
    return Grid{dim3(static_cast<unsigned>((numbers + run_threads - 1) / run_threads)),
                dim3(run_threads)};
  };
  int status = TK_OK;
  const auto then = [&](auto&& next) {
    if (status == TK_OK) status = next();
  };
  then([&] {
    return launch(stream, grid(count), muon_momentum, work, gradient_factor, share, gradient,
                  momentum);
  });
  then([&] {
    return tk_cuda_train_squares(stream, count, memory.x, memory.partial, memory.squares);
  });
  then([&] { return launch(stream, grid(count), muon_scale, memory.x, count, memory.squares); });
  for (int step = 0; step < newton_steps; step++) {
    then([&] {
      return tk_cuda_train_pack(stream, arithmetic, small, large, memory.x, memory.packed);
    });
    then([&] {
      return tk_cuda_train_matmul(stream, arithmetic, small, memory.packed, large, memory.packed,
                                  small, nullptr, memory.a);
    });
    then([&] {
      return tk_cuda_train_pack(stream, arithmetic, small, small, memory.a, memory.packed_square);
    });
    then([&] {
      return tk_cuda_train_matmul(stream, arithmetic, small, memory.packed_square, small,
                                  memory.packed_square, small, nullptr, memory.p);
    });
    then([&] {
      return launch(stream, grid(small * small), muon_polynomial, memory.a, memory.p,
                    small * small);
    });
    then([&] {
      return tk_cuda_train_pack(stream, arithmetic, small, small, memory.p, memory.packed_square);
    });
    then([&] {
      return tk_cuda_train_scale(stream, small, memory.x, newton_a, large, memory.x);
    });
    then([&] {
      return tk_cuda_train_input_gradient(stream, arithmetic, small, memory.packed_square, small,
                                          memory.packed, large, 1, memory.x);
    });
  }
  then([&] { return launch(stream, grid(count), muon_apply, work, rate, decay, weight); });
  report_work(28.0 * count, 10.0 * small * small * (2.0 * large + small));
  return status;
}
