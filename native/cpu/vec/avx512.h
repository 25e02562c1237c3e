// SPDX-License-Identifier: Apache-2.0
//
// vec.h on AVX-512 (F, BW, VL, DQ), with VNNI and BF16 where the level has them.
#pragma once

#if defined(__clang__)
#include <immintrin.h>
#else  // GCC 12 sees the registers that its own intrinsics leave undefined as a mistake of ours
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace TK_LEVEL {

struct Floats {
  __m512 v;
};
struct Ints {
  __m512i v;
};

TK_INLINE __mmask16 lanes_below(int n) { return static_cast<__mmask16>((1u << n) - 1); }

TK_INLINE Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
TK_INLINE void store(float* p, Floats a) { _mm512_storeu_ps(p, a.v); }
TK_INLINE Floats load_partial(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(lanes_below(n), p)};
}
TK_INLINE void store_partial(float* p, Floats a, int n) {
  _mm512_mask_storeu_ps(p, lanes_below(n), a.v);
}
TK_INLINE Floats set(float x) { return {_mm512_set1_ps(x)}; }
TK_INLINE Floats zero() { return {_mm512_setzero_ps()}; }
TK_INLINE Ints set_ints(int32_t x) { return {_mm512_set1_epi32(x)}; }

TK_INLINE Ints as_ints(Floats a) { return {_mm512_castps_si512(a.v)}; }
TK_INLINE Floats as_floats(Ints a) { return {_mm512_castsi512_ps(a.v)}; }

TK_INLINE Floats add(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
TK_INLINE Floats sub(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
TK_INLINE Floats mul(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
TK_INLINE Floats div(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
TK_INLINE Floats sqrt(Floats a) { return {_mm512_sqrt_ps(a.v)}; }
TK_INLINE Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
TK_INLINE Floats min(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
TK_INLINE Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TK_INLINE Floats abs(Floats a) {
  return {_mm512_and_ps(a.v, _mm512_castsi512_ps(_mm512_set1_epi32(0x7fffffff)))};
}

TK_INLINE Floats first_lanes(int n, Floats a, Floats b) {
  return {_mm512_mask_blend_ps(lanes_below(n), b.v, a.v)};
}
TK_INLINE Ints less(Floats a, Floats b) {
  return {_mm512_movm_epi32(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ))};
}
TK_INLINE Ints unordered(Floats a) {
  return {_mm512_movm_epi32(_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q))};
}
TK_INLINE bool all_set(Ints mask) { return _mm512_movepi32_mask(mask.v) == 0xffff; }
TK_INLINE Ints select(Ints mask, Ints a, Ints b) {
  return {_mm512_ternarylogic_epi32(mask.v, a.v, b.v, 0xca)};
}
TK_INLINE Floats select(Ints mask, Floats a, Floats b) {
  return as_floats(select(mask, as_ints(a), as_ints(b)));
}

TK_INLINE float reduce_add(Floats a) {
  __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
TK_INLINE float reduce_max(Floats a) {
  __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

TK_INLINE Floats load_f16(const void* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)))};
}
TK_INLINE void store_f16(void* p, Floats a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
TK_INLINE Floats load_bf16(const void* p) {
  __m512i halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(halves, 16))};
}
TK_INLINE void store_low_halves(void* p, Ints a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v));
}

TK_INLINE Ints load_ints(const void* p) { return {_mm512_loadu_si512(p)}; }
TK_INLINE Ints load_quarters(const void* a, const void* b, const void* c, const void* d) {
  const __m128i* const parts[] = {static_cast<const __m128i*>(a), static_cast<const __m128i*>(b),
                                  static_cast<const __m128i*>(c), static_cast<const __m128i*>(d)};
  __m512i low = _mm512_castsi128_si512(_mm_loadu_si128(parts[0]));
  low = _mm512_inserti32x4(low, _mm_loadu_si128(parts[1]), 1);
  low = _mm512_inserti32x4(low, _mm_loadu_si128(parts[2]), 2);
  return {_mm512_inserti32x4(low, _mm_loadu_si128(parts[3]), 3)};
}
TK_INLINE void store_ints(void* p, Ints a) { _mm512_storeu_si512(p, a.v); }
TK_INLINE Ints load_s8(const void* p) {
  return {_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}
TK_INLINE Ints load_u8(const void* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)))};
}
TK_INLINE void store_s8(void* p, Ints a) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(a.v));
}
TK_INLINE Ints add(Ints a, Ints b) { return {_mm512_add_epi32(a.v, b.v)}; }
TK_INLINE Ints sub(Ints a, Ints b) { return {_mm512_sub_epi32(a.v, b.v)}; }
TK_INLINE Ints max(Ints a, Ints b) { return {_mm512_max_epi32(a.v, b.v)}; }
TK_INLINE Ints multiply(Ints a, Ints b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
TK_INLINE Ints bit_and(Ints a, Ints b) { return {_mm512_and_si512(a.v, b.v)}; }
TK_INLINE Ints bit_or(Ints a, Ints b) { return {_mm512_or_si512(a.v, b.v)}; }
TK_INLINE Ints bit_xor(Ints a, Ints b) { return {_mm512_xor_si512(a.v, b.v)}; }
TK_INLINE int32_t reduce_add(Ints a) {
  __m256i b = _mm256_add_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti32x8_epi32(a.v, 1));
  __m128i c = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_add_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 1)));
}
TK_INLINE int32_t reduce_max(Ints a) {
  __m256i b = _mm256_max_epi32(_mm512_castsi512_si256(a.v), _mm512_extracti32x8_epi32(a.v, 1));
  __m128i c = _mm_max_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_max_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtsi128_si32(_mm_max_epi32(c, _mm_shuffle_epi32(c, 1)));
}
template <int n>
TK_INLINE Ints shift_left(Ints a) {
  return {_mm512_slli_epi32(a.v, n)};
}
template <int n>
TK_INLINE Ints shift_right(Ints a) {
  return {_mm512_srli_epi32(a.v, n)};
}
TK_INLINE Floats to_floats(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
TK_INLINE Ints round_to_ints(Floats a) { return {_mm512_cvtps_epi32(a.v)}; }
TK_INLINE Floats scale_by_power(Floats a, Floats n) { return {_mm512_scalef_ps(a.v, n.v)}; }

TK_INLINE void transpose(Ints (&rows)[16]) {
  __m512i a[16], b[16];
  // 4 x 4 within each quarter: pairs of rows, then pairs of those
  TK_UNROLL for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i].v, rows[i + 1].v);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i].v, rows[i + 1].v);
  }
  TK_UNROLL for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // b[4 g + c] has columns c, c + 4, c + 8, c + 12 of rows 4 g .. 4 g + 3: quarters change places
  TK_UNROLL for (int c = 0; c < 4; c++) {
    const __m512i low = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88);
    const __m512i high = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88);
    rows[c].v = _mm512_shuffle_i32x4(low, high, 0x88);
    rows[8 + c].v = _mm512_shuffle_i32x4(low, high, 0xdd);
    const __m512i odd_low = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
    const __m512i odd_high = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
    rows[4 + c].v = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    rows[12 + c].v = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
}

#if defined(__AVX512VNNI__)
constexpr bool dots_are_signed = false;
TK_INLINE Ints bytes(Ints w) { return w; }
TK_INLINE Ints dot4(Ints acc, Ints w, Ints x) { return {_mm512_dpbusd_epi32(acc.v, w.v, x.v)}; }
TK_INLINE Ints dot4_small(Ints acc, Ints w, Ints x) { return dot4(acc, w, x); }
// Four bytes in memory, in all lanes, can be the instruction's operand. GCC 12 loads them to a
// register first: twice the instructions, and sums that move between registers.
#define TK_VEC_DOT4_MEMORY 1
TK_INLINE Ints dot4_small(Ints acc, Ints w, const int8_t* x) {
  typedef int32_t __attribute__((may_alias, aligned(1))) FourBytes;
  asm("vpdpbusd %2%{1to16%}, %1, %0"
      : "+v"(acc.v)
      : "v"(w.v), "m"(*reinterpret_cast<const FourBytes*>(x)));
  return acc;
}
#else
TK_INLINE Ints dot4_small(Ints acc, Ints w, Ints x) {
  __m512i pairs = _mm512_maddubs_epi16(w.v, x.v);
  return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}
// |w - 128| <= 128 times x with the sign of w - 128: pairs of products fit 16 bits.
constexpr bool dots_are_signed = true;
struct SignedBytes {
  __m512i magnitude;
  __mmask64 negative;
};
TK_INLINE SignedBytes bytes(Ints w) {
  __m512i centred = _mm512_xor_si512(w.v, _mm512_set1_epi8(-128));
  return {_mm512_abs_epi8(centred), _mm512_movepi8_mask(centred)};
}
TK_INLINE Ints dot4(Ints acc, SignedBytes w, Ints x) {
  __m512i signed_x = _mm512_mask_sub_epi8(x.v, w.negative, _mm512_setzero_si512(), x.v);
  return dot4_small(acc, {w.magnitude}, {signed_x});
}
#endif

#if defined(__AVX512BF16__)
#define TK_VEC_BF16 1
TK_INLINE Floats dot_bf16(Floats acc, Ints w, Ints x) {
  return {_mm512_dpbf16_ps(acc.v, (__m512bh)w.v, (__m512bh)x.v)};
}
TK_INLINE Ints bf16_row(Floats a, Floats b) {
  return {(__m512i)_mm512_cvtne2ps_pbh(b.v, a.v)};
}
TK_INLINE Ints bf16_pairs(Floats a, Floats b) {
  alignas(64) static constexpr uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,
                                                     21, 6, 22, 7, 23, 8,  24, 9,  25, 10, 26,
                                                     11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return {_mm512_permutexvar_epi16(_mm512_load_si512(order), bf16_row(a, b).v)};
}
#endif

}  // namespace TK_LEVEL
