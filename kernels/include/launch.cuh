// SPDX-License-Identifier: Apache-2.0
//
// How a launcher starts its kernel, says what it costs, and refuses what it cannot do.

#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "ptx.cuh"
#include "tokamak/tokamak_cuda.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <tuple>
#include <utility>
#endif

namespace tokamak::cuda {

/** What the calling thread's last launch or last failed call left behind. */
struct LastCall {
  char message[512];
  int error_code;  // cudaError_t; 0 where CUDA was not at fault
  double bytes, operations;
};
inline constinit thread_local LastCall last_call{};

/** Keeps the text for tk_cuda_last_error() and returns the status. */
__attribute__((format(printf, 2, 3))) inline int refuse(int status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_call.message, sizeof last_call.message, format, arguments);
  va_end(arguments);
  last_call.error_code = 0;
  return status;
}

/** Bytes that the launch reads and writes at least once, and its multiplications and additions. */
inline void report_work(double bytes, double operations) {
  last_call.bytes = bytes;
  last_call.operations = operations;
}

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;  // dynamic
#if !defined(__CUDACC__)
  emu::Where where = emu::Where::here();
#endif
};

#if defined(__CUDACC__)

inline int device_error(cudaError_t error, const char* what) {
  refuse(TK_DEVICE, "%s: %s", what, cudaGetErrorString(error));
  last_call.error_code = error;
  return TK_DEVICE;
}

/** Starts kernel(arguments...) on a stream. */
template <class... Parameters, class... Arguments>
int launch(void* stream, const Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.shared_bytes > (48 << 10)) {  // a kernel has to ask for more
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(grid.shared_bytes));
    if (error != cudaSuccess) return device_error(error, "shared memory of a kernel");
  }
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(stream)>>>(
      static_cast<Parameters>(arguments)...);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? TK_OK : device_error(error, "launch of a kernel");
}

#else

template <class... Parameters, class... Arguments>
int launch(void* stream, const Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> parameters;
  };
  auto call = std::make_shared<const Call>(
      Call{kernel, std::tuple<Parameters...>(static_cast<Parameters>(arguments)...)});
  const auto body = [](const void* pointer) {
    const Call& made = *static_cast<const Call*>(pointer);
    std::apply(made.kernel, made.parameters);
  };
  const emu::Outcome outcome = emu::submit(
      stream, {grid.where, grid.blocks, grid.threads, grid.shared_bytes, body, std::move(call)});
  if (outcome.code == 0) return TK_OK;
  refuse(TK_DEVICE, "%s", outcome.message.c_str());
  last_call.error_code = outcome.code;
  return TK_DEVICE;
}

#endif

}  // namespace tokamak::cuda
