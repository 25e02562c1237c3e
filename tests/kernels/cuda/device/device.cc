// SPDX-License-Identifier: Apache-2.0
//
// The present CUDA device. What kernels write beside memory, compute-sanitizer finds.

#include "../device.h"

#include <cuda_runtime_api.h>

#include "../../harness.h"

namespace tokamak::tests::device {
namespace {

void expect(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail("%s: %s", what, cudaGetErrorString(error));
}

cudaStream_t of(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaGraphExec_t graph_of(void* graph) { return static_cast<cudaGraphExec_t>(graph); }

}  // namespace

void* allocate(int64_t bytes) {
  void* memory = nullptr;
  expect(cudaMalloc(&memory, static_cast<size_t>(bytes)), "cudaMalloc");
  expect(cudaMemset(memory, 0xff, static_cast<size_t>(bytes)), "cudaMemset");
  return memory;
}
void release(void* memory) { cudaFree(memory); }
void write(void* to, const void* from, int64_t bytes) {
  expect(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice), "cudaMemcpy");
}
void read(void* to, const void* from, int64_t bytes) {
  expect(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost), "cudaMemcpy");
}

void* create_stream() {
  cudaStream_t stream = nullptr;
  expect(cudaStreamCreate(&stream), "cudaStreamCreate");
  return stream;
}
void free_stream(void* stream) { cudaStreamDestroy(of(stream)); }
void synchronize(void* stream) { expect(cudaStreamSynchronize(of(stream)), "cudaStreamSynchronize"); }

void begin_capture(void* stream) {
  // Relaxed, as in the product: the first launch of a kernel loads its code, which stricter modes
  // forbid.
  expect(cudaStreamBeginCapture(of(stream), cudaStreamCaptureModeRelaxed),
         "cudaStreamBeginCapture");
}
void* end_capture(void* stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t made = nullptr;
  expect(cudaStreamEndCapture(of(stream), &graph), "cudaStreamEndCapture");
  expect(cudaGraphInstantiate(&made, graph, 0), "cudaGraphInstantiate");
  cudaGraphDestroy(graph);
  return made;
}
void launch_graph(void* graph, void* stream) {
  expect(cudaGraphLaunch(graph_of(graph), of(stream)), "cudaGraphLaunch");
}
void free_graph(void* graph) { cudaGraphExecDestroy(graph_of(graph)); }

std::vector<std::string> option_names() { return {}; }

/** Threads run as the device likes: again and again, it may like something else. */
std::vector<Schedule> schedules(const std::string&, const std::string&, uint64_t) {
  return {{"first time"}, {"second time"}, {"third time"}};
}

void use(const Schedule&) {}

}  // namespace tokamak::tests::device
