// SPDX-License-Identifier: Apache-2.0
//
// vec.h anywhere else: four 16-byte vectors in the compiler's own notation (GCC and Clang turn
// them into SSE2, NEON or plain code), with SSE2 instructions where that notation has no word.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace TK_LEVEL {

typedef float Floats4 __attribute__((vector_size(16)));
typedef int32_t Ints4 __attribute__((vector_size(16)));
typedef uint32_t Bits4 __attribute__((vector_size(16)));

// The same at any address, whatever is stored there.
typedef float AnyFloats4 __attribute__((vector_size(16), aligned(1), may_alias));
typedef int32_t AnyInts4 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t AnyHalves4 __attribute__((vector_size(8), aligned(1), may_alias));

struct Floats {
  Floats4 v[4];
};
struct Ints {
  Ints4 v[4];
};

#define TK_FOUR _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)

TK_INLINE Floats load(const float* p) {
  Floats r;
  TK_FOUR r.v[i] = reinterpret_cast<const AnyFloats4*>(p)[i];
  return r;
}
TK_INLINE void store(float* p, Floats a) {
  TK_FOUR reinterpret_cast<AnyFloats4*>(p)[i] = a.v[i];
}
TK_INLINE Ints load_ints(const void* p) {
  Ints r;
  TK_FOUR r.v[i] = static_cast<const AnyInts4*>(p)[i];
  return r;
}
TK_INLINE Ints load_quarters(const void* a, const void* b, const void* c, const void* d) {
  return {{*static_cast<const AnyInts4*>(a), *static_cast<const AnyInts4*>(b),
           *static_cast<const AnyInts4*>(c), *static_cast<const AnyInts4*>(d)}};
}
TK_INLINE void store_ints(void* p, Ints a) {
  TK_FOUR static_cast<AnyInts4*>(p)[i] = a.v[i];
}
TK_INLINE Floats load_partial(const float* p, int n) {
  float lanes[16] = {};
  for (int i = 0; i < n; i++) lanes[i] = p[i];
  return load(lanes);
}
TK_INLINE void store_partial(float* p, Floats a, int n) {
  float lanes[16];
  store(lanes, a);
  for (int i = 0; i < n; i++) p[i] = lanes[i];
}
TK_INLINE Floats set(float x) {
  Floats r;
  TK_FOUR r.v[i] = Floats4{x, x, x, x};
  return r;
}
TK_INLINE Floats zero() { return set(0); }
TK_INLINE Ints set_ints(int32_t x) {
  Ints r;
  TK_FOUR r.v[i] = Ints4{x, x, x, x};
  return r;
}

TK_INLINE Ints as_ints(Floats a) {
  Ints r;
  TK_FOUR r.v[i] = (Ints4)a.v[i];
  return r;
}
TK_INLINE Floats as_floats(Ints a) {
  Floats r;
  TK_FOUR r.v[i] = (Floats4)a.v[i];
  return r;
}

TK_INLINE Floats add(Floats a, Floats b) {
  TK_FOUR a.v[i] += b.v[i];
  return a;
}
TK_INLINE Floats sub(Floats a, Floats b) {
  TK_FOUR a.v[i] -= b.v[i];
  return a;
}
TK_INLINE Floats mul(Floats a, Floats b) {
  TK_FOUR a.v[i] *= b.v[i];
  return a;
}
TK_INLINE Floats div(Floats a, Floats b) {
  TK_FOUR a.v[i] /= b.v[i];
  return a;
}
TK_INLINE Floats fma(Floats a, Floats b, Floats c) { return add(mul(a, b), c); }

TK_INLINE Ints add(Ints a, Ints b) {
  TK_FOUR a.v[i] = (Ints4)((Bits4)a.v[i] + (Bits4)b.v[i]);
  return a;
}
TK_INLINE Ints sub(Ints a, Ints b) {
  TK_FOUR a.v[i] = (Ints4)((Bits4)a.v[i] - (Bits4)b.v[i]);
  return a;
}
TK_INLINE Ints multiply(Ints a, Ints b) {
  TK_FOUR a.v[i] = (Ints4)((Bits4)a.v[i] * (Bits4)b.v[i]);
  return a;
}
TK_INLINE Ints bit_and(Ints a, Ints b) {
  TK_FOUR a.v[i] &= b.v[i];
  return a;
}
TK_INLINE Ints bit_or(Ints a, Ints b) {
  TK_FOUR a.v[i] |= b.v[i];
  return a;
}
TK_INLINE Ints bit_xor(Ints a, Ints b) {
  TK_FOUR a.v[i] ^= b.v[i];
  return a;
}
template <int n>
TK_INLINE Ints shift_left(Ints a) {
  TK_FOUR a.v[i] = (Ints4)((Bits4)a.v[i] << n);
  return a;
}
template <int n>
TK_INLINE Ints shift_right(Ints a) {
  TK_FOUR a.v[i] = (Ints4)((Bits4)a.v[i] >> n);
  return a;
}

TK_INLINE Ints select(Ints mask, Ints a, Ints b) {
  TK_FOUR a.v[i] = (mask.v[i] & a.v[i]) | (~mask.v[i] & b.v[i]);
  return a;
}
TK_INLINE Floats select(Ints mask, Floats a, Floats b) {
  return as_floats(select(mask, as_ints(a), as_ints(b)));
}
TK_INLINE Ints max(Ints a, Ints b) {
  TK_FOUR {
    Ints4 greater = (Ints4)(a.v[i] > b.v[i]);
    a.v[i] = (greater & a.v[i]) | (~greater & b.v[i]);
  }
  return a;
}
TK_INLINE int32_t reduce_add(Ints a) {
  Bits4 c = ((Bits4)a.v[0] + (Bits4)a.v[2]) + ((Bits4)a.v[1] + (Bits4)a.v[3]);
  return static_cast<int32_t>((c[0] + c[2]) + (c[1] + c[3]));
}
TK_INLINE int32_t reduce_max(Ints a) {
  int32_t most = INT32_MIN;
  TK_FOUR for (int j = 0; j < 4; j++) most = a.v[i][j] > most ? a.v[i][j] : most;
  return most;
}
TK_INLINE Ints less(Floats a, Floats b) {
  Ints r;
  TK_FOUR r.v[i] = (Ints4)(a.v[i] < b.v[i]);
  return r;
}
TK_INLINE Ints unordered(Floats a) {
  Ints r;
  TK_FOUR r.v[i] = (Ints4)(a.v[i] != a.v[i]);
  return r;
}
TK_INLINE bool all_set(Ints mask) {
  Ints4 all = mask.v[0] & mask.v[1] & mask.v[2] & mask.v[3];
  return (all[0] & all[1] & all[2] & all[3]) == -1;
}
TK_INLINE Floats sqrt(Floats a) {
  Floats r;
  TK_FOUR r.v[i] = Floats4{__builtin_sqrtf(a.v[i][0]), __builtin_sqrtf(a.v[i][1]),
                           __builtin_sqrtf(a.v[i][2]), __builtin_sqrtf(a.v[i][3])};
  return r;
}
TK_INLINE Floats max(Floats a, Floats b) { return select(less(b, a), a, b); }
TK_INLINE Floats min(Floats a, Floats b) { return select(less(a, b), a, b); }
TK_INLINE Floats abs(Floats a) { return as_floats(bit_and(as_ints(a), set_ints(0x7fffffff))); }
TK_INLINE Floats first_lanes(int n, Floats a, Floats b) {
  Ints mask;
  TK_FOUR mask.v[i] = (Ints4)(Ints4{4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3} < n);
  return select(mask, a, b);
}

TK_INLINE float reduce_add(Floats a) {
  Floats4 c = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
  return (c[0] + c[2]) + (c[1] + c[3]);
}
TK_INLINE float reduce_max(Floats a) {
  float lanes[16];
  store(lanes, a);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) {
      lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    }
  }
  return lanes[0];
}

TK_INLINE Floats to_floats(Ints a) {
  Floats r;
  TK_FOUR r.v[i] = __builtin_convertvector(a.v[i], Floats4);
  return r;
}

/** The low halves of 16 lanes from 16 uint16. */
TK_INLINE Ints load_halves(const void* p) {
  Ints r;
  TK_FOUR r.v[i] = __builtin_convertvector(static_cast<const AnyHalves4*>(p)[i], Ints4);
  return r;
}
TK_INLINE void store_low_halves(void* p, Ints a) {
  int32_t lanes[16];
  store_ints(lanes, a);
  uint16_t halves[16];
  for (int i = 0; i < 16; i++) halves[i] = static_cast<uint16_t>(lanes[i]);
  __builtin_memcpy(p, halves, sizeof halves);
}
TK_INLINE Floats load_f16(const void* p) {
  Ints half = load_halves(p);
  Ints magnitude = bit_and(half, set_ints(0x7fff));
  Ints sign = shift_left<16>(bit_and(half, set_ints(0x8000)));
  // exponent and mantissa put in place, the bias put right by a factor: denormals come out right
  Floats finite = mul(as_floats(shift_left<13>(magnitude)), set(0x1p112f));
  Ints special = bit_or(shift_left<13>(magnitude), set_ints(0x7f800000));
  Ints is_finite = less(to_floats(magnitude), set(0x7c00));
  return as_floats(bit_or(sign, select(is_finite, as_ints(finite), special)));
}
TK_INLINE void store_f16(void* p, Floats a) {
  Ints bits = as_ints(a);
  Ints sign = shift_right<16>(bit_and(bits, set_ints(INT32_MIN)));
  Floats size = abs(a);
  // Below 2^-14 a half has a fixed step of 2^-24: adding 0.5 leaves the rounded count of steps
  // in the low bits of the sum. Above, round at bit 13 and put the bias right.
  Ints tiny = sub(as_ints(add(size, set(0.5f))), as_ints(set(0.5f)));
  Ints odd = bit_and(shift_right<13>(bits), set_ints(1));
  Ints normal = add(sub(as_ints(size), set_ints(112 << 23)), add(set_ints(0xfff), odd));
  Ints half = select(less(size, set(0x1p-14f)), tiny, shift_right<13>(normal));
  half = select(less(size, set(65520.0f)), half, set_ints(0x7c00));
  Ints nan = bit_or(bit_and(shift_right<13>(bits), set_ints(0x3ff)), set_ints(0x7e00));
  store_low_halves(p, bit_or(sign, select(unordered(a), nan, half)));
}
TK_INLINE Floats load_bf16(const void* p) { return as_floats(shift_left<16>(load_halves(p))); }

TK_INLINE Ints load_s8(const void* p) {
  int8_t bytes[16];
  __builtin_memcpy(bytes, p, sizeof bytes);
  int32_t lanes[16];
  for (int i = 0; i < 16; i++) lanes[i] = bytes[i];
  return load_ints(lanes);
}
TK_INLINE Ints load_u8(const void* p) {
  uint8_t bytes[16];
  __builtin_memcpy(bytes, p, sizeof bytes);
  int32_t lanes[16];
  for (int i = 0; i < 16; i++) lanes[i] = bytes[i];
  return load_ints(lanes);
}
TK_INLINE void store_s8(void* p, Ints a) {
  int32_t lanes[16];
  store_ints(lanes, a);
  int8_t bytes[16];
  for (int i = 0; i < 16; i++) {
    int32_t x = lanes[i] < -128 ? -128 : lanes[i] > 127 ? 127 : lanes[i];
    bytes[i] = static_cast<int8_t>(x);
  }
  __builtin_memcpy(p, bytes, sizeof bytes);
}
TK_INLINE Ints round_to_ints(Floats a) {
  Ints r;
#if defined(__SSE2__)
  TK_FOUR r.v[i] = (Ints4)_mm_cvtps_epi32(a.v[i]);
#else
  float lanes[16];
  store(lanes, a);
  int32_t ints[16];
  for (int i = 0; i < 16; i++) {
    bool in_range = lanes[i] >= -0x1p31f && lanes[i] < 0x1p31f;
    ints[i] = in_range ? static_cast<int32_t>(__builtin_rintf(lanes[i])) : INT32_MIN;
  }
  r = load_ints(ints);
#endif
  return r;
}

/** 2^n by its exponent bits, -126 <= n <= 127. */
TK_INLINE Floats power_of_two(Ints n) { return as_floats(shift_left<23>(add(n, set_ints(127)))); }
TK_INLINE Floats scale_by_power(Floats a, Floats n) {
  // in two factors, so that both are normal numbers where the result is not
  Ints first = round_to_ints(mul(n, set(0.5f)));
  Ints second = sub(round_to_ints(n), first);
  return mul(mul(a, power_of_two(first)), power_of_two(second));
}

TK_INLINE void transpose(Ints (&rows)[16]) {
  int32_t lanes[16][16];
  for (int i = 0; i < 16; i++) store_ints(lanes[i], rows[i]);
  for (int i = 0; i < 16; i++) {
    int32_t column[16];
    for (int j = 0; j < 16; j++) column[j] = lanes[j][i];
    rows[i] = load_ints(column);
  }
}

constexpr bool dots_are_signed = false;
TK_INLINE Ints bytes(Ints w) { return w; }
TK_INLINE Ints dot4(Ints acc, Ints w, Ints x) {
#if defined(__SSE2__)
  // Bytes 0 and 2 as int16 pairs, then bytes 1 and 3: two exact 16-bit products a lane each.
  __m128i low = _mm_set1_epi32(0x00ff00ff);
  TK_FOUR {
    __m128i wi = (__m128i)w.v[i], xi = (__m128i)x.v[i];
    __m128i even = _mm_madd_epi16(_mm_and_si128(wi, low), _mm_srai_epi16(_mm_slli_epi16(xi, 8), 8));
    __m128i odd = _mm_madd_epi16(_mm_srli_epi16(wi, 8), _mm_srai_epi16(xi, 8));
    acc.v[i] = (Ints4)_mm_add_epi32((__m128i)acc.v[i], _mm_add_epi32(even, odd));
  }
#else
  TK_FOUR for (int byte = 0; byte < 4; byte++) {
    Ints4 wb = (w.v[i] >> (8 * byte)) & 0xff;
    acc.v[i] += wb * ((x.v[i] << (24 - 8 * byte)) >> 24);
  }
#endif
  return acc;
}
TK_INLINE Ints dot4_small(Ints acc, Ints w, Ints x) { return dot4(acc, w, x); }

#undef TK_FOUR

}  // namespace TK_LEVEL
