// SPDX-License-Identifier: Apache-2.0
//
// What the emulator makes of right kernels: layouts by their documentation, equal bits in every
// order, copies that land early or late, streams and graphs.

#include "emulator.h"

#include <string.h>

#include <cmath>
#include <string>
#include <thread>

#include "../../harness.h"
#include "host/emulated_driver.h"
#include "launch.cuh"

namespace tokamak::tests {
namespace {

using cuda::launch;

constexpr unsigned all = ~0u;

/** Until its end, launches run like this. */
struct Settings {
  Settings(int order, int copies, int64_t seed, int streams = 0) {
    tk_emulated_settings(order, copies, streams, seed);
  }
  ~Settings() { tk_emulated_settings(0, 0, 0, 1); }
  Settings(const Settings&) = delete;
  Settings& operator=(const Settings&) = delete;
};

template <class... Parameters, class... Arguments>
void expect_launch(const cuda::Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  if (launch(nullptr, grid, kernel, arguments...) != TK_OK) fail("%s", tk_cuda_last_error());
}

void expect_code(int code, int wanted, const char* what) {
  if (code != wanted)
    fail("%s: %d (%s), expected %d", what, code, tk_emulated_last_error(), wanted);
}

/** Bits of every order, of every kind of copies, with a few seeds, are those of the first. */
template <class T, class Run>
void expect_equal_bits(uint64_t seed, const char* what, Run run) {
  std::vector<T> first;
  for (int order = 0; order < 3; order++) {
    for (int copies = 0; copies < 3; copies++) {
      const Settings settings(order, copies, static_cast<int64_t>(seed) + copies);
      const std::vector<T> now = run();
      if (first.empty()) first = now;
      if (memcmp(now.data(), first.data(), now.size() * sizeof(T)) != 0) {
        fail("%s: order %d, copies %d, seed %llu: other bits than in the first order", what, order,
             copies, static_cast<unsigned long long>(seed) + static_cast<unsigned>(copies));
      }
    }
  }
}

// ---- tensor cores and matrices -------------------------------------------------------------

__global__ void product(const uint16_t* a, const uint16_t* b,
                        float* c) {  // [16, 16] [16, 8] [16, 8]
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const auto pair = [](uint16_t low, uint16_t high) {
    return low | static_cast<uint32_t>(high) << 16;
  };
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; i++) {
    const uint16_t* row = a + (g + i % 2 * 8) * 16 + i / 2 * 8;
    fa[i] = pair(row[2 * t], row[2 * t + 1]);
  }
  for (int i = 0; i < 2; i++) {
    const uint16_t* rows = b + (2 * t + i * 8) * 8;
    fb[i] = pair(rows[g], rows[8 + g]);
  }
  float* c0 = c + g * 8 + 2 * t;
  float* c1 = c + (g + 8) * 8 + 2 * t;
  float fc[4] = {c0[0], c0[1], c1[0], c1[1]};
  ptx::mma_bf16(fc, fa, fb);
  c0[0] = fc[0], c0[1] = fc[1], c1[0] = fc[2], c1[1] = fc[3];
}

void products(uint64_t seed) {
  Random random(seed);
  for (const bool integers : {true, false}) {
    std::vector<uint16_t> a(256), b(128);
    std::vector<float> c(128);
    const auto value = [&] {
      return integers ? static_cast<double>(random.below(255) - 127) : random.normal();
    };
    for (uint16_t& v : a) v = ptx::float_to_bf16(static_cast<float>(value()));
    for (uint16_t& v : b) v = ptx::float_to_bf16(static_cast<float>(value()));
    for (float& v : c) v = static_cast<float>(value());
    const std::vector<float> before = c;
    expect_launch({1, 32}, product, a.data(), b.data(), c.data());
    for (size_t i = 0; i < 16; i++) {
      for (size_t j = 0; j < 8; j++) {
        double sum = static_cast<double>(before[i * 8 + j]), size = std::fabs(sum);
        for (size_t k = 0; k < 16; k++) {
          const double term = static_cast<double>(ptx::bf16_to_float(a[i * 16 + k])) *
                              static_cast<double>(ptx::bf16_to_float(b[k * 8 + j]));
          sum += term;
          size += std::fabs(term);
        }
        const double bound = integers ? 0 : 17 * rounding_unit * size;
        if (!(std::fabs(static_cast<double>(c[i * 8 + j]) - sum) <= bound)) {
          fail("row %zu, column %zu: %g, expected %g", i, j, static_cast<double>(c[i * 8 + j]),
               sum);
        }
      }
    }
  }
}

template <int N, bool TRANSPOSED>
__global__ void load_matrices(uint32_t* out) {  // [N][lane]
  SHARED(uint16_t, tile, 4 * 8 * 8);
  for (unsigned i = threadIdx.x; i < 256; i += 32) tile[i] = static_cast<uint16_t>(i);
  __syncwarp();
  uint32_t r[N];
  const uint16_t* row = tile + threadIdx.x % (8 * N) * 8;
  if constexpr (N == 4) {
    if constexpr (TRANSPOSED) {
      ptx::load_matrix_x4_transposed(r, row);
    } else {
      ptx::load_matrix_x4(r, row);
    }
  } else {
    if constexpr (TRANSPOSED) {
      ptx::load_matrix_x2_transposed(r, row);
    } else {
      ptx::load_matrix_x2(r, row);
    }
  }
  for (int i = 0; i < N; i++) out[static_cast<unsigned>(i) * 32 + threadIdx.x] = r[i];
}

template <int N, bool TRANSPOSED>
void expect_matrices() {
  uint32_t out[N][32];
  expect_launch({1, 32}, load_matrices<N, TRANSPOSED>, &out[0][0]);
  for (unsigned m = 0; m < N; m++) {
    for (unsigned lane = 0; lane < 32; lane++) {
      const unsigned g = lane / 4, t = lane % 4;
      for (unsigned half = 0; half < 2; half++) {
        const unsigned row = TRANSPOSED ? 2 * t + half : g, column = TRANSPOSED ? g : 2 * t + half;
        const unsigned got = out[m][lane] >> (16 * half) & 0xffff;
        if (got != m * 64 + row * 8 + column) {
          fail("x%d %s: matrix %u, lane %u, half %u: element %u, expected row %u, column %u", N,
               TRANSPOSED ? "transposed" : "plain", m, lane, half, got, row, column);
        }
      }
    }
  }
}

void matrices(uint64_t) {
  expect_matrices<4, false>();
  expect_matrices<4, true>();
  expect_matrices<2, false>();
  expect_matrices<2, true>();
}

template <int PITCH>
__global__ void load_rows(uint32_t* out) {  // of PITCH bytes
  DYN_SMEM(tile);
  for (unsigned i = threadIdx.x; i < 16 * PITCH; i += 32) tile[i] = 0;
  __syncwarp();
  uint32_t r[4];
  ptx::load_matrix_x4(r, tile + threadIdx.x % 16 * PITCH);
  ptx::count_conflicts<4>(tile + threadIdx.x * (PITCH / 32 * 4));
  out[threadIdx.x] = r[0];
}

void conflicts(uint64_t) {
  uint32_t out[32];
  int64_t statistics[TK_EMULATED_STATISTICS];
  const auto expect = [&](auto kernel, int pitch, int64_t matrix, int64_t shared) {
    tk_emulated_statistics(statistics);
    expect_launch({1, 32, static_cast<size_t>(16 * pitch)}, kernel, out);
    tk_emulated_statistics(statistics);
#if defined(__SANITIZE_THREAD__)
    shared = 0;  // not counted there
#endif
    if (statistics[6] != 4 || statistics[7] != matrix || statistics[8] != shared) {
      fail("pitch %d: %lld phases, %lld and %lld conflicts, expected 4, %lld and %lld", pitch,
           static_cast<long long>(statistics[6]), static_cast<long long>(statistics[7]),
           static_cast<long long>(statistics[8]), static_cast<long long>(matrix),
           static_cast<long long>(shared));
    }
  };
  expect(load_rows<128>, 128, 4 * 7, 3);  // all rows in the same four banks; every fourth word
  expect(load_rows<64>, 64, 4 * 3, 1);    // rows in two groups of banks; every second word
  expect(load_rows<160>, 160, 4 * 1, 0);  // rows in four groups; every fifth word
  expect(load_rows<144>, 144, 0, 3);      // rows in all groups; every fourth word
}

// ---- collectives ---------------------------------------------------------------------------

__global__ void shuffles(int* out) {  // [6][64]
  const int lane = static_cast<int>(threadIdx.x) % 32,
            value = 100 * (static_cast<int>(threadIdx.x) / 32) + lane;
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  int* mine = out + threadIdx.x;
  mine[0] = __shfl_sync(all, value, 5);
  mine[64] = __shfl_xor_sync(half, value, 3);
  mine[128] = __shfl_down_sync(all, value, 2);
  mine[192] = __shfl_sync(all, value, 1, 8);
  mine[256] = static_cast<int>(__ballot_sync(half, lane % 3 == 0));
  mine[320] =
      lane % 2 == 0 ? __shfl_xor_sync(0x55555555u, value, 1) : -2;  // from a lane that is not there
  const double wide = __shfl_xor_sync(all, value * 1e100, 1);
  if (wide != (value ^ 1) * 1e100) mine[0] = -3;
  if (__any_sync(half, lane == 20) != (lane >= 16) || __all_sync(all, lane == 20) != 0)
    mine[0] = -4;
}

void warps(uint64_t seed) {
  expect_equal_bits<int>(seed, "shuffles", [] {
    std::vector<int> out(384);
    expect_launch({1, 64}, shuffles, out.data());
    for (int i = 0; i < 64; i++) {
      const int lane = i % 32, base = i / 32 * 100;
      unsigned ballot = 0;
      for (int l = lane / 16 * 16; l < lane / 16 * 16 + 16; l++)
        ballot |= static_cast<unsigned>(l % 3 == 0) << l;
      const int expected[6] = {base + 5,
                               base + (lane ^ 3),
                               base + (lane + 2 < 32 ? lane + 2 : lane),
                               base + lane / 8 * 8 + 1,
                               static_cast<int>(ballot),
                               lane % 2 == 0 ? -1 : -2};
      for (int j = 0; j < 6; j++) {
        const int got = out[static_cast<size_t>(j * 64 + i)];
        if (got != expected[j]) fail("part %d, thread %d: %d, expected %d", j, i, got, expected[j]);
      }
    }
    return out;
  });
}

// ---- whole kernels -------------------------------------------------------------------------

/** Sums rows of x [gridDim.x, 1024]: two stages of copies, named barriers between pairs of warps,
 *  a tree in shared memory; the last block adds up all rows. */
__global__ void pipeline(const float* x, float* out, float* total, unsigned* finished) {
  constexpr int stages = 2, threads = 128;
  SHARED(float, stage, stages* threads);
  SHARED(float, part, threads);
  SHARED(unsigned, last, 1);
  const int thread = static_cast<int>(threadIdx.x);
  x += blockIdx.x * 1024 + threadIdx.x;
  float sum = 0;
  for (int i = 0; i < 9; i++) {
    if (i < 8)
      ptx::copy_async<4>(stage + i % stages * threads + thread, x + i * threads, i % 3 != 2);
    ptx::copy_commit();
    if (i == 0) continue;
    ptx::copy_wait<1>();
    ptx::barrier(1 + thread / 64, 64);
    sum += stage[(i - 1) % stages * threads + (thread ^ 32)];  // of the other warp of its pair
    ptx::barrier(1 + thread / 64, 64);
  }
  part[thread] = sum;
  for (int width = threads / 2; width > 0; width /= 2) {
    __syncthreads();
    if (thread < width) part[thread] += part[thread + width];
  }
  if (thread == 0) {
    out[blockIdx.x] = part[0];
    __threadfence();
    last[0] = atomicAdd(finished, 1u) == gridDim.x - 1;
    __threadfence();
    if (last[0] != 0) {
      float everything = 0;
      for (unsigned i = 0; i < gridDim.x; i++) everything += out[i];
      *total = everything;
    }
  }
}

void pipelines(uint64_t seed) {
  Random random(seed);
  constexpr size_t rows = 7;
  std::vector<float> x(rows * 1024);
  for (float& v : x) v = static_cast<float>(random.below(1000));
  expect_equal_bits<float>(seed, "pipeline", [&] {
    std::vector<float> out(rows + 1, NAN);
    unsigned finished = 0;
    expect_launch({rows, 128}, pipeline, x.data(), out.data(), &out[rows], &finished);
    float total = 0;
    for (size_t r = 0; r < rows; r++) {
      float sum = 0;
      for (size_t i = 0; i < 1024; i++) sum += i / 128 % 3 != 2 ? x[r * 1024 + i] : 0;
      if (out[r] != sum)
        fail("row %zu: %g, expected %g", r, static_cast<double>(out[r]), static_cast<double>(sum));
      total += sum;
    }
    if (out[rows] != total)
      fail("total: %g, expected %g", static_cast<double>(out[rows]), static_cast<double>(total));
    return out;
  });
}

/** Each thread waits for the flag of the one before. */
__global__ void relay(int* flags, int last) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread > 0) {
    while (atomicAdd(&flags[thread - 1], 0) == 0) __nanosleep(10);
  }
  atomicExch(&flags[thread], thread == last ? 2 : 1);
}

void spins(uint64_t seed) {
  expect_equal_bits<int>(seed, "relay", [] {
    std::vector<int> flags(64);
    expect_launch({1, 64}, relay, flags.data(), 63);
    if (flags[63] != 2) fail("the last flag is %d", flags[63]);
    return flags;
  });
}

__global__ void coordinates(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  atomicAdd(&out[block * 24 + thread], static_cast<int>(1 + thread));
}

void grids(uint64_t seed) {
  expect_equal_bits<int>(seed, "coordinates", [] {
    std::vector<int> out(24 * 30);
    expect_launch({dim3(5, 3, 2), dim3(4, 3, 2)}, coordinates, out.data());
    for (size_t i = 0; i < out.size(); i++) {
      if (out[i] != 1 + static_cast<int>(i % 24))
        fail("thread %zu of block %zu: %d", i % 24, i / 24, out[i]);
    }
    return out;
  });
}

// ---- planted faults that only some orders show -----------------------------------------------

#if !defined(__SANITIZE_THREAD__)  // it would report them

__global__ void lacks_a_barrier(float* out) {
  SHARED(float, values, 64);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = values[threadIdx.x ^ 32];
}

/** Reads what was not waited for. */
__global__ void lacks_a_wait(const float* x, float* out) {
  SHARED(float, stage, 64);
  ptx::copy_async<4>(stage + threadIdx.x, x + threadIdx.x);
  ptx::copy_commit();
  __syncthreads();
  out[threadIdx.x] = stage[threadIdx.x ^ 32];
  ptx::copy_wait<0>();
}

/** Lets the next copy overwrite what is still read. */
__global__ void copies_too_soon(const float* x, float* out) {
  SHARED(float, stage, 64);
  ptx::copy_async<4>(stage + threadIdx.x, x + threadIdx.x);
  ptx::copy_commit();
  ptx::copy_wait<0>();
  __syncthreads();
  ptx::copy_async<4>(stage + threadIdx.x, x + 64 + threadIdx.x);
  ptx::copy_commit();
  out[threadIdx.x] = stage[threadIdx.x ^ 32];
  ptx::copy_wait<0>();
}

void orders(uint64_t) {
  std::vector<float> x(128, 2), out(64);
  for (size_t i = 0; i < 64; i++) x[i] = static_cast<float>(i);
  /** Wrong values of out, in this order and with these copies. */
  const auto wrong = [&](int order, int copies, auto kernel, auto... arguments) {
    const Settings settings(order, copies, 3);
    expect_launch({1, 64}, kernel, arguments...);
    int count = 0;
    for (size_t i = 0; i < 64; i++) count += out[i] != static_cast<float>(i ^ 32);
    return count;
  };
  for (int order = 0; order < 3; order++) {
    if (wrong(order, 0, lacks_a_barrier, out.data()) == 0)
      fail("no barrier: right in order %d", order);
    if (wrong(order, 0, lacks_a_wait, x.data(), out.data()) == 0) fail("late copies landed early");
    if (wrong(order, 1, lacks_a_wait, x.data(), out.data()) != 0) fail("eager copies landed late");
    if (wrong(order, 1, copies_too_soon, x.data(), out.data()) == 0)
      fail("eager copies overwrite nothing");
  }
}

#else
void orders(uint64_t) {}
#endif

// ---- 16-bit numbers ------------------------------------------------------------------------

/** Of all numbers that bits of 16 stand for, the one that is nearest to value. */
template <class ToFloat>
uint16_t nearest(float value, ToFloat to_float, uint16_t infinity) {
  if (std::isnan(value)) return 0x7fff;
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(static_cast<double>(value));
  uint16_t low = 0, high = infinity;  // to_float(low) <= size; bits of floats are in order
  while (high - low > 1) {
    const uint16_t middle = static_cast<uint16_t>((low + high) / 2);
    (static_cast<double>(to_float(middle)) <= size ? low : high) = middle;
  }
  const double a = static_cast<double>(to_float(low));
  // the step behind the largest number is as long as the one before
  const double b = high == infinity
                       ? 2 * a - static_cast<double>(to_float(static_cast<uint16_t>(low - 1)))
                       : static_cast<double>(to_float(high));
  const bool up = size - a > b - size || (size - a == b - size && low % 2 != 0);
  return sign | (up ? high : low);
}

void halves(uint64_t seed) {
  Random random(seed);
  for (unsigned bits = 0; bits < 0x10000; bits++) {
    const float value = ptx::half_to_float(static_cast<uint16_t>(bits));
    const uint16_t back = ptx::float_to_half(value);
    const bool nan = (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff) != 0;
    if (back != (nan ? 0x7fff : bits)) fail("half %04x comes back as %04x", bits, unsigned{back});
    if (value != half_to_float(static_cast<uint16_t>(bits)) && !nan)
      fail("half %04x is %g", bits, static_cast<double>(value));
  }
  for (int i = 0; i < 200'000; i++) {
    // any float; or one near a tie of halves, or of bfloat16
    uint32_t bits = static_cast<uint32_t>(random.bits());
    if (i % 3 == 1)
      bits = 0x33000000u + (bits & 0x1fffffffu),
      bits = (bits & 0xfffff000u) + static_cast<uint32_t>(random.below(3) - 1);
    if (i % 3 == 2) bits = (bits & 0xffff8000u) + static_cast<uint32_t>(random.below(3) - 1);
    const float value = __uint_as_float(bits);
    const uint16_t half = nearest(value, [](uint16_t h) { return ptx::half_to_float(h); }, 0x7c00);
    const uint16_t bf16 = nearest(value, [](uint16_t h) { return ptx::bf16_to_float(h); }, 0x7f80);
    if (ptx::float_to_half(value) != half)
      fail("%a as half: %04x, expected %04x", static_cast<double>(value),
           unsigned{ptx::float_to_half(value)}, unsigned{half});
    if (ptx::float_to_bf16(value) != bf16)
      fail("%a as bfloat16: %04x, expected %04x", static_cast<double>(value),
           unsigned{ptx::float_to_bf16(value)}, unsigned{bf16});
    const uint32_t pair = ptx::pack_bf16(value, 1.0f);
    if (pair != (bf16 | 0x3f800000u)) fail("%a in a pair: %08x", static_cast<double>(value), pair);
  }
  if (ptx::bf16_low(0x3f804000u) != 2.0f || ptx::bf16_high(0x3f804000u) != 1.0f)
    fail("halves of a pair");
}

// ---- streams, graphs, memory ---------------------------------------------------------------

__global__ void add_one(int* x) { x[threadIdx.x]++; }
__global__ void stop(int*) {
  if (threadIdx.x == 0) __syncwarp();
}

struct Stream {
  Stream() : handle(tk_emulated_stream_create()) {}
  ~Stream() { tk_emulated_stream_free(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void* const handle;
};

void graphs(uint64_t) {
  for (const int late : {0, 1}) {
    const Settings settings(0, 0, 1, late);
    const Stream stream;
    int* x = static_cast<int*>(tk_emulated_allocate(32 * sizeof(int)));
    int read[32], zero = 0;
    expect_code(x[0], -1, "new memory");
    expect_code(tk_emulated_set(stream.handle, x, 0, 128), 0, "set");
    expect_code(tk_emulated_synchronize(stream.handle), 0, "synchronize");
    expect_code(tk_emulated_capture_begin(stream.handle), 0, "begin");
    if (launch(stream.handle, {1, 32}, add_one, x) != TK_OK ||
        launch(stream.handle, {1, 31}, add_one, x) != TK_OK) {
      fail("%s", tk_cuda_last_error());
    }
    expect_code(tk_emulated_copy(stream.handle, read, x, 128), 0, "copy");
    expect_code(tk_emulated_synchronize(stream.handle), 900, "synchronize while it captures");
    expect_code(tk_emulated_capture_begin(stream.handle), 1, "begin again");
    void* graph = tk_emulated_capture_end(stream.handle);
    if (graph == nullptr || tk_emulated_graph_size(graph) != 3) fail("no graph of 3 parts");
    if (tk_emulated_capture_end(stream.handle) != nullptr) fail("end without begin");
    if (x[0] != 0) fail("captured work ran");
    for (int i = 1; i <= 5; i++) {
      read[0] = zero;
      expect_code(tk_emulated_graph_launch(graph, stream.handle), 0, "launch");
      if (late != 0 && x[0] != 2 * (i - 1)) fail("work ran before the stream was synchronized");
      expect_code(tk_emulated_synchronize(stream.handle), 0, "synchronize");
      if (read[0] != 2 * i || read[31] != i) fail("launch %d: %d and %d", i, read[0], read[31]);
    }
    tk_emulated_graph_free(graph);
    expect_code(tk_emulated_free(x), 0, "free");
  }
}

void sticky_errors(uint64_t) {
  for (const int late : {0, 1}) {
    const Settings settings(0, 0, 1, late);
    const Stream stream, other;
    int x[64] = {};
    const int status = launch(stream.handle, {1, 64}, stop, x);
    if (status != (late != 0 ? TK_OK : TK_DEVICE)) fail("the launch that fails: %d", status);
    expect_code(tk_emulated_synchronize(stream.handle), 719, "synchronize");
    if (strstr(tk_emulated_last_error(), "of its warp waits for it in __syncwarp") == nullptr)
      fail("%s", tk_emulated_last_error());
    if (launch(stream.handle, {1, 32}, add_one, x) != TK_DEVICE || tk_cuda_error_code() != 719)
      fail("the next launch");
    expect_code(tk_emulated_set(stream.handle, x, 0, 4), 719, "set");
    expect_code(tk_emulated_capture_begin(stream.handle), 719, "begin");
    if (launch(other.handle, {1, 32}, add_one, x) != TK_OK)
      fail("another stream: %s", tk_cuda_last_error());
    expect_code(tk_emulated_synchronize(other.handle), 0, "synchronize the other");
    if (x[0] != 1) fail("x is %d", x[0]);
    expect_code(tk_emulated_lose(other.handle, 46), 0, "lose");
    expect_code(tk_emulated_synchronize(other.handle), 46, "a lost stream");
  }
}

void memory(uint64_t) {
  const int64_t total = tk_emulated_memory_total(), left = tk_emulated_memory_free();
  expect_code(tk_emulated_memory_limit(total - left + 1000), 0, "limit");
  char* x = static_cast<char*>(tk_emulated_allocate(600));
  if (x == nullptr || reinterpret_cast<uintptr_t>(x) % 256 != 0)
    fail("600 of 1000 bytes: %p", static_cast<void*>(x));
  if (tk_emulated_allocate(401) != nullptr) fail("1001 of 1000 bytes");
  if (tk_emulated_memory_free() != 400)
    fail("%lld bytes free", static_cast<long long>(tk_emulated_memory_free()));
  expect_code(tk_emulated_copy(nullptr, x + 500, x, 101), 1, "copy past the end");
  expect_code(tk_emulated_copy(nullptr, x + 500, x, 100), 0, "copy to the end");
  expect_code(tk_emulated_free(x + 1), 1, "free of another address");
#if !defined(__SANITIZE_ADDRESS__)  // it would end the program
  x[600] = 1;
  const Stream stream;
  expect_code(tk_emulated_synchronize(stream.handle), 700,
              "synchronize after a write past the end");
  expect_code(tk_emulated_free(x), 700, "free after a write past the end");
#else
  expect_code(tk_emulated_free(x), 0, "free");
#endif
  expect_code(tk_emulated_memory_limit(total), 0, "limit");
  if (tk_emulated_memory_free() != left)
    fail("%lld bytes free", static_cast<long long>(tk_emulated_memory_free()));
}

/** Two callers at the same time. */
void os_threads(uint64_t seed) {
  const Settings settings(2, 2, static_cast<int64_t>(seed));
  std::string messages[2];
  const auto work = [](std::string* message) {
    std::vector<float> x(1024, 1), out(2);
    for (int i = 0; i < 20; i++) {
      unsigned finished = 0;
      if (launch(nullptr, {1, 128}, pipeline, x.data(), out.data(), &out[1], &finished) != TK_OK) {
        *message = tk_cuda_last_error();
      } else if (out[1] != 768) {
        *message = "sum " + std::to_string(out[1]);
      }
    }
  };
  std::thread first(work, &messages[0]), second(work, &messages[1]);
  first.join();
  second.join();
  for (const std::string& message : messages) {
    if (!message.empty()) fail("%s", message.c_str());
  }
}

void statistics(uint64_t) {
  int64_t counted[TK_EMULATED_STATISTICS];
  float out[2], total;
  unsigned finished = 0;
  const std::vector<float> x(2048, 1);
  tk_emulated_statistics(counted);
  expect_launch({2, 128}, pipeline, x.data(), out, &total, &finished);
  tk_emulated_statistics(counted);
  // barriers: 2 pairs of warps, 8 rounds of 2, and 7 of the block
  if (counted[0] != 1 || counted[1] != 2 || counted[3] != 0 || counted[5] != 2 * (2 * 16 + 7)) {
    fail("%lld launches, %lld blocks, %lld collectives, %lld barriers",
         static_cast<long long>(counted[0]), static_cast<long long>(counted[1]),
         static_cast<long long>(counted[3]), static_cast<long long>(counted[5]));
  }
  expect_code(tk_emulated_settings(3, 0, 0, 0), 1, "order 3");
}

}  // namespace

const std::vector<EmulatorScenario> emulator_scenarios = {
    {"emulator: tensor-core product", products},
    {"emulator: matrix loads", matrices},
    {"emulator: bank conflicts", conflicts},
    {"emulator: shuffles and votes", warps},
    {"emulator: pipeline in all orders", pipelines},
    {"emulator: threads that wait for flags", spins},
    {"emulator: coordinates", grids},
    {"emulator: faults that some orders show", orders},
    {"emulator: 16-bit numbers", halves},
    {"emulator: streams and graphs", graphs},
    {"emulator: errors stay with a stream", sticky_errors},
    {"emulator: device memory", memory},
    {"emulator: two callers at once", os_threads},
    {"emulator: statistics", statistics},
};

}  // namespace tokamak::tests
