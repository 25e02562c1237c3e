// SPDX-License-Identifier: Apache-2.0
//
// Streams and graphs. A stream runs its work at once, unless it captures.

#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "emulator.h"

namespace emu {

using Work = std::function<Outcome()>;

struct Graph {
  std::vector<Work> works;
};

struct Stream {
  std::unique_ptr<Graph> capturing;  // null: it does not
  Outcome error;                     // of the first work that failed; the stream is lost then

  Outcome submit(Work work);
  Outcome submit(Launch launch);
};

}  // namespace emu
