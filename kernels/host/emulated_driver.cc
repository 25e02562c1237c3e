// SPDX-License-Identifier: Apache-2.0

#include "emulated_driver.h"

#include <cstdio>
#include <cstring>

#include "device_memory.h"
#include "settings.h"
#include "stream.h"

using namespace emu;

namespace {

constexpr int invalid_value = 1, capture_unsupported = 900;

thread_local char last_error[512];

int fail(int code, const char* message) {
  std::snprintf(last_error, sizeof last_error, "%s", message);
  return code;
}

int result(const Outcome& outcome) {
  return outcome.code == 0 ? 0 : fail(outcome.code, outcome.message.c_str());
}

Stream* as_stream(void* stream) { return static_cast<Stream*>(stream); }

int submit_work(void* stream, Work work) {
  return result(stream == nullptr ? work() : as_stream(stream)->submit(std::move(work)));
}

}  // namespace

const char* tk_emulated_last_error(void) { return last_error; }

int tk_emulated_settings(int order, int copies, int streams, int64_t seed) {
  if (order < 0 || order > 2) return fail(invalid_value, "order is 0, 1 or 2");
  if (copies < 0 || copies > 2) return fail(invalid_value, "copies is 0, 1 or 2");
  if (streams < 0 || streams > 1) return fail(invalid_value, "streams is 0 or 1");
  set({static_cast<Order>(order), static_cast<Copies>(copies), static_cast<Streams>(streams),
       static_cast<uint64_t>(seed)});
  return 0;
}

int tk_emulated_memory_limit(int64_t bytes) {
  if (bytes < 0) return fail(invalid_value, "a negative limit");
  device_memory().limit(bytes);
  return 0;
}

int64_t tk_emulated_memory_total(void) { return device_memory().total(); }
int64_t tk_emulated_memory_free(void) { return device_memory().left(); }

void tk_emulated_statistics(int64_t* out) {
  const Statistics taken = take_statistics();
  static_assert(sizeof taken == TK_EMULATED_STATISTICS * sizeof(int64_t));
  std::memcpy(out, &taken, sizeof taken);
}

void* tk_emulated_allocate(int64_t bytes) {
  void* address = device_memory().allocate(bytes);
  if (address == nullptr) fail(out_of_memory, "not enough device memory");
  return address;
}

int tk_emulated_free(void* address) {
  std::string message;
  const int code = device_memory().free(address, &message);
  return code == 0 ? 0 : fail(code, message.c_str());
}

void* tk_emulated_stream_create(void) { return new Stream; }

int tk_emulated_stream_free(void* stream) {
  if (stream == nullptr) return 0;
  const Outcome outcome = as_stream(stream)->synchronize();
  delete as_stream(stream);
  return result(outcome);
}

int tk_emulated_copy(void* stream, void* to, const void* from, int64_t bytes) {
  std::string message;
  if (bytes < 0 || !device_memory().fits(to, bytes, &message) ||
      !device_memory().fits(from, bytes, &message)) {
    return fail(invalid_value, ("copy of " + message).c_str());
  }
  return submit_work(stream, [=] {
    std::memmove(to, from, static_cast<size_t>(bytes));
    return Outcome{};
  });
}

int tk_emulated_set(void* stream, void* address, int value, int64_t bytes) {
  std::string message;
  if (bytes < 0 || !device_memory().fits(address, bytes, &message)) {
    return fail(invalid_value, ("set of " + message).c_str());
  }
  return submit_work(stream, [=] {
    std::memset(address, value, static_cast<size_t>(bytes));
    return Outcome{};
  });
}

int tk_emulated_synchronize(void* stream) {
  if (stream != nullptr) {
    if (as_stream(stream)->capturing()) {
      return fail(capture_unsupported, "the stream captures and cannot be synchronized");
    }
    const Outcome outcome = as_stream(stream)->synchronize();
    if (outcome.code != 0) return result(outcome);
  }
  std::string message;
  const int code = device_memory().check(&message);
  if (code == 0) return 0;
  if (stream != nullptr) as_stream(stream)->lose({code, message});
  return fail(code, message.c_str());
}

int tk_emulated_lose(void* stream, int error) {
  if (stream == nullptr || error == 0) return fail(invalid_value, "a stream and an error, please");
  as_stream(stream)->lose({error, "lost by request"});
  return 0;
}

int tk_emulated_capture_begin(void* stream) {
  if (stream == nullptr) return fail(capture_unsupported, "the null stream cannot capture");
  if (as_stream(stream)->error().code != 0) return result(as_stream(stream)->error());
  if (as_stream(stream)->capturing()) return fail(invalid_value, "the stream captures already");
  as_stream(stream)->begin_capture();
  return 0;
}

void* tk_emulated_capture_end(void* stream) {
  if (stream == nullptr || !as_stream(stream)->capturing()) {
    fail(invalid_value, "the stream does not capture");
    return nullptr;
  }
  return as_stream(stream)->end_capture().release();
}

int64_t tk_emulated_graph_size(const void* graph) {
  return static_cast<int64_t>(static_cast<const Graph*>(graph)->works.size());
}

int tk_emulated_graph_launch(void* graph, void* stream) {
  if (graph == nullptr || stream == nullptr) return fail(invalid_value, "no graph or no stream");
  return result(as_stream(stream)->submit(*static_cast<const Graph*>(graph)));
}

void tk_emulated_graph_free(void* graph) { delete static_cast<Graph*>(graph); }
