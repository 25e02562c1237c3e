// SPDX-License-Identifier: Apache-2.0

#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace tokamak::cuda {
namespace {

constexpr int memory_allocation = 2;  // cudaErrorMemoryAllocation

// Plain values: a thread that never fails pays nothing, and nothing has to be freed when it ends.
thread_local char last_error[512];
thread_local int error_code;
thread_local double work[2];

void keep(int code, const char* format, va_list arguments) {
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  error_code = code;
}

}  // namespace

int refuse(int status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  keep(0, format, arguments);
  va_end(arguments);
  return status;
}

int refuse_device(int code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  keep(code, format, arguments);
  va_end(arguments);
  return code == memory_allocation ? TK_OUT_OF_MEMORY : TK_DEVICE;
}

void report_work(double bytes, double operations) {
  work[0] = bytes;
  work[1] = operations;
}

}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_abi_version(void) { return TK_CUDA_ABI_VERSION; }

const char* tk_cuda_last_error(void) { return last_error; }

int tk_cuda_error_code(void) { return error_code; }

int tk_cuda_work(double* out) {
  if (out == nullptr) return refuse(TK_BAD_ARGUMENT, "tk_cuda_work: out is null");
  out[0] = work[0];
  out[1] = work[1];
  return TK_OK;
}
