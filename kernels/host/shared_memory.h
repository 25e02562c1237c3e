// SPDX-License-Identifier: Apache-2.0
//
// The shared memory of one block, full of NaNs at first. Nothing lies beside an array but a guard:
// AddressSanitizer's, or more NaNs that are looked at when the block ends.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace emu {

// Static arrays: CUDA's limit. All together: what every device from 8.0 on grants a block.
constexpr size_t most_static_shared = 48 << 10;
constexpr size_t most_shared = 99 << 10;

class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory() { clear(); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  /** For a new block; throws std::bad_alloc. */
  void start(size_t dynamic_bytes, size_t order_bytes);
  /** Null: there is none at this site yet. */
  unsigned char* find(const void* site) const;
  unsigned char* add(const void* site, size_t bytes);
  unsigned char* dynamic() const { return regions_[0].base; }
  /** Addresses that stand for orderings (ThreadSanitizer). */
  unsigned char* order() const { return order_; }
  size_t static_bytes() const { return static_bytes_; }
  size_t bytes() const { return static_bytes_ + regions_[0].bytes; }
  bool holds(const void* address, size_t bytes) const;
  /** How far from an array something was written, in bytes from its begin; false: nowhere. */
  bool damaged(ptrdiff_t* offset, size_t* bytes) const;
  void clear();

 private:
  struct Region {
    const void* site;
    unsigned char* base;
    size_t bytes;
    void* allocation;
    size_t allocated;
  };
  Region allocate(const void* site, size_t bytes);

  std::vector<Region> regions_;  // the first: dynamic
  unsigned char* order_ = nullptr;
  size_t static_bytes_ = 0, order_bytes_ = 0;
};

}  // namespace emu
