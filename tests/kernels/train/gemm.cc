// SPDX-License-Identifier: Apache-2.0
//
// gemm: all forms at awkward sizes against double sums of the factors, rounded alike, bounded by
// what float32 sums may round; the same bits for any threads, alone and among other rows and
// columns; and that nothing outside C is written.

#include <string.h>

#include <algorithm>
#include <cstdlib>

#include "../cpu/machine.h"
#include "cpu/train/gemm_team.h"

namespace tokamak::tests {
namespace {

using cpu::Arithmetic;
using cpu::Claims;
using cpu::Gemm;
using cpu::GemmKernels;

/** Memory for packed operands, exactly as large as it must be, so that a sanitizer sees its end. */
struct Aligned {
  explicit Aligned(int64_t bytes) {
    const size_t size = static_cast<size_t>((bytes + 63) / 64 * 64);
    memory = std::aligned_alloc(64, std::max<size_t>(64, size));
    if (memory == nullptr) fail("no memory for %lld bytes", static_cast<long long>(bytes));
    memset(memory, 0xff, size);
  }
  ~Aligned() { std::free(memory); }
  Aligned(const Aligned&) = delete;
  void* memory;
};

const GemmKernels& kernels_of(const Team& team) { return team.handle->kernels->train->gemm; }

/** The product, by all threads of the team. */
void run(const Team& team, const Gemm& gemm) {
  struct Job {
    tk_team& team;
    const Gemm& gemm;
    void* packed;
    std::vector<std::unique_ptr<Aligned>> own;
    Claims claims[2];
  };
  const GemmKernels& kernels = kernels_of(team);
  const Aligned packed(kernels.packed_bytes(gemm));
  Job job{*team.handle, gemm, packed.memory, {}, {}};
  for (int i = 0; i < team.handle->threads; i++) {
    job.own.push_back(std::make_unique<Aligned>(kernels.own_bytes));
  }
  const int status = team.handle->run(
      [](void* context, int thread) {
        Job& own = *static_cast<Job*>(context);
        run_gemm(own.team, own.team.kernels->train->gemm, own.gemm, own.packed,
                 own.own[static_cast<size_t>(thread)]->memory, own.claims);
      },
      &job);
  expect_status(status, TK_OK, "gemm");
}

/** A product and its operands, which lie in rows that are longer than the matrix is wide. */
struct Problem {
  Gemm gemm;
  std::vector<float> a, b, bias, c;
  std::string title;

  static constexpr int64_t beside = 3;  // floats between rows

  Problem(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed, bool with_bias,
          bool accumulate, Arithmetic arithmetic, Random& random,
          const std::string& kind = "normal") {
    const auto matrix = [&](int64_t rows, int64_t width) {
      return rows > 0 ? values(kind, rows, width + beside, random) : std::vector<float>();
    };
    a = a_transposed ? matrix(k, m) : matrix(m, k);
    b = b_transposed ? matrix(n, k) : matrix(k, n);
    if (with_bias) bias = values("normal", 1, n, random);
    c = accumulate ? matrix(m, n) : std::vector<float>(static_cast<size_t>(m * (n + beside)), NAN);
    gemm.m = m, gemm.n = n, gemm.k = k;
    gemm.a = a.data(), gemm.a_stride = (a_transposed ? m : k) + beside;
    gemm.b = b.data(), gemm.b_stride = (b_transposed ? k : n) + beside;
    gemm.a_transposed = a_transposed, gemm.b_transposed = b_transposed;
    gemm.bias = with_bias ? bias.data() : nullptr;
    gemm.c_stride = n + beside;
    gemm.accumulate = accumulate;
    gemm.arithmetic = arithmetic;
    // The last row of each operand ends with its last value.
    for (std::vector<float>* one : {&a, &b}) {
      if (one->size() >= beside) one->resize(one->size() - beside), one->shrink_to_fit();
    }
    gemm.a = a.data(), gemm.b = b.data();
    title = std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k) +
            (a_transposed ? " A^T" : "") + (b_transposed ? " B^T" : "") +
            (with_bias ? " bias" : "") + (accumulate ? " +=" : "") +
            (arithmetic == Arithmetic::bf16 ? " bf16" : "") + " " + kind;
  }

  /** C as the team leaves it. */
  std::vector<float> result(const Team& team) const {
    std::vector<float> out = c;
    Gemm own = gemm;
    own.c = out.data();
    run(team, own);
    return out;
  }

  float a_at(int64_t i, int64_t p) const {
    return a[static_cast<size_t>(gemm.a_transposed ? p * gemm.a_stride + i : i * gemm.a_stride + p)];
  }
  float b_at(int64_t p, int64_t j) const {
    return b[static_cast<size_t>(gemm.b_transposed ? j * gemm.b_stride + p : p * gemm.b_stride + j)];
  }

  /** Compares with plain loops; what lies between the rows must be as it was. */
  void check(const std::vector<float>& out) const {
    const bool bf16 = gemm.arithmetic == Arithmetic::bf16;
    const auto factor = [&](float x) { return bf16 ? bf16_to_float(float_to_bf16(x)) : x; };
    for (int64_t i = 0; i < gemm.m; i++) {
      for (int64_t j = 0; j < gemm.c_stride; j++) {
        const size_t at = static_cast<size_t>(i * gemm.c_stride + j);
        if (j >= gemm.n) {
          if (memcmp(&out[at], &c[at], sizeof(float)) != 0) {
            fail("%s: wrote beside C in row %lld", title.c_str(), static_cast<long long>(i));
          }
          continue;
        }
        double sum = 0, squares = 0, lost = 0;
        for (int64_t p = 0; p < gemm.k; p++) {
          const double x = factor(a_at(i, p)), y = factor(b_at(p, j));
          sum += x * y;
          squares += x * y * x * y + sum * sum;
          lost += 4 * FLT_MIN * (1 + std::fabs(x) + std::fabs(y));  // denormals may count as zero
        }
        const double biased = gemm.bias == nullptr ? sum : sum + gemm.bias[j];
        const double exact = gemm.accumulate ? biased + c[at] : biased;
        squares += 2 * biased * biased + exact * exact;
        const double error = std::fabs(static_cast<double>(out[at]) - exact);
        const double bound = independent_roundings(squares) + lost;
        if (!(error <= bound)) {
          fail("%s: C[%lld, %lld] is %.9g, must be %.9g +- %.3g", title.c_str(),
               static_cast<long long>(i), static_cast<long long>(j),
               static_cast<double>(out[at]), exact, bound);
        }
      }
    }
  }
};

void same_bits(const Problem& problem, const std::vector<float>& one, const std::vector<float>& other,
               const char* how) {
  if (!one.empty() && memcmp(one.data(), other.data(), one.size() * sizeof(float)) != 0) {
    fail("%s: other bits %s", problem.title.c_str(), how);
  }
}

struct Size {
  int64_t m, n, k;
};

void forms(int level, uint64_t seed) {
  Random random(seed);
  const Team one(level, 1), two(level, 2), three(level, 3);
  std::vector<Size> sizes = {{1, 1, 1},    {14, 32, 16},  {15, 33, 17},  {13, 31, 15},
                             {2, 16, 256}, {7, 48, 257},  {29, 1, 513},  {1, 70, 300},
                             {113, 8, 64}, {8, 100, 200}, {100, 40, 8},  {3, 65, 31},
                             {0, 5, 5},    {5, 0, 5},     {5, 5, 0},     {230, 129, 37},
                             {9, 34, 1027}};
  for (int i = 0; i < 6; i++) {
    sizes.push_back({1 + random.below(60), 1 + random.below(90), 1 + random.below(600)});
  }
  for (const Size& size : sizes) {
    for (int form = 0; form < 32; form++) {
      const Problem problem(size.m, size.n, size.k, form & 1, form & 2, form & 4, form & 8,
                            form & 16 ? Arithmetic::bf16 : Arithmetic::float32, random);
      const std::vector<float> out = problem.result(two);
      problem.check(out);
      same_bits(problem, out, problem.result(one), "with 1 thread");
      same_bits(problem, out, problem.result(three), "with 3 threads");
    }
  }
}

void hard_values(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 2);
  for (const char* kind : {"outlier", "denormal", "zero"}) {
    for (int form = 0; form < 8; form++) {
      const Problem problem(17, 35, 70, form & 1, form & 2, false, false,
                            form & 4 ? Arithmetic::bf16 : Arithmetic::float32, random, kind);
      problem.check(problem.result(team));
    }
  }
}

/** One value that is not a number reaches its row or its column of C, and nothing else. */
void not_a_number(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 2);
  for (int form = 0; form < 8; form++) {
    for (const bool in_a : {true, false}) {
      Problem problem(20, 40, 30, form & 1, form & 2, false, false,
                      form & 4 ? Arithmetic::bf16 : Arithmetic::float32, random);
      const int64_t i = random.below(20), j = random.below(40), p = random.below(30);
      const float& value = in_a ? problem.a[static_cast<size_t>(
                                      form & 1 ? p * problem.gemm.a_stride + i
                                               : i * problem.gemm.a_stride + p)]
                                : problem.b[static_cast<size_t>(
                                      form & 2 ? j * problem.gemm.b_stride + p
                                               : p * problem.gemm.b_stride + j)];
      const_cast<float&>(value) = NAN;
      const std::vector<float> out = problem.result(team);
      for (int64_t row = 0; row < 20; row++) {
        for (int64_t column = 0; column < 40; column++) {
          const bool wanted = in_a ? row == i : column == j;
          const float got = out[static_cast<size_t>(row * problem.gemm.c_stride + column)];
          if (std::isnan(got) != wanted) {
            fail("%s: NaN in %s, C[%lld, %lld] is %g", problem.title.c_str(), in_a ? "A" : "B",
                 static_cast<long long>(row), static_cast<long long>(column),
                 static_cast<double>(got));
          }
        }
      }
    }
  }
}

/** An element's bits do not depend on the rows and columns around it. */
void alone_and_among_others(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 2);
  for (const Arithmetic arithmetic : {Arithmetic::float32, Arithmetic::bf16}) {
    const Problem all(200, 150, 700, false, true, true, true, arithmetic, random);
    const std::vector<float> out = all.result(team);
    for (const Size& part : {Size{1, 1, 0}, Size{3, 50, 0}, Size{31, 9, 0}}) {
      const int64_t row = random.below(200 - part.m), column = random.below(150 - part.n);
      std::vector<float> small = all.c;
      Gemm gemm = all.gemm;
      gemm.m = part.m, gemm.n = part.n;
      gemm.a += row * gemm.a_stride, gemm.b += column * gemm.b_stride, gemm.bias += column;
      gemm.c = small.data() + row * gemm.c_stride + column;
      run(team, gemm);
      for (int64_t i = 0; i < part.m; i++) {
        const size_t at = static_cast<size_t>((row + i) * gemm.c_stride + column);
        if (memcmp(&small[at], &out[at], static_cast<size_t>(part.n) * sizeof(float)) != 0) {
          fail("%s: row %lld has other bits in a product of %lld x %lld", all.title.c_str(),
               static_cast<long long>(row + i), static_cast<long long>(part.m),
               static_cast<long long>(part.n));
        }
      }
    }
  }
}

/** A packing serves products with fewer columns, and with fewer rows of B. */
void parts_of_a_packing(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 1);
  const GemmKernels& kernels = kernels_of(team);
  const Aligned own(kernels.own_bytes);
  for (int form = 0; form < 4; form++) {
    const Problem all(40, 100, 600, false, form & 1, false, false,
                      form & 2 ? Arithmetic::bf16 : Arithmetic::float32, random);
    const Aligned packed(kernels.packed_bytes(all.gemm));
    for (int64_t job = 0; job < kernels.pack_jobs(all.gemm); job++) {
      kernels.pack(all.gemm, packed.memory, job);
    }
    for (const Size& part : {Size{40, 100, 300}, Size{40, 33, 600}, Size{20, 40, 256}, Size{5, 7, 9}}) {
      std::vector<float> expected = all.c, got = all.c;
      Gemm gemm = all.gemm;
      gemm.m = part.m, gemm.n = part.n, gemm.k = part.k;
      gemm.c = expected.data();
      run(team, gemm);
      gemm.c = got.data();
      gemm.packed_n = 100, gemm.packed_k = 600;
      for (int64_t job = 0; job < kernels.multiply_jobs(gemm); job++) {
        kernels.multiply(gemm, packed.memory, own.memory, job);
      }
      same_bits(all, expected, got, "from a larger packing");
    }
  }
}

void column_sums(int level, uint64_t seed) {
  Random random(seed);
  const Team team(level, 1);
  for (const Size& size : {Size{1, 1, 0}, Size{700, 37, 0}, Size{257, 130, 0}, Size{0, 20, 0}}) {
    const std::vector<float> x = values("normal", size.m, size.n + 3, random);
    for (const bool accumulate : {false, true}) {
      std::vector<float> sums = values("normal", 1, size.n, random), before = sums, split = sums;
      const GemmKernels& kernels = kernels_of(team);
      kernels.column_sums(x.data(), size.m, size.n, size.n + 3, accumulate, sums.data());
      const int64_t half = size.n / 2;
      kernels.column_sums(x.data(), size.m, half, size.n + 3, accumulate, split.data());
      kernels.column_sums(x.data() + half, size.m, size.n - half, size.n + 3, accumulate,
                          split.data() + half);
      for (int64_t j = 0; j < size.n; j++) {
        const size_t at = static_cast<size_t>(j);
        double exact = 0, squares = 0;
        for (int64_t i = 0; i < size.m; i++) {
          exact += x[static_cast<size_t>(i * (size.n + 3) + j)];
          squares += exact * exact;
        }
        if (accumulate) exact += before[at];
        squares += exact * exact;
        if (!(std::fabs(sums[at] - exact) <= independent_roundings(squares))) {
          fail("column %lld of %lld rows: %g, must be %g", static_cast<long long>(j),
               static_cast<long long>(size.m), static_cast<double>(sums[at]), exact);
        }
        if (sums[at] != split[at]) fail("column %lld: other bits in a part", static_cast<long long>(j));
      }
    }
  }
}

}  // namespace

const std::vector<Scenario> gemm_scenarios = {
    {"gemm: forms and sizes", forms},
    {"gemm: hard values", hard_values},
    {"gemm: not a number", not_a_number},
    {"gemm: alone and among others", alone_and_among_others},
    {"gemm: parts of a packing", parts_of_a_packing},
    {"gemm: column sums", column_sums}};

}  // namespace tokamak::tests
