// SPDX-License-Identifier: Apache-2.0
//
// The emulated device: memory is that of this process.

#include "../device.h"

#include <utility>

#include "../../harness.h"
#include "host/emulated_driver.h"

namespace tokamak::tests::device {
namespace {

constexpr const char* orders[] = {"fifo", "lifo", "random"};
constexpr const char* copies[] = {"late", "eager", "mixed"};

void expect(bool good, const char* what) {
  if (!good) fail("%s: emulator: %s", what, tk_emulated_last_error());
}

/** The number of a name in a list; -1: the name is empty. */
int chosen(const char* option, const char* const (&names)[3], const std::string& name) {
  for (int i = 0; i < 3; i++) {
    if (name == names[i]) return i;
  }
  if (!name.empty()) {
    fail("%s %s: must be %s, %s or %s", option, name.c_str(), names[0], names[1], names[2]);
  }
  return -1;
}

}  // namespace

void* allocate(int64_t bytes) {
  void* const memory = tk_emulated_allocate(bytes);
  expect(memory != nullptr, "allocate");
  return memory;
}
void release(void* memory) { tk_emulated_free(memory); }
void write(void* to, const void* from, int64_t bytes) {
  expect(tk_emulated_copy(nullptr, to, from, bytes) == 0, "write");
}
void read(void* to, const void* from, int64_t bytes) {
  expect(tk_emulated_copy(nullptr, to, from, bytes) == 0, "read");
}

void* create_stream() { return tk_emulated_stream_create(); }
void free_stream(void* stream) { tk_emulated_stream_free(stream); }
void synchronize(void* stream) { expect(tk_emulated_synchronize(stream) == 0, "step"); }

void begin_capture(void* stream) { expect(tk_emulated_capture_begin(stream) == 0, "capture"); }
void* end_capture(void* stream) { return tk_emulated_capture_end(stream); }
void launch_graph(void* graph, void* stream) {
  expect(tk_emulated_graph_launch(graph, stream) == 0, "graph");
}
void free_graph(void* graph) { tk_emulated_graph_free(graph); }

std::vector<std::string> option_names() { return {"--order", "--copies"}; }

std::vector<Schedule> schedules(const std::string& order, const std::string& copy, uint64_t seed) {
  // Each order with each kind of copies, those first that differ in both.
  std::vector<Schedule> all;
  const int only_order = chosen("--order", orders, order), only_copies = chosen("--copies", copies, copy);
  for (int shift = 0; shift < 3; shift++) {
    for (int i = 0; i < 3; i++) {
      const int j = (i + shift) % 3;
      if ((only_order >= 0 && only_order != i) || (only_copies >= 0 && only_copies != j)) continue;
      all.push_back({std::string("order ") + orders[i] + ", copies " + copies[j], i, j, seed});
    }
  }
  return all;
}

void use(const Schedule& schedule) {
  // Where copies are late, so are launches: they wait for the end of the step.
  const int streams = schedule.copies == 0;
  expect(tk_emulated_settings(schedule.order, schedule.copies, streams,
                              static_cast<int64_t>(schedule.seed)) == 0,
         "settings");
}

}  // namespace tokamak::tests::device
