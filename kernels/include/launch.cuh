// SPDX-License-Identifier: Apache-2.0
//
// How a launcher starts its kernel, says what it costs, and refuses what it cannot do.

#pragma once

#include <stddef.h>

#include "ptx.cuh"
#include "status.h"

#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <tuple>
#include <utility>
#endif

namespace tokamak::cuda {

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;  // dynamic
#if !defined(__CUDACC__)
  emu::Where where = emu::Where::here();
#endif
};

#if defined(__CUDACC__)

/** What a block may have where capability is 8.6, 8.9 or 12.0; others grant more. */
constexpr size_t most_shared_bytes = 99 << 10;

/** Starts kernel(arguments...) on a stream. */
template <class... Parameters, class... Arguments>
int launch(void* stream, const Grid& grid, void (*kernel)(Parameters...), Arguments... arguments) {
  if (grid.shared_bytes > (48 << 10)) {  // a kernel has to ask for more
    // Always for as much: the attribute is the kernel's, and a launch with less, by another thread
    // or for another model, must not take it from one that comes between or lies in a graph.
    const size_t least = most_shared_bytes;
    const size_t bytes = grid.shared_bytes > least ? grid.shared_bytes : least;
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
    if (error != cudaSuccess) {
      cudaGetLastError();  // else the next launch would be told of it
      return refuse_device(error, "%lld bytes of shared memory for a kernel: %s",
                           static_cast<long long>(grid.shared_bytes), cudaGetErrorString(error));
    }
  }
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, static_cast<cudaStream_t>(stream)>>>(
      static_cast<Parameters>(arguments)...);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess
             ? TK_OK
             : refuse_device(error, "launch of a kernel: %s", cudaGetErrorString(error));
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
      stream, {grid.where, grid.blocks, grid.threads, grid.shared_bytes, body, std::move(call),
               reinterpret_cast<const void*>(kernel)});
  if (outcome.code == 0) return TK_OK;
  return refuse_device(outcome.code, "%s", outcome.message.c_str());
}

#endif

}  // namespace tokamak::cuda
