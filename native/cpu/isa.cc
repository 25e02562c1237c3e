// SPDX-License-Identifier: Apache-2.0

#include "isa.h"

#include "../status.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

// Each is defined by kernels.cc, compiled with the flags of its level.
namespace baseline {
extern const tokamak::cpu::Kernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const tokamak::cpu::Kernels kernels;
}
namespace avx512 {
extern const tokamak::cpu::Kernels kernels;
}
namespace avx512vnni {
extern const tokamak::cpu::Kernels kernels;
}
#endif

namespace tokamak::cpu {
namespace {

constexpr int levels = 4;
const char* const names[levels] = {"baseline", "avx2", "avx512", "avx512vnni"};

const Kernels* const compiled[levels] = {
    &baseline::kernels,
#if defined(__x86_64__)
    &avx2::kernels,
    &avx512::kernels,
    &avx512vnni::kernels,
#endif
};

#if defined(__x86_64__)

/** A register of one CPUID leaf; zero where the leaf does not exist. */
struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
  Leaf(unsigned leaf, unsigned subleaf) { __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d); }
};

bool all(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/** XCR0: which register states the operating system saves. Only where CPUID says OSXSAVE. */
unsigned saved_states() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

int probe() {
  const Leaf basic(1, 0), extended(7, 0), extended1(7, 1), amd(0x80000001, 0);
  if (!all(basic.c, bit_OSXSAVE)) return TK_LEVEL_BASELINE;
  const unsigned saved = saved_states();
  constexpr unsigned sse_and_avx = 0x6, opmask_and_zmm = 0xe0;

  // The compiler's flags for a level (cmake/CpuVariants.cmake) allow no more than is asked here.
  const bool avx2 = all(saved, sse_and_avx) &&
                    all(basic.c, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_POPCNT) &&
                    all(extended.b, bit_AVX2 | bit_BMI | bit_BMI2) && all(amd.c, bit_LZCNT);
  if (!avx2) return TK_LEVEL_BASELINE;
  const bool avx512 = all(saved, opmask_and_zmm) &&
                      all(extended.b, bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ |
                                          bit_AVX512CD);
  if (!avx512) return TK_LEVEL_AVX2;
  const bool vnni = all(extended.c, bit_AVX512VNNI) && all(extended1.a, bit_AVX512BF16);
  return vnni ? TK_LEVEL_AVX512_VNNI : TK_LEVEL_AVX512;
}

#else

int probe() { return TK_LEVEL_BASELINE; }

#endif

}  // namespace

const Kernels* kernels_of(int level) {
  if (level < 0 || level >= levels) {
    fail(TK_BAD_ARGUMENT, "level=%d, must be 0 to %d", level, levels - 1);
    return nullptr;
  }
  const int best = tk_cpu_level();
  if (level > best || compiled[level] == nullptr) {
    fail(TK_UNSUPPORTED, "level %s: this machine runs no more than %s", names[level], names[best]);
    return nullptr;
  }
  return compiled[level];
}

}  // namespace tokamak::cpu

int tk_cpu_level(void) {
  static const int best = tokamak::cpu::probe();
  return best;
}

const char* tk_cpu_level_name(int level) {
  if (level >= 0 && level < tokamak::cpu::levels) return tokamak::cpu::names[level];
  tokamak::fail(TK_BAD_ARGUMENT, "tk_cpu_level_name: level=%d, must be 0 to %d", level,
                tokamak::cpu::levels - 1);
  return nullptr;
}
