// SPDX-License-Identifier: Apache-2.0

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../status.h"

namespace {

constexpr int64_t huge_page = int64_t{2} << 20;

/** Whole huge pages where there is at least one, so that the system can grant them. */
int64_t mapped_size(int64_t bytes) {
  const int64_t unit = bytes >= huge_page ? huge_page : 4096;
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

void* tk_memory_allocate(int64_t bytes) {
  if (bytes <= 0 || bytes > INT64_MAX / 2) {
    tokamak::fail(TK_BAD_ARGUMENT, "tk_memory_allocate: bytes=%lld, must be positive",
                  static_cast<long long>(bytes));
    return nullptr;
  }
  // Mapped with room to begin at a huge page, then cut to size.
  const int64_t size = mapped_size(bytes), slack = size >= huge_page ? huge_page : 0;
  void* mapped = mmap(nullptr, static_cast<size_t>(size + slack), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    tokamak::fail(TK_OUT_OF_MEMORY, "tk_memory_allocate: %lld bytes: %s",
                  static_cast<long long>(bytes), strerror(errno));
    return nullptr;
  }
  if (slack == 0) return mapped;
  char* const begin = static_cast<char*>(mapped);
  const auto misfit = reinterpret_cast<uintptr_t>(begin) % static_cast<uintptr_t>(huge_page);
  const int64_t before = misfit == 0 ? 0 : huge_page - static_cast<int64_t>(misfit);
  if (before > 0) munmap(begin, static_cast<size_t>(before));
  if (before < slack) munmap(begin + before + size, static_cast<size_t>(slack - before));
#if defined(MADV_HUGEPAGE)
  madvise(begin + before, static_cast<size_t>(size), MADV_HUGEPAGE);  // a wish: may be refused
#endif
  return begin + before;
}

void tk_memory_free(void* memory, int64_t bytes) {
  if (memory != nullptr && bytes > 0) munmap(memory, static_cast<size_t>(mapped_size(bytes)));
}
