// SPDX-License-Identifier: Apache-2.0
//
// gemm: C[m, n] (=|+=) A[m, k] * B[k, n] (+ bias[n]), float32 in memory, dense: the products of
// training. With X [rows, in], W [out, in] and dY [rows, out] these are
//
//                                           A              B             transposed
//   forward   Y[rows, out]  = X W^T + bias  X              W             b
//   inputs    dX[rows, in]  = dY W          dY             W             none
//   weights   dW[out, in]  += dY^T X        dY             X             a
//
// A product is two kinds of jobs. Jobs of `pack` bring B into the layout of the register tile, once
// for the whole team; when all are done, jobs of `multiply` compute C, each a rectangle of it, and
// bring the part of A that they need into memory of their own thread. Jobs of one kind may run in
// any order, on any thread, beside jobs of other products. Inside a job of the team:
//
//   for (int64_t job; (job = packing.take(1)) < kernels.pack_jobs(gemm);) kernels.pack(gemm, packed, job);
//   team.barrier();
//   for (int64_t job; (job = products.take(1)) < kernels.multiply_jobs(gemm);) {
//     kernels.multiply(gemm, packed, own, job);
//   }
//   team.barrier();
//
// gemm_team.h has these lines. B may be packed in any phase before, beside other work, as soon as
// its values are final: the packing of all products of a phase fits in one phase before. Products
// that read the same B in the same form share one packing: it depends on b, n, k and arithmetic
// alone. With packed_n and packed_k it serves products with the first columns or rows of B too.
//
// Sums: an element of C is the sum over blocks of gemm_k_block rows of B, or twice as many where the
// level multiplies pairs (the last is shorter), in order; each block is summed from zero in order of
// k. bias is added to the first block, C itself to the sum of each. So the bits depend on k, the
// arithmetic and the level alone: not on m, n, the place in the matrix, threads or jobs.
#pragma once

#include <stdint.h>

namespace tokamak::cpu {

/** How factors are multiplied. Sums are float32 in both. */
enum class Arithmetic {
  float32,
  /** Both factors are rounded to bfloat16 (nearest even) while they are packed; their products are
   *  exact. Where the level multiplies pairs of bfloat16 values, two products are added before they
   *  meet the sum, and denormals, of factors and of sums, count as zero. */
  bf16
};

/** Values of k, or pairs of them, that are summed before C is touched. */
constexpr int64_t gemm_k_block = 256;

/** A product. Strides are in floats, and the distance of two rows in memory. */
struct Gemm {
  int64_t m = 0, n = 0, k = 0;  // any of them may be 0
  const float* a = nullptr;     // [m, a_stride], or [k, a_stride] where a_transposed
  int64_t a_stride = 0;
  bool a_transposed = false;
  const float* b = nullptr;  // [k, b_stride], or [n, b_stride] where b_transposed
  int64_t b_stride = 0;
  bool b_transposed = false;
  const float* bias = nullptr;  // [n], or none
  float* c = nullptr;           // [m, c_stride]; overlaps neither a nor b
  int64_t c_stride = 0;
  bool accumulate = false;  // C +=
  Arithmetic arithmetic = Arithmetic::float32;
  int threads = 4;  // that should find jobs enough; bits do not depend on it
  int64_t packed_n = 0, packed_k = 0;  // what B was packed with, where that was more; 0: n, k
};

/** What a level supplies. All memory that is given must be aligned to 64 bytes. */
struct GemmKernels {
  /** Bytes of packed B, and of memory that each thread needs of its own for `multiply`: one
   *  number for all products. */
  int64_t (*packed_bytes)(const Gemm&);
  int64_t own_bytes;

  int64_t (*pack_jobs)(const Gemm&);
  void (*pack)(const Gemm&, void* packed, int64_t job);

  int64_t (*multiply_jobs)(const Gemm&);
  void (*multiply)(const Gemm&, const void* packed, void* own, int64_t job);

  /** sums[columns] (=|+=) the sums of the columns of x[rows, stride]: blocks of gemm_k_block rows,
   *  each from zero, in order. Any cut of the columns gives the same bits. */
  void (*column_sums)(const float* x, int64_t rows, int64_t columns, int64_t stride,
                      bool accumulate, float* sums);
};

}  // namespace tokamak::cpu
