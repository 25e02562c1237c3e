// SPDX-License-Identifier: Apache-2.0

#include "status.h"

#include <cstdarg>
#include <cstdio>

namespace tokamak {
namespace {

// A plain array: a thread that never fails pays nothing, and nothing has to be freed when a
// thread ends.
thread_local char last_error[512];

}  // namespace

int fail(tk_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace tokamak

int tk_abi_version(void) { return TK_ABI_VERSION; }

const char* tk_last_error(void) { return tokamak::last_error; }
