// SPDX-License-Identifier: Apache-2.0

#include "stream.h"

#include <new>

namespace emu {

Outcome Stream::submit(Launch launch) {
  return submit(Work{[launch = std::move(launch)] { return run(launch); }});
}

Outcome Stream::submit(Work work) {
  if (error.code != 0) return error;
  if (capturing != nullptr) {
    capturing->works.push_back(std::move(work));
    return {};
  }
  error = work();
  return error;
}

Outcome submit(void* stream, Launch launch) {
  if (stream == nullptr) return run(launch);
  return static_cast<Stream*>(stream)->submit(std::move(launch));
}

}  // namespace emu
