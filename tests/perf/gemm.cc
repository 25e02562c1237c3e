// SPDX-License-Identifier: Apache-2.0
//
// tokamak_gemm_bench [THREADS] [LEVEL] [ROWS] [FILTER] [cold]
//
// Speed of the products of training (native/cpu/train/gemm.h), packing included, against the
// arithmetic peak measured beside each: on a shared machine only this ratio means something. The
// best of many short runs counts. Shapes are those of two small models; FILTER takes lines that
// have this text. cold: all caches are swept before each run, as if every operand had been written
// long ago. Correctness: tokamak_kernel_tests --filter gemm.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cpu/train/gemm_team.h"
#include "tokamak/tokamak.h"

namespace {

using namespace tokamak::cpu;

constexpr double seconds_each = 0.4;
bool cold = false;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/** Takes what lies in the caches of all threads' processors, and brings in something else. */
void sweep(tk_team* team);

struct Memory {
  explicit Memory(int64_t wanted) : bytes(std::max<int64_t>(wanted, 64)) {
    at = static_cast<float*>(tk_memory_allocate(bytes));
    if (at == nullptr) {
      std::fprintf(stderr, "%s\n", tk_last_error());
      std::exit(1);
    }
  }
  ~Memory() { tk_memory_free(at, bytes); }
  Memory(const Memory&) = delete;
  const int64_t bytes;
  float* at;
};

void sweep(tk_team* team) {
  static const Memory other(int64_t{96} << 20);
  team->run(
      [](void* context, int thread) {
        const tk_team& team = *static_cast<tk_team*>(context);
        const int64_t part = other.bytes / team.threads / 64 * 16;
        std::fill_n(other.at + part * thread, part, 1.0f);
      },
      team);
}

/** What a thread does between two looks at the clock. */
struct Work {
  tk_team* team;
  const Gemm* gemm;
  float* packed;
  float* own;  // [threads]
  bool packing_only = false;
  Claims claims[2] = {};

  double seconds() {
    for (Claims& claim : claims) claim.reset();
    if (cold) sweep(team);
    const double start = now();
    team->run(
        [](void* context, int thread) {
          Work& work = *static_cast<Work*>(context);
          const GemmKernels& kernels = work.team->kernels->train->gemm;
          float* own = work.own + kernels.own_bytes / 4 * thread;
          if (work.packing_only) {
            pack_b(kernels, *work.gemm, work.packed, work.claims[0]);
          } else {
            run_gemm(*work.team, kernels, *work.gemm, work.packed, own, work.claims);
          }
        },
        this);
    return now() - start;
  }
};

struct Peak {
  tk_team* team;
  double (*loop)(int64_t);
  /** Operations per second of one short run. */
  double measure() {
    constexpr int64_t rounds = 100'000;
    const double start = now();
    team->run(
        [](void* context, int) {
          volatile double keep = static_cast<Peak*>(context)->loop(rounds);
          (void)keep;
        },
        this);
    return loop(0) + 12.0 * 16 * 2 * rounds * team->threads / (now() - start);
  }
};

void measure(tk_team* team, const char* form, Gemm gemm, const char* title) {
  const GemmKernels& kernels = team->kernels->train->gemm;
  const auto fill = [](float* at, int64_t count) {
    for (int64_t i = 0; i < count; i++) at[i] = static_cast<float>(i * 2654435761u % 1024) / 512 - 1;
  };
  Memory a(gemm.m * gemm.k * 4), b(gemm.k * gemm.n * 4), c(gemm.m * gemm.n * 4);
  fill(a.at, gemm.m * gemm.k);
  fill(b.at, gemm.k * gemm.n);
  fill(c.at, gemm.m * gemm.n);
  gemm.a = a.at, gemm.b = b.at, gemm.c = c.at;
  gemm.threads = team->threads;
  gemm.a_stride = gemm.a_transposed ? gemm.m : gemm.k;
  gemm.b_stride = gemm.b_transposed ? gemm.k : gemm.n;
  gemm.c_stride = gemm.n;
  for (const Arithmetic arithmetic : {Arithmetic::float32, Arithmetic::bf16}) {
    gemm.arithmetic = arithmetic;
    Memory packed(kernels.packed_bytes(gemm)), own((kernels.own_bytes + 64) * team->threads);
    Work work{team, &gemm, packed.at, own.at};
    const bool bf16 = arithmetic == Arithmetic::bf16 && team->kernels->multiply_bf16 != nullptr;
    // rounds of both loops are equally many instructions; a bf16 one is two products
    Peak peak{team, bf16 ? team->kernels->multiply_bf16 : team->kernels->multiply_floats};
    const double scale = peak.loop(1) / (12.0 * 16 * 2);
    double best = 1e9, best_packing = 1e9, best_peak = 0;
    for (const double end = now() + seconds_each; now() < end;) {
      best_peak = std::max(best_peak, peak.measure() * scale);
      work.packing_only = false;
      for (int i = 0; i < 3; i++) best = std::min(best, work.seconds());
      work.packing_only = true;
      best_packing = std::min(best_packing, work.seconds());
    }
    const double operations = 2.0 * static_cast<double>(gemm.m * gemm.n * gemm.k) / best;
    std::printf("%-8s %-16s %-7s %8.1f GFLOP/s %4.0f %% of %5.0f; %8.3f ms, B packed in %3.0f %%; %lld jobs\n",
                form, title, arithmetic == Arithmetic::bf16 ? "bf16" : "float32", operations * 1e-9,
                100 * operations / best_peak, best_peak * 1e-9, best * 1e3,
                100 * best_packing / best, static_cast<long long>(kernels.multiply_jobs(gemm)));
    std::fflush(stdout);
  }
}

/** Products of attention on one thread, operands in the first caches: with and without packing B. */
void measure_small(tk_team* team, const char* title, Gemm gemm) {
  const GemmKernels& kernels = team->kernels->train->gemm;
  Memory a(gemm.m * gemm.k * 4), b(gemm.k * gemm.n * 4), c(gemm.m * gemm.n * 4);
  std::fill_n(a.at, gemm.m * gemm.k, 0.5f);
  std::fill_n(b.at, gemm.k * gemm.n, 0.5f);
  gemm.a = a.at, gemm.b = b.at, gemm.c = c.at;
  gemm.a_stride = gemm.a_transposed ? gemm.m : gemm.k;
  gemm.b_stride = gemm.b_transposed ? gemm.k : gemm.n;
  gemm.c_stride = gemm.n;
  gemm.threads = 0;
  for (const Arithmetic arithmetic : {Arithmetic::float32, Arithmetic::bf16}) {
    gemm.arithmetic = arithmetic;
    Memory packed(kernels.packed_bytes(gemm)), own(kernels.own_bytes);
    const bool bf16 = arithmetic == Arithmetic::bf16 && team->kernels->multiply_bf16 != nullptr;
    const auto loop = bf16 ? team->kernels->multiply_bf16 : team->kernels->multiply_floats;
    double best[2] = {1e9, 1e9}, best_peak = 0;
    constexpr int times = 100;
    for (const double end = now() + seconds_each; now() < end;) {
      double start = now();
      best_peak = std::max(best_peak, loop(100'000) / (now() - start));
      for (const bool with_b : {false, true}) {
        start = now();
        for (int i = 0; i < times; i++) {
          for (int64_t job = 0; with_b && job < kernels.pack_jobs(gemm); job++) {
            kernels.pack(gemm, packed.at, job);
          }
          for (int64_t job = 0; job < kernels.multiply_jobs(gemm); job++) {
            kernels.multiply(gemm, packed.at, own.at, job);
          }
        }
        best[with_b] = std::min(best[with_b], (now() - start) / times);
      }
    }
    const double operations = 2.0 * static_cast<double>(gemm.m * gemm.n * gemm.k);
    std::printf("%-25s %-7s %4.0f %% of %5.0f; with packing %4.0f %%\n", title,
                arithmetic == Arithmetic::bf16 ? "bf16" : "float32",
                100 * operations / best[0] / best_peak, best_peak * 1e-9,
                100 * operations / best[1] / best_peak);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  int level = tk_cpu_level();
  for (int l = 0; argc > 2 && l <= tk_cpu_level(); l++) {
    if (std::strcmp(argv[2], tk_cpu_level_name(l)) == 0) level = l;
  }
  const int64_t rows = argc > 3 ? std::atoll(argv[3]) : 2048;
  const std::string filter = argc > 4 ? argv[4] : "";
  cold = argc > 5 && std::strcmp(argv[5], "cold") == 0;
  tk_team* team = tk_cpu_team_create(level, threads, nullptr);
  if (team == nullptr || rows < 1) {
    std::fprintf(stderr, "usage: tokamak_gemm_bench [THREADS] [LEVEL] [ROWS] [FILTER] [cold]\n%s\n",
                 tk_last_error());
    return 2;
  }
  std::printf("%s, %d threads, %lld rows\n", tk_cpu_level_name(level), threads,
              static_cast<long long>(rows));
  constexpr struct {
    int64_t in, out;
  } layers[] = {{256, 256},  {256, 128}, {256, 704}, {704, 256}, {256, 4096},
                {192, 192},  {192, 512}, {512, 192}, {192, 2048}, {256, 8}, {8, 256}};
  for (const auto& layer : layers) {
    const std::string shape = std::to_string(layer.in) + "->" + std::to_string(layer.out);
    for (const char* form : {"forward", "inputs", "weights"}) {
      if ((form + (" " + shape)).find(filter) == std::string::npos) continue;
      Gemm gemm;
      if (form[0] == 'f') {
        gemm.m = rows, gemm.n = layer.out, gemm.k = layer.in, gemm.b_transposed = true;
      } else if (form[0] == 'i') {
        gemm.m = rows, gemm.n = layer.in, gemm.k = layer.out;
      } else {
        gemm.m = layer.out, gemm.n = layer.in, gemm.k = rows;
        gemm.a_transposed = gemm.accumulate = true;
      }
      measure(team, form, gemm, shape.c_str());
    }
  }
  constexpr struct {
    int64_t queries, keys, dim;
  } heads[] = {{64, 64, 32}, {64, 256, 32}, {64, 256, 64}};
  for (const auto& head : heads) {
    const std::string size = std::to_string(head.queries) + " x " + std::to_string(head.keys) +
                             " x " + std::to_string(head.dim);
    const auto named = [&](const char* name) { return name + (" " + size); };
    if (named("attention").find(filter) == std::string::npos) continue;
    Gemm scores, values, keys;
    scores.m = head.queries, scores.n = head.keys, scores.k = head.dim, scores.b_transposed = true;
    values.m = head.queries, values.n = head.dim, values.k = head.keys;
    keys.m = head.keys, keys.n = head.dim, keys.k = head.queries, keys.a_transposed = true;
    measure_small(team, named("QK^T").c_str(), scores);
    measure_small(team, named("PV").c_str(), values);
    measure_small(team, named("P^T dO").c_str(), keys);
  }
  tk_cpu_team_free(team);
}
