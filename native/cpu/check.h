// SPDX-License-Identifier: Apache-2.0
//
// How the functions of the ABI look at what they are given.

#pragma once

#include <stdint.h>

#include "../status.h"

namespace tokamak::cpu {

// Far above any model, far below where a product of a few of them overflows.
constexpr int64_t most_rows = 1 << 20;
constexpr int64_t most_width = int64_t{1} << 28;

using Long = long long;

/** The checks of one call, in order; the first that fails keeps its message. */
class Check {
 public:
  explicit Check(const char* function) : function_(function) {}

  template <typename T>
  Check& pointer(const char* name, const T* value) {
    if (status_ == TK_OK && value == nullptr) {
      status_ = fail(TK_BAD_ARGUMENT, "%s: %s is null", function_, name);
    }
    if (status_ == TK_OK && reinterpret_cast<uintptr_t>(value) % alignof(T) != 0) {
      status_ = fail(TK_BAD_ARGUMENT, "%s: %s=%p, must be a multiple of %d", function_, name,
                     static_cast<const void*>(value), static_cast<int>(alignof(T)));
    }
    return *this;
  }
  template <typename T>
  Check& optional(const char* name, const T* value) {
    return value == nullptr ? *this : pointer(name, value);
  }
  Check& range(const char* name, int64_t value, int64_t least, int64_t most) {
    if (status_ == TK_OK && (value < least || value > most)) {
      status_ = fail(TK_BAD_ARGUMENT, "%s: %s=%lld, must be %lld to %lld", function_, name,
                     static_cast<Long>(value), static_cast<Long>(least), static_cast<Long>(most));
    }
    return *this;
  }
  Check& width(const char* name, int64_t value) { return range(name, value, 1, most_width); }
  Check& multiple(const char* name, int64_t value, const char* of, int64_t unit) {
    if (status_ == TK_OK && value % unit != 0) {
      status_ = fail(TK_BAD_ARGUMENT, "%s: %s=%lld, must be a multiple of %s=%lld", function_, name,
                     static_cast<Long>(value), of, static_cast<Long>(unit));
    }
    return *this;
  }
  Check& that(bool condition, tk_status status, const char* what) {
    if (status_ == TK_OK && !condition) status_ = fail(status, "%s: %s", function_, what);
    return *this;
  }
  Check& rows(int value) { return range("rows", value, TK_ROWS_STEP, TK_ROWS_OUTPUTS); }

  int status() const { return status_; }

 private:
  const char* function_;
  int status_ = TK_OK;
};

}  // namespace tokamak::cpu
