// SPDX-License-Identifier: Apache-2.0
//
// tokamak_attention_bench [TYPE|all] [ROWS] [CONTEXT] [HEADS:KV_HEADSxHEAD_DIM] [THREADS] [LEVEL]
//
// Speed of one attention step against what tk_cpu_roofline measures just before: one row at the
// end of CONTEXT positions against read bandwidth; more rows, the last of CONTEXT positions,
// against the multiply-adds of float32. One row walks many layers of cache, so that none is found
// in a processor cache. The best of many short runs counts: on a shared machine that is the least
// disturbed one.
// Correctness: tokamak_kernel_tests.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "tokamak/tokamak.h"

namespace {

constexpr int64_t cold_bytes = int64_t{400} << 20;
constexpr double seconds_each = 1.0;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void expect(bool done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", tk_last_error());
  std::exit(1);
}

struct Type {
  const char* name;
  int number;
};
constexpr Type types[] = {{"F32", 0}, {"F16", 1}, {"BF16", 30}, {"Q8_0", 8}};

struct Shape {
  int rows, context, heads, kv_heads, head_dim;
};

void measure(const Type& type, const Shape& shape, int threads, int level) {
  tk_team* const team = tk_cpu_team_create(level, threads, nullptr);
  expect(team != nullptr);
  const int pages = (shape.context + TK_PAGE_TOKENS - 1) / TK_PAGE_TOKENS;
  const auto bytes_of = [&](int layers) {
    return tk_cpu_cache_bytes(type.number, layers, shape.kv_heads, shape.head_dim, pages);
  };
  expect(bytes_of(1) > 0);
  const int layers =
      shape.rows > 1 ? 1 : static_cast<int>(std::max<int64_t>(1, cold_bytes / bytes_of(1)));
  void* const cache = tk_memory_allocate(bytes_of(layers));
  expect(cache != nullptr);

  std::vector<int32_t> positions(static_cast<size_t>(shape.context)), table(
      static_cast<size_t>(pages));
  const std::vector<int32_t> zeros(positions.size(), 0);
  std::iota(table.begin(), table.end(), 0);
  const auto tape_of = [&](int rows) {
    tk_tape* const tape =
        tk_cpu_tape_create(team, rows, 1, zeros.data(), positions.data(), zeros.data(),
                           zeros.data(), table.data(), 1, pages);
    expect(tape != nullptr);
    expect(tk_cpu_cache(tape, type.number, layers, shape.kv_heads, shape.head_dim, pages, cache) ==
           TK_OK);
    return tape;
  };
  auto values = [seed = 1u](int64_t count) mutable {
    std::vector<float> made(static_cast<size_t>(count));
    for (float& value : made) {
      seed = seed * 1664525u + 1013904223u;
      value = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
    }
    return made;
  };
  const int64_t kv_width = int64_t{shape.kv_heads} * shape.head_dim;
  const std::vector<float> k = values(shape.context * kv_width);
  const std::vector<float> v = values(shape.context * kv_width);
  tk_tape* const fill = tape_of(shape.context);
  for (int layer = 0; layer < layers; layer++) {
    expect(tk_cpu_store(fill, layer, k.data(), v.data()) == TK_OK);
  }
  std::iota(positions.begin(), positions.end(), 0);
  expect(tk_cpu_step(fill, shape.context, 0) == TK_OK);
  tk_cpu_tape_free(fill);

  const int64_t width = int64_t{shape.heads} * shape.head_dim;
  const std::vector<float> q = values(shape.rows * width);
  std::vector<float> out(q.size());
  tk_tape* const tape = tape_of(shape.rows);
  for (int layer = 0; layer < layers; layer++) {
    expect(tk_cpu_attention(tape, layer, q.data(), shape.heads, 0.125f, out.data()) == TK_OK);
  }
  int64_t pairs = 0;  // of a query row and a position it sees
  for (int row = 0; row < shape.rows; row++) {
    positions[static_cast<size_t>(row)] = shape.context - shape.rows + row;
    pairs += shape.context - shape.rows + row + 1;
  }

  double peaks[4];
  expect(tk_cpu_roofline(team, peaks) == TK_OK);
  double best = 1e9;
  for (const double end = now() + seconds_each; now() < end;) {
    const double start = now();
    expect(tk_cpu_step(tape, shape.rows, 0) == TK_OK);
    best = std::min(best, now() - start);
  }
  const double bytes = static_cast<double>(bytes_of(layers)) / best;
  const double operations = 4.0 * static_cast<double>(pairs * width * layers) / best;
  const bool reads = shape.rows == 1;
  const double peak = peaks[reads ? 0 : 1];
  std::printf("%-10s %-4s %4dx%d:%dx%d@%d, %d threads: %6.1f GB/s %6.1f GFLOP/s, "
              "%3.0f %% of %.1f\n",
              tk_cpu_level_name(level), type.name, shape.rows, shape.heads, shape.kv_heads,
              shape.head_dim, shape.context, threads, bytes * 1e-9, operations * 1e-9,
              100 * (reads ? bytes : operations) / peak, peak * 1e-9);
  std::fflush(stdout);
  tk_cpu_tape_free(tape);
  tk_memory_free(cache, bytes_of(layers));
  tk_cpu_team_free(team);
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, int fallback) { return i < argc ? std::atoi(argv[i]) : fallback; };
  const std::string type = argc > 1 ? argv[1] : "all";
  Shape shape{number(2, 512), number(3, 512), 32, 8, 64};
  const bool shaped = argc <= 4 || std::sscanf(argv[4], "%d:%dx%d", &shape.heads, &shape.kv_heads,
                                               &shape.head_dim) == 3;
  int level = tk_cpu_level();
  for (int l = 0; argc > 6 && l <= tk_cpu_level(); l++) {
    if (std::strcmp(argv[6], tk_cpu_level_name(l)) == 0) level = l;
  }
  bool found = false;
  for (const Type& one : types) {
    if (type != "all" && type != one.name) continue;
    found = true;
    if (shaped && shape.rows > 0 && shape.rows <= shape.context) {
      measure(one, shape, number(5, 1), level);
    }
  }
  if (!found || !shaped || shape.rows < 1 || shape.rows > shape.context) {
    std::fprintf(stderr,
                 "usage: tokamak_attention_bench [TYPE|all] [ROWS] [CONTEXT] "
                 "[HEADS:KV_HEADSxHEAD_DIM] [THREADS] [LEVEL]\n");
    return 2;
  }
}
