// SPDX-License-Identifier: Apache-2.0

#include "stream.h"

#include "settings.h"

namespace emu {

Outcome Stream::submit(Work work) {
  if (error_.code != 0) return error_;
  if (recording_ != nullptr) {
    recording_->works.push_back(std::move(work));
    return {};
  }
  waiting_.push_back(std::move(work));
  return settings().streams == Streams::at_once ? synchronize() : Outcome{};
}

Outcome Stream::submit(const Graph& graph) {
  for (const Work& work : graph.works) {
    Outcome outcome = submit(work);
    if (outcome.code != 0) return outcome;
  }
  return {};
}

Outcome Stream::synchronize() {
  std::vector<Work> works;
  works.swap(waiting_);
  for (const Work& work : works) {
    if (error_.code == 0) error_ = work();
  }
  return error_;
}

Outcome submit(void* stream, Launch launch) {
  note(launch);
  if (stream == nullptr) return run(launch);
  return static_cast<Stream*>(stream)->submit([launch = std::move(launch)] { return run(launch); });
}

}  // namespace emu
