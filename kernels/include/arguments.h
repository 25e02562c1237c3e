// SPDX-License-Identifier: Apache-2.0
//
// The checks of a launcher's arguments. Each names the argument and says what would be right; the
// first that fails keeps its message, and those after it are passed over:
//
//   Arguments arguments("tk_cuda_add");
//   arguments.step(step).rows(rows).pointer("x", x).pointer("y", y).width("width", width);
//   if (arguments.status() != TK_OK) return arguments.status();

#pragma once

#include <stdint.h>

#include "status.h"

namespace tokamak::cuda {

// Far above any model, far below where a product of a few of them overflows.
constexpr int64_t most_rows = 65535;  // what a grid has of y and of z
constexpr int64_t most_width = int64_t{1} << 28;
constexpr int64_t most_numbers = int64_t{1} << 33;  // of an activation: 32 GiB

class Arguments {
 public:
  explicit Arguments(const char* function) : function_(function) {}

  Arguments& step(const tk_cuda_step* value) {
    return that(value != nullptr, TK_BAD_ARGUMENT, "step is null");
  }

  /** A tk_rows. */
  Arguments& rows(int value) { return range("rows", value, TK_ROWS_STEP, TK_ROWS_OUTPUTS); }

  Arguments& pointer(const char* name, const void* value) {
    if (status_ == TK_OK && value == nullptr) {
      status_ = refuse(TK_BAD_ARGUMENT, "%s: %s is null", function_, name);
    }
    return *this;
  }

  /** Aligned to its type too. */
  template <typename T>
  Arguments& pointer(const char* name, const T* value) {
    return pointer(name, static_cast<const void*>(value)).aligned(name, value, alignof(T));
  }

  template <typename T>
  Arguments& optional(const char* name, const T* value) {
    return value == nullptr ? *this : pointer(name, value);
  }

  Arguments& aligned(const char* name, const void* value, int unit) {
    const auto address = reinterpret_cast<uintptr_t>(value);
    if (status_ == TK_OK && address % static_cast<uintptr_t>(unit) != 0) {
      status_ = refuse(TK_BAD_ARGUMENT, "%s: %s=%p, must be a multiple of %d", function_, name,
                       value, unit);
    }
    return *this;
  }

  Arguments& range(const char* name, int64_t value, int64_t least, int64_t most) {
    if (status_ == TK_OK && (value < least || value > most)) {
      status_ = refuse(TK_BAD_ARGUMENT, "%s: %s=%lld, must be %lld to %lld", function_, name,
                       static_cast<long long>(value), static_cast<long long>(least),
                       static_cast<long long>(most));
    }
    return *this;
  }

  /** Of a tensor. */
  Arguments& width(const char* name, int64_t value) { return range(name, value, 1, most_width); }

  /** Of an activation [rows, width], each in range already: so that a grid can cover it. */
  Arguments& numbers(int64_t rows, int64_t width) {
    return range("rows * width", status_ == TK_OK ? rows * width : 1, 1, most_numbers);
  }

  Arguments& multiple(const char* name, int64_t value, const char* of, int64_t unit) {
    if (status_ == TK_OK && value % unit != 0) {
      status_ = refuse(TK_BAD_ARGUMENT, "%s: %s=%lld, must be a multiple of %s=%lld", function_,
                       name, static_cast<long long>(value), of, static_cast<long long>(unit));
    }
    return *this;
  }

  /** `otherwise` says what was wrong. */
  Arguments& that(bool right, tk_status status, const char* otherwise) {
    if (status_ == TK_OK && !right) status_ = refuse(status, "%s: %s", function_, otherwise);
    return *this;
  }

  int status() const { return status_; }

 private:
  const char* function_;
  int status_ = TK_OK;
};

}  // namespace tokamak::cuda
