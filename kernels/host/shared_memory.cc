// SPDX-License-Identifier: Apache-2.0

#include "shared_memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>

#include "fiber.h"

namespace emu {
namespace {

constexpr size_t alignment = 128;  // of an array; also the bytes of a guard

// Of static arrays; with more, ThreadSanitizer sees threads race for the list of them.
constexpr size_t most_regions = 32;

// Whole pages of any machine.
constexpr size_t page_bytes = size_t{64} << 10;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) & ~(to - 1); }

// Not memset: ThreadSanitizer would take it for a write by the present thread.
void poison(void* address, size_t bytes) {
  volatile uint64_t* words = static_cast<volatile uint64_t*>(address);
  for (size_t i = 0; i < bytes / 8; i++) words[i] = ~uint64_t{0};
  volatile unsigned char* rest = static_cast<volatile unsigned char*>(address);
  for (size_t i = bytes & ~size_t{7}; i < bytes; i++) rest[i] = 0xff;
}

// ThreadSanitizer gets new memory for each block, or blocks would seem to race for it; asked from
// the system itself, or the thread that comes first would seem to write it. munmap makes it forget
// whole pages.
void* map(size_t bytes) {
  const long address =
      syscall(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == -1) throw std::bad_alloc();
  return reinterpret_cast<void*>(address);
}

}  // namespace

SharedMemory::Region SharedMemory::allocate(const void* site, size_t bytes) {
  Region region{site, nullptr, bytes, nullptr, 0};
  if (thread_sanitizer()) {
    region.allocated = rounded(bytes + 2 * alignment, page_bytes);
    region.allocation = map(region.allocated);
    region.base = static_cast<unsigned char*>(region.allocation) + alignment;
    poison(region.allocation, region.allocated);
  } else if (address_sanitizer()) {
    if (posix_memalign(&region.allocation, alignment, bytes) != 0) throw std::bad_alloc();
    region.base = static_cast<unsigned char*>(region.allocation);
    poison(region.base, bytes);
  } else {
    region.allocated = rounded(bytes, alignment) + 2 * alignment;
    if (posix_memalign(&region.allocation, alignment, region.allocated) != 0) {
      throw std::bad_alloc();
    }
    region.base = static_cast<unsigned char*>(region.allocation) + alignment;
    poison(region.allocation, region.allocated);
  }
  return region;
}

void SharedMemory::start(size_t dynamic_bytes, size_t order_bytes) {
  clear();
  regions_.reserve(most_regions);
  regions_.push_back(allocate(nullptr, dynamic_bytes));
  if (thread_sanitizer()) {
    order_bytes_ = rounded(order_bytes, page_bytes);
    order_ = static_cast<unsigned char*>(map(order_bytes_));
  }
}

unsigned char* SharedMemory::find(const void* site) const {
  for (const Region& region : regions_) {
    if (region.site == site) return region.base;
  }
  return nullptr;
}

unsigned char* SharedMemory::add(const void* site, size_t bytes) {
  regions_.push_back(allocate(site, bytes));
  static_bytes_ += (bytes + 15) & ~size_t{15};
  return regions_.back().base;
}

bool SharedMemory::holds(const void* address, size_t bytes) const {
  const uintptr_t first = reinterpret_cast<uintptr_t>(address);
  for (const Region& region : regions_) {
    const uintptr_t base = reinterpret_cast<uintptr_t>(region.base);
    if (first >= base && first + bytes <= base + region.bytes) return true;
  }
  return false;
}

bool SharedMemory::damaged(ptrdiff_t* offset, size_t* bytes) const {
  for (const Region& region : regions_) {
    const unsigned char* first = static_cast<const unsigned char*>(region.allocation);
    for (const unsigned char* p = first; p < first + region.allocated; p++) {
      if (p == region.base) p += region.bytes;
      if (p < first + region.allocated && *p != 0xff) {
        *offset = p - region.base;
        *bytes = region.bytes;
        return true;
      }
    }
  }
  return false;
}

void SharedMemory::clear() {
  for (const Region& region : regions_) {
    if (thread_sanitizer()) {
      munmap(region.allocation, region.allocated);
    } else {
      free(region.allocation);
    }
  }
  regions_.clear();
  static_bytes_ = 0;
  if (order_ != nullptr) munmap(order_, order_bytes_);
  order_ = nullptr;
}

}  // namespace emu
