// SPDX-License-Identifier: Apache-2.0

#include "device_memory.h"

#include <stdlib.h>
#include <string.h>

#include "fiber.h"
#include "text.h"

namespace emu {
namespace {

constexpr size_t guard_bytes = 256;  // also the alignment
constexpr unsigned char guard_value = 0xa5;

/** Of an allocation with guards; AddressSanitizer has its own. */
size_t guards() { return address_sanitizer() ? 0 : guard_bytes; }

/** -1: nothing was written beside the allocation; else how far before or behind. */
std::string damage(uintptr_t address, int64_t bytes) {
  const auto* first = reinterpret_cast<const unsigned char*>(address);
  for (size_t i = 1; i <= guards(); i++) {
    if (first[-static_cast<ptrdiff_t>(i)] != guard_value) {
      return format("a write %zu bytes before an allocation of %lld bytes of device memory", i,
                    static_cast<long long>(bytes));
    }
  }
  for (size_t i = 0; i < guards(); i++) {
    if (first[static_cast<size_t>(bytes) + i] != guard_value) {
      return format("a write %zu bytes behind an allocation of %lld bytes of device memory", i,
                    static_cast<long long>(bytes));
    }
  }
  return {};
}

}  // namespace

DeviceMemory& device_memory() {
  static DeviceMemory memory;
  return memory;
}

void* DeviceMemory::allocate(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes <= 0 || bytes > limit_ - used_) return nullptr;
  void* allocation = nullptr;
  const size_t count = static_cast<size_t>(bytes);
  if (posix_memalign(&allocation, guard_bytes, count + 2 * guards()) != 0) return nullptr;
  unsigned char* address = static_cast<unsigned char*>(allocation) + guards();
  memset(allocation, guard_value, guards());
  memset(address, 0xff, count);
  memset(address + count, guard_value, guards());
  allocations_[reinterpret_cast<uintptr_t>(address)] = bytes;
  used_ += bytes;
  return address;
}

int DeviceMemory::free(void* address, std::string* message) {
  const std::lock_guard lock(mutex_);
  if (address == nullptr) return 0;
  const auto found = allocations_.find(reinterpret_cast<uintptr_t>(address));
  if (found == allocations_.end()) {
    *message = format("free: %p is not the address of an allocation", address);
    return 1;
  }
  *message = damage(found->first, found->second);
  used_ -= found->second;
  allocations_.erase(found);
  ::free(static_cast<unsigned char*>(address) - guards());
  return message->empty() ? 0 : 700;
}

int DeviceMemory::check(std::string* message) {
  const std::lock_guard lock(mutex_);
  for (const auto& [address, bytes] : allocations_) {
    *message = damage(address, bytes);
    if (!message->empty()) return 700;
  }
  return 0;
}

bool DeviceMemory::fits(const void* address, int64_t bytes, std::string* message) {
  const std::lock_guard lock(mutex_);
  const auto first = reinterpret_cast<uintptr_t>(address);
  auto found = allocations_.upper_bound(first);
  if (found == allocations_.begin()) return true;
  --found;
  const auto offset = static_cast<int64_t>(first - found->first);
  if (offset >= found->second || bytes <= found->second - offset) return true;
  *message = format("%lld bytes at offset %lld of an allocation of %lld bytes of device memory",
                    static_cast<long long>(bytes), static_cast<long long>(offset),
                    static_cast<long long>(found->second));
  return false;
}

void DeviceMemory::limit(int64_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}
int64_t DeviceMemory::total() {
  const std::lock_guard lock(mutex_);
  return limit_;
}
int64_t DeviceMemory::left() {
  const std::lock_guard lock(mutex_);
  return limit_ - used_;
}

}  // namespace emu
