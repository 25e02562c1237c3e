// SPDX-License-Identifier: Apache-2.0
//
// Devices: which there are, what they have, and whether one of them computes what it should. The
// only file that asks CUDA about devices; compiled for the host it tells of one emulated device.

#include <string.h>

#include "arguments.h"
#include "launch.cuh"
#include "reduce.cuh"

#if !defined(__CUDACC__)
#include "host/emulated_driver.h"
#endif

namespace tokamak::cuda {
namespace {

// ---- self test ----------------------------------------------------------------------------
// One block multiplies two matrices of small whole numbers on the tensor cores, of which every
// product and sum is exact, and adds up the result over barriers and shuffles: what the kernels
// need of a device, and, that it runs at all, of the library.

constexpr int test_threads = 128, test_rows = 16, test_cols = 8, test_depth = 16;
constexpr int test_numbers = test_rows * test_cols + 1;

__host__ __device__ constexpr int left(int row, int k) { return (row * 5 + k * 3) % 17 - 8; }
__host__ __device__ constexpr int right(int k, int col) { return (k * 7 + col * 11) % 19 - 9; }

/** out: the product [rows, cols] of left [rows, depth] and right [depth, cols], then its sum. */
__global__ void __launch_bounds__(test_threads) self_test(float* out) {
  SHARED(float, product, test_rows * test_cols);
  SHARED(float, partial, test_threads / warp_threads);
  if (threadIdx.x < warp_threads) {
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    const auto a = [](int row, int k) {
      return ptx::pack_bf16(static_cast<float>(left(row, k)), static_cast<float>(left(row, k + 1)));
    };
    const auto b = [](int k, int col) {
      return ptx::pack_bf16(static_cast<float>(right(k, col)),
                            static_cast<float>(right(k + 1, col)));
    };
    const uint32_t as[4] = {a(g, 2 * t), a(g + 8, 2 * t), a(g, 2 * t + 8), a(g + 8, 2 * t + 8)};
    const uint32_t bs[2] = {b(2 * t, g), b(2 * t + 8, g)};
    float c[4] = {};
    ptx::mma_bf16(c, as, bs);
    product[g * test_cols + 2 * t] = c[0];
    product[g * test_cols + 2 * t + 1] = c[1];
    product[(g + 8) * test_cols + 2 * t] = c[2];
    product[(g + 8) * test_cols + 2 * t + 1] = c[3];
  }
  __syncthreads();
  const float mine = product[threadIdx.x];
  out[threadIdx.x] = mine;
  const float sum = block_sum<test_threads>(mine, partial);
  if (threadIdx.x == 0) out[test_threads] = sum;
}
static_assert(test_threads == test_rows * test_cols, "a number a thread");

int compare(const float (&found)[test_numbers]) {
  int sum = 0;
  for (int i = 0; i < test_numbers; i++) {
    int right_one = sum;
    if (i < test_rows * test_cols) {
      right_one = 0;
      for (int k = 0; k < test_depth; k++) {
        right_one += left(i / test_cols, k) * right(k, i % test_cols);
      }
      sum += right_one;
    }
    if (found[i] != static_cast<float>(right_one)) {
      return refuse(TK_DEVICE, "tk_cuda_self_test: number %d is %g, must be %d", i,
                    static_cast<double>(found[i]), right_one);
    }
  }
  return TK_OK;
}

#if defined(__CUDACC__)

int failed(const char* function, cudaError_t error) {
  cudaGetLastError();  // it is told here, not to the next launch
  return refuse_device(error, "%s: %s", function, cudaGetErrorString(error));
}

/** Makes a device current while it lives. */
class Current {
 public:
  explicit Current(int device) {
    error_ = cudaGetDevice(&before_);
    if (error_ == cudaSuccess) error_ = cudaSetDevice(device);
  }
  ~Current() { cudaSetDevice(before_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;
  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  cudaError_t error_;
};

int run_self_test(int device, float (&found)[test_numbers]) {
  const Current current(device);
  cudaError_t error = current.error();
  cudaStream_t stream = nullptr;
  void* memory = nullptr;
  int status = TK_OK;
  if (error == cudaSuccess) error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaMalloc(&memory, sizeof found);
  if (error == cudaSuccess) error = cudaMemsetAsync(memory, 0xff, sizeof found, stream);
  if (error == cudaSuccess) {
    status = launch(stream, {1, test_threads}, self_test, static_cast<float*>(memory));
    if (status == TK_OK) {
      error = cudaMemcpyAsync(found, memory, sizeof found, cudaMemcpyDeviceToHost, stream);
      if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
    }
  }
  if (memory != nullptr) cudaFree(memory);
  if (stream != nullptr) cudaStreamDestroy(stream);
  return error == cudaSuccess ? status : failed("tk_cuda_self_test", error);
}

#else

int run_self_test(int, float (&found)[test_numbers]) {
  void* memory = tk_emulated_allocate(sizeof found);
  if (memory == nullptr) {
    return refuse(TK_OUT_OF_MEMORY, "tk_cuda_self_test: %s", tk_emulated_last_error());
  }
  void* const stream = nullptr;  // runs everything at once
  const int status = launch(stream, {1, test_threads}, self_test, static_cast<float*>(memory));
  memcpy(found, memory, sizeof found);
  tk_emulated_free(memory);
  return status;
}

#endif

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_self_test(int device) {
  const int devices = tk_cuda_devices();
  if (devices < 0) return TK_DEVICE;
  Arguments arguments("tk_cuda_self_test");
  arguments.that(devices > 0, TK_DEVICE, "there is no device")
      .range("device", device, 0, devices - 1);
  if (arguments.status() != TK_OK) return arguments.status();
  float found[test_numbers] = {};
  const int status = run_self_test(device, found);
  return status == TK_OK ? compare(found) : status;
}

// ---- devices ------------------------------------------------------------------------------

#if defined(__CUDACC__)

int tk_cuda_emulated(void) { return 0; }

int tk_cuda_devices(void) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) return count;
  failed("tk_cuda_devices", error);
  return -1;
}

int tk_cuda_driver_version(void) {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

int tk_cuda_runtime_version(void) { return CUDART_VERSION; }

const char* tk_cuda_device_name(int device) {
  static thread_local cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error == cudaSuccess) return properties.name;
  failed("tk_cuda_device_name", error);
  return nullptr;
}

int tk_cuda_device(int device, int64_t* out) {
  const char* const function = "tk_cuda_device";
  if (out == nullptr) return refuse(TK_BAD_ARGUMENT, "%s: out is null", function);
  const Current current(device);
  cudaError_t error = current.error();
  cudaDeviceProp properties;
  size_t free = 0, total = 0;
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, device);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess) return failed(function, error);
  out[0] = 10 * properties.major + properties.minor;
  out[1] = properties.multiProcessorCount;
  out[2] = static_cast<int64_t>(total);
  out[3] = static_cast<int64_t>(free);
  out[4] = properties.l2CacheSize;
  return TK_OK;
}

#else

namespace {

// What an emulated program is told it was built with, and runs on: nothing depends on them.
constexpr int emulated_version = 13000, emulated_capability = 90, emulated_processors = 4;
constexpr int64_t emulated_cache = 4 << 20;

bool exists(const char* function, int device) {
  if (device == 0) return true;
  refuse_device(101, "%s: device=%d, must be 0", function, device);  // cudaErrorInvalidDevice
  return false;
}

}  // namespace

int tk_cuda_emulated(void) { return 1; }

int tk_cuda_devices(void) { return 1; }

int tk_cuda_driver_version(void) { return emulated_version; }

int tk_cuda_runtime_version(void) { return emulated_version; }

const char* tk_cuda_device_name(int device) {
  return exists("tk_cuda_device_name", device) ? "emulated" : nullptr;
}

int tk_cuda_device(int device, int64_t* out) {
  const char* const function = "tk_cuda_device";
  if (out == nullptr) return refuse(TK_BAD_ARGUMENT, "%s: out is null", function);
  if (!exists(function, device)) return TK_DEVICE;
  out[0] = emulated_capability;
  out[1] = emulated_processors;
  out[2] = tk_emulated_memory_total();
  out[3] = tk_emulated_memory_free();
  out[4] = emulated_cache;
  return TK_OK;
}

#endif
