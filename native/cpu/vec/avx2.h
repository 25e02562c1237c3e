// SPDX-License-Identifier: Apache-2.0
//
// vec.h on AVX2, FMA and F16C: a vector is two ymm registers.
#pragma once

#include <immintrin.h>

namespace TK_LEVEL {

struct Floats {
  __m256 lo, hi;
};
struct Ints {
  __m256i lo, hi;
};

/** All bits set in the lanes below n of eight. */
TK_INLINE __m256i lanes_below(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

TK_INLINE Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TK_INLINE void store(float* p, Floats a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
TK_INLINE Floats load_partial(const float* p, int n) {
  return {_mm256_maskload_ps(p, lanes_below(n)), _mm256_maskload_ps(p + 8, lanes_below(n - 8))};
}
TK_INLINE void store_partial(float* p, Floats a, int n) {
  _mm256_maskstore_ps(p, lanes_below(n), a.lo);
  _mm256_maskstore_ps(p + 8, lanes_below(n - 8), a.hi);
}
TK_INLINE Floats set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TK_INLINE Floats zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
TK_INLINE Ints set_ints(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }

TK_INLINE Ints as_ints(Floats a) { return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)}; }
TK_INLINE Floats as_floats(Ints a) {
  return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
}

TK_INLINE Floats add(Floats a, Floats b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
TK_INLINE Floats sub(Floats a, Floats b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
TK_INLINE Floats mul(Floats a, Floats b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
TK_INLINE Floats div(Floats a, Floats b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
TK_INLINE Floats sqrt(Floats a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
TK_INLINE Floats max(Floats a, Floats b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TK_INLINE Floats min(Floats a, Floats b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
TK_INLINE Floats fma(Floats a, Floats b, Floats c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TK_INLINE Ints bit_and(Ints a, Ints b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
TK_INLINE Ints bit_or(Ints a, Ints b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
TK_INLINE Ints bit_xor(Ints a, Ints b) {
  return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}
TK_INLINE Floats abs(Floats a) { return as_floats(bit_and(as_ints(a), set_ints(0x7fffffff))); }

TK_INLINE Ints select(Ints mask, Ints a, Ints b) {
  return {_mm256_blendv_epi8(b.lo, a.lo, mask.lo), _mm256_blendv_epi8(b.hi, a.hi, mask.hi)};
}
TK_INLINE Floats select(Ints mask, Floats a, Floats b) {
  return as_floats(select(mask, as_ints(a), as_ints(b)));
}
TK_INLINE Floats first_lanes(int n, Floats a, Floats b) {
  return select(Ints{lanes_below(n), lanes_below(n - 8)}, a, b);
}
TK_INLINE Ints less(Floats a, Floats b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
TK_INLINE Ints unordered(Floats a) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q)),
          _mm256_castps_si256(_mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q))};
}
TK_INLINE bool all_set(Ints mask) {
  return _mm256_movemask_epi8(_mm256_and_si256(mask.lo, mask.hi)) == -1;
}

TK_INLINE float reduce_add(Floats a) {
  __m256 b = _mm256_add_ps(a.lo, a.hi);
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
TK_INLINE float reduce_max(Floats a) {
  __m256 b = _mm256_max_ps(a.lo, a.hi);
  __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  c = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

TK_INLINE __m128i load_16_bytes(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
TK_INLINE Floats load_f16(const void* p) {
  const char* bytes = static_cast<const char*>(p);
  return {_mm256_cvtph_ps(load_16_bytes(bytes)), _mm256_cvtph_ps(load_16_bytes(bytes + 16))};
}
TK_INLINE void store_f16(void* p, Floats a) {
  __m128i* out = static_cast<__m128i*>(p);
  _mm_storeu_si128(out, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128(out + 1, _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
TK_INLINE Floats load_bf16(const void* p) {
  const char* bytes = static_cast<const char*>(p);
  __m256i lo = _mm256_cvtepu16_epi32(load_16_bytes(bytes));
  __m256i hi = _mm256_cvtepu16_epi32(load_16_bytes(bytes + 16));
  return as_floats({_mm256_slli_epi32(lo, 16), _mm256_slli_epi32(hi, 16)});
}
TK_INLINE void store_low_halves(void* p, Ints a) {
  __m256i packed = _mm256_packus_epi32(_mm256_and_si256(a.lo, _mm256_set1_epi32(0xffff)),
                                       _mm256_and_si256(a.hi, _mm256_set1_epi32(0xffff)));
  // packus works within 128-bit halves: put the quarters 0 2 1 3 in order
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}

TK_INLINE Ints load_ints(const void* p) {
  const __m256i* in = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(in), _mm256_loadu_si256(in + 1)};
}
TK_INLINE Ints load_quarters(const void* a, const void* b, const void* c, const void* d) {
  return {_mm256_set_m128i(load_16_bytes(b), load_16_bytes(a)),
          _mm256_set_m128i(load_16_bytes(d), load_16_bytes(c))};
}
TK_INLINE void store_ints(void* p, Ints a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(static_cast<__m256i*>(p) + 1, a.hi);
}
TK_INLINE Ints load_s8(const void* p) {
  __m128i bytes = load_16_bytes(p);
  return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
}
TK_INLINE Ints load_u8(const void* p) {
  __m128i bytes = load_16_bytes(p);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
TK_INLINE void store_s8(void* p, Ints a) {
  __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xd8);
  _mm_storeu_si128(
      static_cast<__m128i*>(p),
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
TK_INLINE Ints add(Ints a, Ints b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
TK_INLINE Ints sub(Ints a, Ints b) {
  return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
TK_INLINE Ints max(Ints a, Ints b) {
  return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)};
}
TK_INLINE Ints multiply(Ints a, Ints b) {
  return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)};
}
TK_INLINE int32_t reduce_add(Ints a) {
  __m256i b = _mm256_add_epi32(a.lo, a.hi);
  __m128i c = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_add_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_shuffle_epi32(c, 1)));
}
TK_INLINE int32_t reduce_max(Ints a) {
  __m256i b = _mm256_max_epi32(a.lo, a.hi);
  __m128i c = _mm_max_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  c = _mm_max_epi32(c, _mm_unpackhi_epi64(c, c));
  return _mm_cvtsi128_si32(_mm_max_epi32(c, _mm_shuffle_epi32(c, 1)));
}
template <int n>
TK_INLINE Ints shift_left(Ints a) {
  return {_mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n)};
}
template <int n>
TK_INLINE Ints shift_right(Ints a) {
  return {_mm256_srli_epi32(a.lo, n), _mm256_srli_epi32(a.hi, n)};
}
TK_INLINE Floats to_floats(Ints a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
TK_INLINE Ints round_to_ints(Floats a) {
  return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}

/** 2^n by its exponent bits, -126 <= n <= 127. */
TK_INLINE Floats power_of_two(Ints n) { return as_floats(shift_left<23>(add(n, set_ints(127)))); }
TK_INLINE Floats scale_by_power(Floats a, Floats n) {
  // in two factors, so that both are normal numbers where the result is not
  Ints first = round_to_ints(mul(n, set(0.5f)));
  Ints second = sub(round_to_ints(n), first);
  return mul(mul(a, power_of_two(first)), power_of_two(second));
}

/** 8 x 8 of a. */
TK_INLINE void transpose(__m256i (&a)[8]) {
  __m256i b[8];
  TK_UNROLL for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
  }
  TK_UNROLL for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
  // a[i] has columns i and i + 4 of rows 0 .. 3, a[4 + i] those of rows 4 .. 7
  TK_UNROLL for (int i = 0; i < 4; i++) {
    b[i] = _mm256_permute2x128_si256(a[i], a[4 + i], 0x20);
    b[4 + i] = _mm256_permute2x128_si256(a[i], a[4 + i], 0x31);
  }
  TK_UNROLL for (int i = 0; i < 8; i++) a[i] = b[i];
}
TK_INLINE void transpose(Ints (&rows)[16]) {
  __m256i quarter[4][8];
  TK_UNROLL for (int i = 0; i < 8; i++) {
    quarter[0][i] = rows[i].lo;
    quarter[1][i] = rows[8 + i].lo;
    quarter[2][i] = rows[i].hi;
    quarter[3][i] = rows[8 + i].hi;
  }
  TK_UNROLL for (int i = 0; i < 4; i++) transpose(quarter[i]);
  TK_UNROLL for (int i = 0; i < 8; i++) {
    rows[i] = {quarter[0][i], quarter[1][i]};
    rows[8 + i] = {quarter[2][i], quarter[3][i]};
  }
}

TK_INLINE __m256i dot4_small(__m256i acc, __m256i w, __m256i x) {
  __m256i pairs = _mm256_maddubs_epi16(w, x);
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
TK_INLINE Ints dot4_small(Ints acc, Ints w, Ints x) {
  return {dot4_small(acc.lo, w.lo, x.lo), dot4_small(acc.hi, w.hi, x.hi)};
}
// |w - 128| <= 128 times x with the sign of w - 128: pairs of products fit 16 bits.
constexpr bool dots_are_signed = true;
struct SignedBytes {
  Ints centred, magnitude;
};
TK_INLINE SignedBytes bytes(Ints w) {
  __m256i middle = _mm256_set1_epi8(-128);
  Ints centred = {_mm256_xor_si256(w.lo, middle), _mm256_xor_si256(w.hi, middle)};
  return {centred, {_mm256_abs_epi8(centred.lo), _mm256_abs_epi8(centred.hi)}};
}
TK_INLINE Ints dot4(Ints acc, SignedBytes w, Ints x) {
  return dot4_small(acc, w.magnitude,
                    {_mm256_sign_epi8(x.lo, w.centred.lo), _mm256_sign_epi8(x.hi, w.centred.hi)});
}

}  // namespace TK_LEVEL
