// SPDX-License-Identifier: Apache-2.0
//
// Streams and graphs.

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

/** Runs work in the order in which it comes, at once or at the next synchronize (settings.h). */
class Stream {
 public:
  /** The outcome of earlier work if that failed, of this where it runs at once. */
  Outcome submit(Work work);
  Outcome submit(const Graph& graph);
  Outcome synchronize();
  bool capturing() const { return recording_ != nullptr; }
  void begin_capture() { recording_ = std::make_unique<Graph>(); }
  std::unique_ptr<Graph> end_capture() { return std::move(recording_); }
  /** The error of the first work that failed: the stream is lost then. */
  const Outcome& error() const { return error_; }
  void lose(Outcome error) { error_ = std::move(error); }

 private:
  std::unique_ptr<Graph> recording_;
  std::vector<Work> waiting_;
  Outcome error_;
};

}  // namespace emu
