// SPDX-License-Identifier: Apache-2.0
//
// What the tests ask of a device besides its kernels: memory, streams, graphs. emulated/device.cc
// and device/device.cc answer, each for its own program. A failure fails the present case.

#pragma once

#include <stdint.h>

#include <string>
#include <vector>

namespace tokamak::tests::device {

/** Full of bytes 0xff. */
void* allocate(int64_t bytes);
void release(void* memory);
void write(void* to, const void* from, int64_t bytes);
void read(void* to, const void* from, int64_t bytes);

void* create_stream();
void free_stream(void* stream);

struct Stream {
  Stream() : handle(create_stream()) {}
  ~Stream() { free_stream(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  void* const handle;
};

/** Waits for all that was sent to the stream. Fails too if something was written beside memory. */
void synchronize(void* stream);

void begin_capture(void* stream);
/** A graph of the launches since begin_capture. */
void* end_capture(void* stream);
void launch_graph(void* graph, void* stream);
void free_graph(void* graph);

/** How a device may run threads and copies. An emulated one offers a choice, another just its own. */
struct Schedule {
  std::string name;  // "order lifo, copies eager"
  int order = 0, copies = 0;
  uint64_t seed = 0;
};

/** The options of a test program that choose among the schedules. */
std::vector<std::string> option_names();

/** Where the option of a name is empty, every choice of it. The first few of them bring most
 *  mistakes to light. */
std::vector<Schedule> schedules(const std::string& order, const std::string& copies, uint64_t seed);

/** For launches from now on. */
void use(const Schedule& schedule);

}  // namespace tokamak::tests::device
