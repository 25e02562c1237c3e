// SPDX-License-Identifier: Apache-2.0
//
// The loops that tk_cpu_roofline times: nothing but loads, or nothing but one arithmetic
// instruction in enough independent chains to hide its latency.

namespace TK_LEVEL {

#if defined(TK_VEC_AVX512)
constexpr int kChains = 12;
TK_INLINE void opaque(Floats& a) { asm volatile("" : "+v"(a.v)); }
TK_INLINE void opaque(Ints& a) { asm volatile("" : "+v"(a.v)); }
#elif defined(TK_VEC_AVX2)
constexpr int kChains = 6;  // of two registers
TK_INLINE void opaque(Floats& a) { asm volatile("" : "+x"(a.lo), "+x"(a.hi)); }
TK_INLINE void opaque(Ints& a) { asm volatile("" : "+x"(a.lo), "+x"(a.hi)); }
#else
constexpr int kChains = 2;  // of four registers
#if defined(__SSE2__)
#define TK_REGISTER "+x"
#elif defined(__aarch64__)
#define TK_REGISTER "+w"
#else
#define TK_REGISTER "+m"
#endif
template <class Vector>
TK_INLINE void opaque(Vector& a) {
  asm volatile("" : TK_REGISTER(a.v[0]), TK_REGISTER(a.v[1]), TK_REGISTER(a.v[2]),
               TK_REGISTER(a.v[3]));
}
#undef TK_REGISTER
#endif

/** Reads memory, whole vectors of it, and returns something that depends on all. */
static int64_t read_all(const void* memory, int64_t bytes) {
  constexpr int streams = kChains < 8 ? kChains : 8;
  const char* p = static_cast<const char*>(memory);
  Ints sum[streams];
  TK_UNROLL for (int i = 0; i < streams; i++) sum[i] = set_ints(0);
  for (int64_t at = 0; at + streams * 64 <= bytes; at += streams * 64) {
    TK_UNROLL for (int i = 0; i < streams; i++) sum[i] = add(sum[i], load_ints(p + at + i * 64));
  }
  TK_UNROLL for (int i = 1; i < streams; i++) sum[0] = add(sum[0], sum[i]);
  int32_t lanes[16];
  store_ints(lanes, sum[0]);
  int64_t total = 0;
  for (int i = 0; i < 16; i++) total += lanes[i];
  return total;
}

/** Operations (a product and a sum are two) of `rounds` rounds of float32 multiply-adds. */
static double multiply_floats(int64_t rounds) {
  Floats sum[kChains];
  TK_UNROLL for (int i = 0; i < kChains; i++) sum[i] = set(0.001f);
  const Floats factor = set(0.999f), summand = set(0.001f);
  for (int64_t round = 0; round < rounds; round++) {
    TK_UNROLL for (int i = 0; i < kChains; i++) {
      sum[i] = fma(sum[i], factor, summand);
      opaque(sum[i]);
    }
  }
  return static_cast<double>(rounds) * kChains * 16 * 2;
}

/** The same of int8 products. */
static double multiply_bytes(int64_t rounds) {
  Ints sum[kChains];
  TK_UNROLL for (int i = 0; i < kChains; i++) sum[i] = set_ints(0);
  Ints weights = set_ints(0x01010101);
  const Ints values = set_ints(0x02020202);
  for (int64_t round = 0; round < rounds; round++) {
    TK_UNROLL for (int i = 0; i < kChains; i++) {
      opaque(weights);  // or the products would be made once
      sum[i] = dot4_small(sum[i], weights, values);
      opaque(sum[i]);
    }
  }
  return static_cast<double>(rounds) * kChains * 64 * 2;
}

#if defined(__AVX512BF16__)
/** The same of bf16 products. */
static double multiply_bf16(int64_t rounds) {
  Floats sum[kChains];
  TK_UNROLL for (int i = 0; i < kChains; i++) sum[i] = zero();
  const Ints ones = set_ints(0x3f803f80);
  for (int64_t round = 0; round < rounds; round++) {
    TK_UNROLL for (int i = 0; i < kChains; i++) {
      sum[i] = dot_bf16(sum[i], ones, ones);
      opaque(sum[i]);
    }
  }
  return static_cast<double>(rounds) * kChains * 32 * 2;
}
#else
constexpr double (*multiply_bf16)(int64_t) = nullptr;
#endif

}  // namespace TK_LEVEL
