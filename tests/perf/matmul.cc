// SPDX-License-Identifier: Apache-2.0
//
// tokamak_matmul_bench [TYPE|all] [ROWS] [COLS] [OUT_DIM] [THREADS] [LEVEL]
//
// Speed of one matmul step against what tk_cpu_roofline measures just before: one row against
// read bandwidth, more rows against the arithmetic peak. One row walks many copies of the
// weights, so that none is found in a cache. The best of many short runs counts: on a shared
// machine that is the least disturbed one. Correctness: tokamak_kernel_tests.

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
constexpr double seconds_each = 1.5;

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

struct Shape {
  int rows;
  int64_t cols, out_dim;
};

void measure(const Type& type, const Shape& shape, int threads, int level) {
  const int64_t packed_bytes = tk_cpu_packed_bytes(type.number, shape.out_dim, shape.cols);
  if (packed_bytes < 0) give_up();
  tk_team* team = tk_cpu_team_create(level, threads, nullptr);
  if (team == nullptr) give_up();

  const int64_t elements = shape.out_dim * shape.cols;
  const std::vector<char> source(static_cast<size_t>(elements / type.elements * type.bytes), 1);
  const int64_t copies = shape.rows == 1 ? std::max<int64_t>(1, cold_bytes / packed_bytes) : 1;
  char* packed = static_cast<char*>(tk_memory_allocate(packed_bytes * copies));
  if (packed == nullptr) give_up();

  std::vector<float> x(static_cast<size_t>(shape.rows * shape.cols), 0.5f);
  std::vector<float> out(static_cast<size_t>(shape.rows * shape.out_dim));
  const std::vector<int32_t> zeros(static_cast<size_t>(shape.rows), 0);
  tk_tape* tape = tk_cpu_tape_create(team, shape.rows, 1, zeros.data(), zeros.data(), zeros.data(),
                                     zeros.data(), zeros.data(), 1, 1);
  if (tape == nullptr) give_up();
  double packing = 0;
  for (int64_t copy = 0; copy < copies; copy++) {
    const double start = now();
    if (tk_cpu_pack(team, type.number, shape.out_dim, shape.cols, source.data(),
                    packed + copy * packed_bytes) != TK_OK ||
        tk_cpu_matmul(tape, TK_ROWS_STEP, x.data(), shape.cols, type.number,
                      packed + copy * packed_bytes, shape.out_dim, nullptr, out.data()) != TK_OK) {
      give_up();
    }
    packing = now() - start;
  }

  double peaks[4];
  if (tk_cpu_roofline(team, peaks) != TK_OK) give_up();
  double best = 1e9;
  for (const double end = now() + seconds_each; now() < end;) {
    const double start = now();
    if (tk_cpu_step(tape, shape.rows, 0) != TK_OK) give_up();
    best = std::min(best, now() - start);
  }
  const double bytes = static_cast<double>(packed_bytes * copies) / best;
  const double operations = 2.0 * static_cast<double>(elements * shape.rows * copies) / best;
  const bool has_bf16 = type.number == 30 && peaks[3] > 0;
  const double peak = shape.rows == 1      ? peaks[0]
                      : type.elements > 1 ? peaks[2]
                      : has_bf16          ? peaks[3]
                                          : peaks[1];
  std::printf("%-10s %-5s %4d x %lld x %lld, %d threads: %7.1f GB/s %7.1f GOP/s, %3.0f %% of %.1f; "
              "packed at %.1f GB/s\n",
              tk_cpu_level_name(level), type.name, shape.rows, static_cast<long long>(shape.cols),
              static_cast<long long>(shape.out_dim), threads, bytes * 1e-9, operations * 1e-9,
              100 * (shape.rows == 1 ? bytes : operations) / peak, peak * 1e-9,
              static_cast<double>(source.size()) / packing * 1e-9);
  std::fflush(stdout);
  tk_cpu_tape_free(tape);
  tk_memory_free(packed, packed_bytes * copies);
  tk_cpu_team_free(team);
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, int fallback) { return i < argc ? std::atoi(argv[i]) : fallback; };
  const std::string type = argc > 1 ? argv[1] : "all";
  const Shape shape{number(2, 512), number(3, 2048), number(4, 2048)};
  int level = tk_cpu_level();
  for (int l = 0; argc > 6 && l <= tk_cpu_level(); l++) {
    if (std::strcmp(argv[6], tk_cpu_level_name(l)) == 0) level = l;
  }
  bool found = false;
  for (const Type& one : types) {
    if (type != "all" && type != one.name) continue;
    found = true;
    measure(one, shape, number(5, 1), level);
  }
  if (!found || shape.rows < 1) {
    std::fprintf(stderr,
                 "usage: tokamak_matmul_bench [TYPE|all] [ROWS] [COLS] [OUT_DIM] [THREADS] "
                 "[LEVEL]\n");
    return 2;
  }
}
