// SPDX-License-Identifier: Apache-2.0
//
// Every machine instruction that kernels ask for by name, and the words that stand for CUDA's own
// where a kernel has to compile for the host too (kernels/host). No other header has PTX.
//
// All of it needs compute capability 8.0 or higher, PTX ISA 7.0.
//
//   SHARED(float, name, 64)   static shared memory: float name[64], aligned to 16 bytes
//   DYN_SMEM(name)            dynamic shared memory: unsigned char name[], aligned to 16 bytes
//   FN                        a function that is always inlined
//
// In loops that wait for what another block or warp writes, call __nanosleep(n): emulated threads
// run until they wait, and this lets the others run.

#pragma once

#include <stdint.h>

#if defined(__CUDACC__)

#define SHARED(T, name, N) __shared__ __align__(16) T name[N]
#define DYN_SMEM(name) extern __shared__ __align__(16) unsigned char name[]

#else

#include "../host/ptx_host.h"

#endif

#define FN __device__ __forceinline__

namespace ptx {

#if defined(__CUDACC__)

/** The address of shared memory in its own window, as PTX wants it. */
FN uint32_t shared_address(const void* address) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(address));
}

// ---- asynchronous copies: cp.async, sm_80 --------------------------------------------------

/** Copies BYTES (4, 8 or 16) bytes from global to shared memory while the thread goes on; zeros
 *  where not valid, and `global` is not read then. Both addresses are multiples of BYTES. 16 bytes
 *  pass the first-level cache by. */
template <int BYTES>
FN void copy_async(void* shared, const void* global, bool valid = true) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16);
  const int read = valid ? BYTES : 0;
  if constexpr (BYTES == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(read)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                 "l"(global), "n"(BYTES), "r"(read)
                 : "memory");
  }
}

/** The copies of this thread since the last commit become one group. */
FN void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/** Waits until at most the last KEEP groups of this thread are on their way. Other threads see what
 *  was copied after a barrier. */
template <int KEEP>
FN void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(KEEP) : "memory");
}

// ---- matrices of 8 x 8 16-bit values: ldmatrix, sm_75 ----------------------------------------
// Each matrix has eight rows of 16 bytes in shared memory. Lane 8 m + i gives the address of row i
// of matrix m, a multiple of 16. Register m of lane 4 g + t receives of matrix m
//   plain       row g, columns 2 t (low half) and 2 t + 1 (high half)
//   transposed  column g, rows 2 t and 2 t + 1
// All lanes of the warp take part. Of x2, lanes 16 to 31 give any address.

FN void load_matrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
FN void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
FN void load_matrix_x2(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
FN void load_matrix_x2_transposed(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}

// ---- tensor cores: mma.sync, sm_80 ---------------------------------------------------------

/** C[16, 8] += A[16, 16] * B[16, 8], A and B bfloat16, C float32, by the 32 lanes together. Lane
 *  4 g + t holds, the lower column or row in the lower half of a register:
 *
 *    A  a[0]  row g      columns 2 t, 2 t + 1       B  b[0]  column g  rows 2 t, 2 t + 1
 *       a[1]  row g + 8  columns 2 t, 2 t + 1          b[1]  column g  rows 2 t + 8, 2 t + 9
 *       a[2]  row g      columns 2 t + 8, 2 t + 9
 *       a[3]  row g + 8  columns 2 t + 8, 2 t + 9
 *    C  c[0], c[1]  row g      columns 2 t, 2 t + 1
 *       c[2], c[3]  row g + 8  columns 2 t, 2 t + 1
 */
FN void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/** C = A * B: the first of a chain. */
FN void mma_bf16_from_zero(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
      : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "f"(0.0f));
}

// ---- 16-bit numbers ------------------------------------------------------------------------

/** Two bfloat16, rounded to the nearest, ties to even; any NaN becomes 0x7fff. sm_80. */
FN uint32_t pack_bf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
/** (a & mask) | bits, in one instruction: the compiler makes two of it where both are constants. */
FN uint32_t and_or(uint32_t a, uint32_t mask, uint32_t bits) {
  uint32_t result;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(result) : "r"(a), "r"(mask), "r"(bits));
  return result;
}
/** a + b of both halves, to the nearest bfloat16. sm_80: a * 1 + b. */
FN uint32_t add_bf16(uint32_t a, uint32_t b) {
  uint32_t sum;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(sum) : "r"(a), "r"(0x3f803f80u), "r"(b));
  return sum;
}
FN float half_to_float(uint16_t half) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
  return value;
}
/** To the nearest, ties to even; any NaN becomes 0x7fff. */
FN uint16_t float_to_half(float value) {
  uint16_t half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

// ---- threads, memory and barriers ----------------------------------------------------------

/** Reads what is read once: it takes no room in the first-level cache. sm_70. */
FN uint4 load_streaming(const uint4* address) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(address));
  return value;
}

/** Declares that the lanes of a warp read or write BYTES (4, 8, 16) bytes of shared memory each, at
 *  once. Nothing on a device; emulated, the cycles that bank conflicts add are counted. */
template <int BYTES>
FN void count_conflicts(const void*) {}

/** The thread's lane, read anew: what is computed from it is not kept in registers over a loop. */
FN int lane() {
  int value;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(value));
  return value;
}

/** Named barrier `id` (1 to 15; 0 is __syncthreads) of `threads` threads, whole warps. What they
 *  wrote before is visible to them behind it. */
FN void barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#endif

// ---- 16-bit numbers, continued -------------------------------------------------------------

FN float bf16_low(uint32_t pair) { return __uint_as_float(pair << 16); }
FN float bf16_high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
FN float bf16_to_float(uint16_t half) { return __uint_as_float(static_cast<uint32_t>(half) << 16); }
/** As pack_bf16. */
FN uint16_t float_to_bf16(float value) { return static_cast<uint16_t>(pack_bf16(value, 0.0f)); }

}  // namespace ptx
