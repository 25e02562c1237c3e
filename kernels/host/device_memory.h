// SPDX-License-Identifier: Apache-2.0
//
// The emulated device's memory: host memory with guards around each allocation.

#pragma once

#include <stdint.h>

#include <map>
#include <mutex>
#include <string>

namespace emu {

class DeviceMemory {
 public:
  /** Null: not enough. */
  void* allocate(int64_t bytes);
  /** CUDA's error code. */
  int free(void* address, std::string* message);
  /** 0, or 700 and where something was written beside an allocation. */
  int check(std::string* message);
  /** False if the range begins in an allocation and does not end in it. */
  bool fits(const void* address, int64_t bytes, std::string* message);
  void limit(int64_t bytes);
  int64_t total();
  int64_t left();

 private:
  std::mutex mutex_;
  std::map<uintptr_t, int64_t> allocations_;  // address -> bytes
  int64_t limit_ = int64_t{1} << 40, used_ = 0;
};

DeviceMemory& device_memory();

}  // namespace emu
