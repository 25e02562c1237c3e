// SPDX-License-Identifier: Apache-2.0
//
// tokamak_matmul_bench [TYPES|all] [ROWS] [COLS] [OUT_DIM] [THREADS] [LEVEL] [SECONDS]
//
// Speed of matmul steps against what tk_cpu_roofline measures just before: share of the read
// bandwidth and of the arithmetic peak. TYPES and ROWS may be lists with commas. Up to 16 rows
// walk many copies of the weights, so that none is found in a cache. The best of many short runs
// counts: on a shared machine that is the least disturbed one. Correctness:
// tokamak_kernel_tests.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tokamak/tokamak.h"

namespace {

constexpr int64_t cold_bytes = int64_t{400} << 20;
constexpr int cold_rows = 16;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void give_up() {
  std::fprintf(stderr, "%s\n", tk_last_error());
  std::exit(1);
}

struct Type {
  const char* name;
  int number;
  int64_t elements, bytes;
};
constexpr Type types[] = {
#define TK_TYPE(name, number, elements, bytes) {#name, number, elements, bytes},
#include "tokamak/quant.def"
#undef TK_TYPE
};

/** Calls f with each part of a list with commas. */
template <class F>
void each(const std::string& list, F f) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    f(list.substr(begin, end - begin));
    begin = end + 1;
  }
}

/** What all measurements of a run share. */
struct Bench {
  tk_team* team;
  int64_t cols, out_dim;
  double seconds;
  double peaks[4];

  void measure(const Type& type, int rows) const;
};

void Bench::measure(const Type& type, int rows) const {
  const int64_t packed_bytes = tk_cpu_packed_bytes(type.number, out_dim, cols);
  if (packed_bytes < 0) give_up();
  const int64_t elements = out_dim * cols;
  // Every scale and every float a small normal number.
  const std::vector<char> source(static_cast<size_t>(elements / type.elements * type.bytes), 0x2c);
  const int64_t copies = rows <= cold_rows ? std::max<int64_t>(1, cold_bytes / packed_bytes) : 1;
  char* packed = static_cast<char*>(tk_memory_allocate(packed_bytes * copies));
  if (packed == nullptr) give_up();

  std::vector<float> x(static_cast<size_t>(rows * cols), 0.5f);
  std::vector<float> out(static_cast<size_t>(rows * out_dim));
  const std::vector<int32_t> zeros(static_cast<size_t>(rows), 0);
  tk_tape* tape = tk_cpu_tape_create(team, rows, 1, zeros.data(), zeros.data(), zeros.data(),
                                     zeros.data(), zeros.data(), 1, 1);
  if (tape == nullptr) give_up();
  const double start = now();
  if (tk_cpu_pack(team, type.number, out_dim, cols, source.data(), packed) != TK_OK) give_up();
  const double packing = now() - start;
  for (int64_t copy = 0; copy < copies; copy++) {
    char* const weights = packed + copy * packed_bytes;
    if (copy > 0) std::memcpy(weights, packed, static_cast<size_t>(packed_bytes));
    if (tk_cpu_matmul(tape, TK_ROWS_STEP, x.data(), cols, type.number, weights, out_dim, nullptr,
                      out.data()) != TK_OK) {
      give_up();
    }
  }

  double best = 1e9;
  for (const double end = now() + seconds; now() < end;) {
    const double begin = now();
    if (tk_cpu_step(tape, rows, 0) != TK_OK) give_up();
    best = std::min(best, now() - begin);
  }
  const double bytes = static_cast<double>(packed_bytes * copies) / best;
  const double operations = 2.0 * static_cast<double>(elements * rows * copies) / best;
  const bool has_bf16 = type.number == 30 && peaks[3] > 0;
  const double peak = type.elements > 1 ? peaks[2] : has_bf16 ? peaks[3] : peaks[1];
  std::printf("%-5s %4d rows: %9.1f us, %7.1f GB/s (%3.0f %%) %7.1f GOP/s (%3.0f %% of %.1f); "
              "packed at %.1f GB/s\n",
              type.name, rows, best / static_cast<double>(copies) * 1e6, bytes * 1e-9,
              100 * bytes / peaks[0], operations * 1e-9, 100 * operations / peak, peak * 1e-9,
              static_cast<double>(source.size()) / packing * 1e-9);
  std::fflush(stdout);
  tk_cpu_tape_free(tape);
  tk_memory_free(packed, packed_bytes * copies);
}

}  // namespace

int main(int argc, char** argv) {
  const auto text = [&](int i, const char* fallback) { return i < argc ? argv[i] : fallback; };
  const auto number = [&](int i, int fallback) { return i < argc ? std::atoi(argv[i]) : fallback; };
  int level = tk_cpu_level();
  for (int l = 0; argc > 6 && l <= tk_cpu_level(); l++) {
    if (std::strcmp(argv[6], tk_cpu_level_name(l)) == 0) level = l;
  }
  const int threads = number(5, 1);
  Bench bench{tk_cpu_team_create(level, threads, nullptr), number(3, 2048), number(4, 2048),
              std::atof(text(7, "1.5")), {}};
  if (bench.team == nullptr || tk_cpu_roofline(bench.team, bench.peaks) != TK_OK) give_up();
  std::printf("%s, %d threads, %lld x %lld: reads %.1f GB/s\n", tk_cpu_level_name(level), threads,
              static_cast<long long>(bench.cols), static_cast<long long>(bench.out_dim),
              bench.peaks[0] * 1e-9);
  const std::string names = text(1, "all");
  int measured = 0;
  for (const Type& type : types) {
    each(names, [&](const std::string& name) {
      if (name != "all" && name != type.name) return;
      each(text(2, "512"), [&](const std::string& rows) {
        if (std::atoi(rows.c_str()) < 1) return;
        bench.measure(type, std::atoi(rows.c_str()));
        measured++;
      });
    });
  }
  tk_cpu_team_free(bench.team);
  if (measured == 0) {
    std::fprintf(stderr,
                 "usage: tokamak_matmul_bench [TYPES|all] [ROWS] [COLS] [OUT_DIM] [THREADS] "
                 "[LEVEL] [SECONDS]\n");
    return 2;
  }
}
