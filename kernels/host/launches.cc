// SPDX-License-Identifier: Apache-2.0
//
// How kernels are launched, for the table of what they cost (cmake/CudaResources.cmake): occupancy
// depends on the threads and the dynamic memory that a launcher picks.

#include <stdio.h>
#include <stdlib.h>

#include <mutex>
#include <set>
#include <tuple>

#include "emulator.h"

// The linker's: where the program begins. A library has none, and loads all the same.
extern "C" [[gnu::weak]] const char __executable_start;

namespace emu {

void note(const Launch& launch) {
  static const char* const path = getenv("TOKAMAK_EMULATED_LAUNCHES");
  if (path == nullptr) return;
  static std::mutex mutex;
  static std::set<std::tuple<const void*, unsigned, size_t>> seen;
  const unsigned threads = launch.threads.x * launch.threads.y * launch.threads.z;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!seen.emplace(launch.kernel, threads, launch.shared_bytes).second) return;
  if (FILE* file = fopen(path, "a")) {
    const auto offset = static_cast<const char*>(launch.kernel) - &__executable_start;
    fprintf(file, "%tx %u %zu\n", offset, threads, launch.shared_bytes);
    fclose(file);
  }
}

}  // namespace emu
