// SPDX-License-Identifier: Apache-2.0
//
// Wrong kernels: each ends with an error that says what is wrong and where, in every order of
// threads, and the next launch is as good as any.

#include <string.h>

#include "../../harness.h"
#include "emulator.h"
#include "host/emulated_driver.h"
#include "launch.cuh"

namespace tokamak::tests {
namespace {

using cuda::launch;

constexpr unsigned all = ~0u;

// ---- the kernels ---------------------------------------------------------------------------

__global__ void fine(int* out) {
  out[threadIdx.x] = __shfl_xor_sync(all, static_cast<int>(threadIdx.x), 1);
  __syncthreads();
}
__global__ void divergent_barrier(int*) {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncwarp();
  }
}
__global__ void barriers_of_two_lines(int*) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void half_a_warp_returns(int* out) {
  if (threadIdx.x >= 16) return;
  out[threadIdx.x] = __any_sync(all, 1);
}
__global__ void a_lane_returns_later(int* out) {
  if (threadIdx.x == 7) {
    __syncwarp(1u << 7);
    return;
  }
  out[threadIdx.x] = __shfl_down_sync(all, 1, 1);
}
__global__ void different_collectives(int* out) {
  if (threadIdx.x % 2 == 0) {
    __syncwarp();
  } else {
    out[0] = __all_sync(all, 1);
  }
}
__global__ void different_products(float* out) {
  float c[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x < 8) {
    ptx::mma_bf16(c, a, b);
  } else {
    ptx::mma_bf16(c, a, b);
  }
  out[threadIdx.x] = c[0];
}
__global__ void mask_without_itself(int* out) { out[0] = __any_sync(0xfffffffeu, 1); }
__global__ void waits_in_a_circle(int*) {
  // lanes 0, 1 and 2 wait for one another by pairs
  if (threadIdx.x < 3) __syncwarp(threadIdx.x == 0 ? 3u : threadIdx.x == 1 ? 6u : 5u);
}
__global__ void never_waits_for_a_copy(const void* from) {
  DYN_SMEM(shared);
  ptx::copy_async<16>(shared + 16 * threadIdx.x, from);
  ptx::copy_commit();
}
__global__ void waits_before_it_commits(const void* from) {
  DYN_SMEM(shared);
  ptx::copy_async<16>(shared + 16 * threadIdx.x, from);
  ptx::copy_wait<0>();
}
__global__ void copies(const void* from) {
  DYN_SMEM(shared);
  ptx::copy_async<16>(shared + 16 * threadIdx.x, from);
  ptx::copy_commit();
  ptx::copy_wait<0>();
}
__global__ void copies_to_global(char* to, const void* from) { ptx::copy_async<16>(to, from); }
__global__ void copies_to_an_odd_address(const void* from) {
  DYN_SMEM(shared);
  ptx::copy_async<8>(shared + 4, from);
}
__global__ void copies_too_much(const void* from) {
  DYN_SMEM(shared);
  for (int i = 0; i < 1000; i++) ptx::copy_async<4>(shared, from);
}
__global__ void loads_a_matrix_from_global(void* from) {
  uint32_t r[4];
  ptx::load_matrix_x4(r, from);
}
__global__ void loads_an_odd_row(int*) {
  SHARED(uint32_t, tile, 512);
  uint32_t r[4];
  ptx::load_matrix_x4(r, tile + 1);
}
__global__ void named_barrier(int id, int threads) { ptx::barrier(id, threads); }
__global__ void named_barrier_of_two_sizes(int*) { ptx::barrier(3, threadIdx.x < 32 ? 64 : 96); }
__global__ void named_barrier_alone(int*) {
  if (threadIdx.x < 32) ptx::barrier(2, 64);
}
__global__ void waits_for_a_flag(volatile int* flag) {
  if (threadIdx.x == 3) {
    while (*flag == 0) __nanosleep(20);
  }
}
__global__ void waits_for_a_flag_atomically(int* flag) {
  while (atomicAdd(flag, 0) == 0) {
  }
}
[[maybe_unused]] __global__ void writes_past_the_end(int n) {
  SHARED(float, values, 33);
  values[n] = 1;
}
__global__ void much_static_memory(float* out) {
  SHARED(float, values, 16 << 10);
  values[threadIdx.x] = 1;
  out[threadIdx.x] = values[threadIdx.x];
}

// ---- what is said about them ---------------------------------------------------------------

const struct Order {
  const char* name;
  int order, copies;
} orders[] = {{"fifo", 0, 0}, {"lifo", 1, 1}, {"random", 2, 2}};

struct Scope {
  ~Scope() { tk_emulated_settings(0, 0, 0, 1); }
};

alignas(16) char memory[4096];
int* const numbers = reinterpret_cast<int*>(memory);

/** Runs in all orders. */
template <class... Parameters, class... Arguments>
void expect_fault(const char* part, int code, const cuda::Grid& grid, void (*kernel)(Parameters...),
                  Arguments... arguments) {
  const Scope scope;
  for (const Order& order : orders) {
    tk_emulated_settings(order.order, order.copies, 0, 7);
    memset(memory, 0, sizeof memory);
    const int status = launch(nullptr, grid, kernel, arguments...);
    if (status != TK_DEVICE || tk_cuda_error_code() != code ||
        strstr(tk_cuda_last_error(), part) == nullptr) {
      fail("order %s: status %d, code %d, '%s'; expected code %d and '%s'", order.name, status,
           tk_cuda_error_code(), status == TK_OK ? "" : tk_cuda_last_error(), code, part);
    }
    if (launch(nullptr, {1, 64}, fine, numbers) != TK_OK || numbers[5] != 4) {
      fail("order %s: the next launch: %s", order.name, tk_cuda_last_error());
    }
  }
}

constexpr int bad_launch = 9, timeout = 702, failure = 719;

void barriers(uint64_t) {
  expect_fault("40 threads wait in __syncthreads", timeout, {1, 64}, divergent_barrier, numbers);
  expect_fault("24 threads wait in __syncwarp", timeout, {1, 64}, divergent_barrier, numbers);
  expect_fault("is in __syncthreads while other lanes of its warp wait at a barrier", failure,
               {1, 64}, barriers_of_two_lines, numbers);
  expect_fault("barrier 16, there are 0 to 15", failure, {1, 64}, named_barrier, 16, 64);
  expect_fault("a barrier for 40 threads", failure, {1, 64}, named_barrier, 1, 40);
  expect_fault("a barrier for 96 threads", failure, {1, 64}, named_barrier, 1, 96);
  expect_fault("comes to barrier 3 for", failure, {1, 96}, named_barrier_of_two_sizes, numbers);
  expect_fault("32 threads wait in barrier", timeout, {1, 64}, named_barrier_alone, numbers);
  expect_fault("32 of 64 have ended", timeout, {1, 64}, named_barrier_alone, numbers);
}

void collectives(uint64_t) {
  expect_fault("of its warp", failure, {1, 32}, half_a_warp_returns, numbers);
  expect_fault("of its warp", failure, {1, 64}, a_lane_returns_later, numbers);
  expect_fault("while other lanes of its warp wait in", failure, {1, 32}, different_collectives,
               numbers);
  expect_fault("is in mma while other lanes of its warp wait in mma", failure, {1, 32},
               different_products, reinterpret_cast<float*>(memory));
  expect_fault("mask fffffffe is without the calling lane", failure, {1, 1}, mask_without_itself,
               numbers);
  expect_fault("names lanes that the block of 40 threads does not have", failure, {1, 40}, fine,
               numbers);
  expect_fault("deadlock", timeout, {1, 32}, waits_in_a_circle, numbers);
}

void wrong_copies(uint64_t) {
  const void* const from = memory;
  expect_fault("ends with 1 asynchronous copies", failure, {1, 32, 512}, never_waits_for_a_copy,
               from);
  expect_fault("ends with 1 asynchronous copies", failure, {1, 32, 512}, waits_before_it_commits,
               from);
  expect_fault("that is not shared memory", failure, {1, 32, 512}, copies_to_global, memory + 1024,
               from);
  expect_fault("that is not shared memory", failure, {1, 32, 496}, copies, from);
  expect_fault("no multiple of it", failure, {1, 32, 512}, copies_to_an_odd_address, from);
  expect_fault("more than 128 asynchronous copies", failure, {1, 1, 512}, copies_too_much, from);
  expect_fault("not in shared memory", failure, {1, 32}, loads_a_matrix_from_global,
               static_cast<void*>(memory));
  expect_fault("no multiple of 16", failure, {1, 32}, loads_an_odd_row, numbers);
}

void endless(uint64_t) {
  expect_fault("thread (3,0,0): livelock: __nanosleep is repeated", timeout, {1, 32},
               waits_for_a_flag, numbers);
  expect_fault("livelock: an atomic operation is repeated", timeout, {1, 32},
               waits_for_a_flag_atomically, numbers);
}

void limits(uint64_t) {
  expect_fault("of 1025x1x1 threads", bad_launch, {1, 1025}, fine, numbers);
  expect_fault("of 0x1x1 threads", bad_launch, {1, 0}, fine, numbers);
  expect_fault("a grid of 0x1x1 blocks", bad_launch, {0, 32}, fine, numbers);
  expect_fault("a grid of 1x65536x1 blocks", bad_launch, {dim3(1, 65536), 32}, fine, numbers);
  expect_fault("200000 bytes of shared memory", bad_launch, {1, 32, 200000}, fine, numbers);
  expect_fault("65536 bytes of static", failure, {1, 32}, much_static_memory,
               reinterpret_cast<float*>(memory));
}

void damage(uint64_t) {
#if !defined(__SANITIZE_ADDRESS__)  // it would end the program
  expect_fault("was written at byte 132 of a shared array of 132 bytes", failure, {1, 1},
               writes_past_the_end, 33);
  expect_fault("was written at byte -4 of a shared array of 132 bytes", failure, {1, 1},
               writes_past_the_end, -1);
#endif
}

/** The message of a deadlock names lines of this file. */
void places(uint64_t) {
  const Scope scope;
  launch(nullptr, {dim3(3, 2), 64}, divergent_barrier, numbers);
  const std::string message = tk_cuda_last_error();
  for (const char* part : {"emulator_faults.cc:", "in block (0,0,0)", "first (40,0,0)"}) {
    if (message.find(part) == std::string::npos)
      fail("'%s' is without '%s'", message.c_str(), part);
  }
}

}  // namespace

const std::vector<EmulatorScenario> emulator_fault_scenarios = {
    {"emulator: wrong barriers", barriers},   {"emulator: wrong collectives", collectives},
    {"emulator: wrong copies", wrong_copies}, {"emulator: endless loops", endless},
    {"emulator: limits of a launch", limits}, {"emulator: writes past an array", damage},
    {"emulator: lines in messages", places},
};

}  // namespace tokamak::tests
