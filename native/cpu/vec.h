// SPDX-License-Identifier: Apache-2.0
//
// vec.h: 16-lane vectors, the one vocabulary of the kernels at every instruction-set level.
//
//   Floats  16 float32      AVX-512: one zmm    AVX2: two ymm    elsewhere: four 16-byte vectors
//   Ints    16 int32, also seen as 64 bytes (4 to a lane)        that the compiler knows
//
// Addresses need no alignment. Everything is in the namespace TK_LEVEL, which the build names
// after the level, and internal to its object file: code built for AVX-512 never ends up in the
// baseline. For the same reason no file that is compiled per level includes C++ headers.
//
// The operations, written once per level in vec/<level>.h:
//
//   load, store              16 floats; load_partial, store_partial: the first n (0..16) lanes,
//                            the others read as zero and are not written
//   set, zero                every lane the same; set_ints
//   add sub mul div max min  max and min give the second operand where either is NaN; sqrt
//   fma(a, b, c)             a * b + c; rounded once where the processor has FMA, else twice
//   abs, first_lanes(n,a,b)  lanes below n from a, the others from b
//   less(a, b) -> Ints       all bits where a < b; select(mask, a, b): a where the mask is set
//   reduce_add, reduce_max   lanes i and i+8, then i+4, i+2, i+1: the same order at every level
//   load_f16, store_f16      16 halves; load_bf16, store_bf16: nearest even, NaN stays NaN
//   load_ints, store_ints    16 int32; load_s8, load_u8: 16 bytes, widened
//   load_quarters(a,b,c,d)   4 int32 from each of four addresses
//   store_s8                 narrows to 16 bytes, saturated
//   add sub bit_and bit_or   and bit_xor on Ints; reduce_add, reduce_max too; shift_left<n>, shift_right<n> of the 32-bit lanes, zeros in
//   multiply                 low 32 bits of the products
//   to_floats, round_to_ints nearest even; out of range and NaN: INT32_MIN (x86)
//   as_ints, as_floats       the same bits
//   scale_by_power(a, n)     a * 2^n, n whole numbers; right into the denormals and to infinity
//   dot4_small(acc, w, x)    acc + sum over the 4 bytes of a lane: w * x, w in 0..127, exact.
//                            x is set_ints(4 activation bytes), none of them -128, or their address
//   dot4(acc, bytes(w), x)   the same for bytes of 0..255; where dots_are_signed, sums of
//                            (w - 128) * x, which is cheaper there; else of w * x
//   transpose(rows)          of Ints[16]: lane i of row j against lane j of row i
//   dot_bf16(acc, w, x)      acc + the 2 products of a lane: pairs of bf16. This and the next two
//                            only where TK_VEC_BF16 is defined
//   bf16_pairs(a, b)         each lane of a, low, with that of b; nearest even, denormals are zero
//   bf16_row(a, b)           the same of neighbours: lanes 0 and 1 of a, ..., 14 and 15 of b
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TK_INLINE static inline __attribute__((always_inline))

/** Before a loop over an array of vectors that is to stay in registers. */
#define TK_UNROLL _Pragma("GCC unroll 16")

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define TK_VEC_AVX512 1
#include "vec/avx512.h"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define TK_VEC_AVX2 1
#include "vec/avx2.h"
#else
#define TK_VEC_GENERIC 1
#include "vec/generic.h"
#endif

namespace TK_LEVEL {

constexpr int kLanes = 16;

TK_INLINE int32_t four_bytes(const void* p) {
  int32_t bytes;
  __builtin_memcpy(&bytes, p, sizeof bytes);
  return bytes;
}

#ifndef TK_VEC_DOT4_MEMORY
TK_INLINE Ints dot4_small(Ints acc, Ints w, const int8_t* x) {
  return dot4_small(acc, w, set_ints(four_bytes(x)));
}
#endif

/** bf16 of each lane, nearest even, as the low half of an int32. NaN keeps its sign and a
 *  quiet bit. In integers at every level: VCVTNEPS2BF16 would flush denormals. */
TK_INLINE Ints round_to_bf16(Floats a) {
  Ints bits = as_ints(a);
  Ints odd = bit_and(shift_right<16>(bits), set_ints(1));
  Ints rounded = shift_right<16>(add(add(bits, set_ints(0x7fff)), odd));
  Ints quiet = bit_or(shift_right<16>(bits), set_ints(0x40));
  return select(unordered(a), quiet, rounded);
}

TK_INLINE void store_bf16(void* p, Floats a) { store_low_halves(p, round_to_bf16(a)); }

/** e^x, within about 1 unit in the last place. Below -104: 0; above 88.8: infinity; NaN stays.
 *  Range reduction after Cody and Waite (1980); the polynomial is a minimax fit of
 *  (e^r - 1 - r) / r^2 on [-ln(2)/2, ln(2)/2]. */
TK_INLINE Floats exp(Floats x) {
  x = max(set(-104.0f), x);  // this order of operands lets NaN pass
  x = min(set(89.0f), x);
  Floats n = to_floats(round_to_ints(mul(x, set(1.44269504f))));
  // ln 2 in two parts: the first has few bits, so that n times it is exact
  Floats r = fma(n, set(-0.693359375f), x);
  r = fma(n, set(2.12194440e-4f), r);
  Floats p = set(1.9790257e-4f);
  p = fma(p, r, set(1.394476e-3f));
  p = fma(p, r, set(8.333498e-3f));
  p = fma(p, r, set(4.1666295e-2f));
  p = fma(p, r, set(0.16666666f));
  p = fma(p, r, set(0.5f));
  p = fma(mul(p, r), r, r);
  Floats e = scale_by_power(add(p, set(1.0f)), n);
  return select(unordered(x), x, e);
}

/** Whether no lane is NaN or infinite. */
TK_INLINE bool all_finite(Floats a) {
  return all_set(less(abs(a), set(__builtin_inff())));
}

}  // namespace TK_LEVEL
