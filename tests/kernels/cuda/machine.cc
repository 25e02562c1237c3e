// SPDX-License-Identifier: Apache-2.0

#include "machine.h"

#include <algorithm>

namespace tokamak::tests {
namespace {

/** A token, position or row that is none. */
constexpr int32_t nothing = -1;

}  // namespace

void expect_status(int status, int wanted, const char* what) {
  if (status != wanted) {
    fail("%s: status %d, expected %d: %s", what, status, wanted, tk_cuda_last_error());
  }
}

// ---- memory -------------------------------------------------------------------------------

void* Cuda::allocate(int64_t bytes) {
  return device::allocate(std::max<int64_t>(bytes, 1));  // nothing has an address, too
}
void Cuda::release(void* memory) { device::release(memory); }

void Cuda::write(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) device::write(to, from, bytes);
}

void Cuda::read(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) device::read(to, from, bytes);
}

// ---- weights ------------------------------------------------------------------------------

int64_t Cuda::packed_bytes(int type, int64_t rows, int64_t cols) {
  const int64_t bytes = tk_cuda_packed_bytes(type, rows, cols);
  if (bytes < 0) fail("packed bytes: %s", tk_cuda_last_error());
  return bytes;
}

void Cuda::pack(int type, int64_t rows, int64_t cols, const void* source, void* packed) {
  const device::Stream stream;
  device::use(manner_.schedule);
  expect_status(tk_cuda_pack(stream.handle, type, rows, cols, source, packed), TK_OK, "pack");
  device::synchronize(stream.handle);
}

int64_t Cuda::cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) {
  const int64_t bytes = tk_cuda_cache_bytes(type, layers, kv_heads, head_dim, pages);
  if (bytes < 0) fail("cache bytes: %s", tk_cuda_last_error());
  return bytes;
}

std::unique_ptr<Program> Cuda::program(int rows, int outputs, int sequences, int pages) {
  return std::make_unique<Launches>(*this, rows, outputs, sequences, pages);
}

// ---- launches -----------------------------------------------------------------------------

Launches::Launches(Cuda& machine, int rows, int outputs, int sequence_count, int page_count)
    : Program(rows, outputs, sequence_count, page_count),
      machine_(machine),
      rows_(rows + machine.manner().spare),
      outputs_(outputs + machine.manner().spare),
      pages_of_sequence_(page_count),
      counts_(machine, 2),
      device_tokens_(machine, rows_),
      device_positions_(machine, rows_),
      device_sequences_(machine, rows_),
      device_outputs_(machine, outputs_),
      device_pages_(machine, sequence_count * page_count),
      handle_(tk_cuda_step_create(stream_.handle, rows_, outputs_, counts_.data(),
                                  device_tokens_.data(), device_positions_.data(),
                                  device_sequences_.data(), device_outputs_.data(),
                                  device_pages_.data(), sequence_count, page_count)) {
  if (handle_ == nullptr) fail("step: %s", tk_cuda_last_error());
}

Launches::~Launches() {
  if (graph_ != nullptr) device::free_graph(graph_);
  tk_cuda_step_free(handle_);
}

void Launches::cache(int type, int layers, int kv_heads, int head_dim, int page_count,
                     void* memory) {
  expect_status(tk_cuda_cache(handle_, type, layers, kv_heads, head_dim, page_count, memory), TK_OK,
                "cache");
  head_dim_ = head_dim;
}

void Launches::embed(int type, int64_t vocab, int64_t dim, const void* table, float* out) {
  keep("embed", [=, this] { return tk_cuda_embed(handle_, type, vocab, dim, table, out); });
}
void Launches::embed_packed(int type, int64_t vocab, int64_t dim, const void* packed, float* out) {
  keep("embed_packed",
       [=, this] { return tk_cuda_embed_packed(handle_, type, vocab, dim, packed, out); });
}
void Launches::norm(int rows, const float* x, int64_t width, const float* weight, int64_t dim,
                    float epsilon, float* out) {
  keep("norm",
       [=, this] { return tk_cuda_norm(handle_, rows, x, width, weight, dim, epsilon, out); });
}
void Launches::matmul(int rows, const float* x, int64_t cols, int type, const void* packed,
                      int64_t out_dim, const float* bias, float* out) {
  keep("matmul", [=, this] {
    return tk_cuda_matmul(handle_, rows, x, cols, type, packed, out_dim, bias, out);
  });
}
void Launches::rope(float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim, int pairing,
                    const float* table, int64_t table_rows) {
  keep("rope", [=, this] {
    return tk_cuda_rope(handle_, x, heads, head_dim, rotary_dim, pairing, table, table_rows);
  });
}
void Launches::store(int layer, const float* k, const float* v) {
  keep("store", [=, this] { return tk_cuda_store(handle_, layer, k, v); });
}
void Launches::rope_store(int layer, float* q, int64_t heads, float* k, const float* v,
                          int64_t rotary_dim, int pairing, const float* table,
                          int64_t table_rows) {
  keep("rope_store", [=, this] {
    return tk_cuda_rope_store(handle_, layer, q, heads, k, v, rotary_dim, pairing, table,
                              table_rows);
  });
}
void Launches::attention(int layer, const float* q, int64_t heads, float scale, float* out) {
  const int64_t bytes = tk_cuda_attention_bytes(
      rows_, heads, head_dim_, static_cast<int64_t>(pages_of_sequence_) * TK_PAGE_TOKENS);
  if (bytes < 0) fail("attention bytes: %s", tk_cuda_last_error());
  scratch_.emplace_back(machine_, bytes);
  void* const scratch = scratch_.back().data();
  keep("attention",
       [=, this] { return tk_cuda_attention(handle_, layer, q, heads, scale, scratch, out); });
}
void Launches::gate(int rows, const float* gate, const float* up, int64_t width, float* out) {
  keep("gate", [=, this] { return tk_cuda_gate(handle_, rows, gate, up, width, out); });
}
void Launches::add(int rows, float* x, const float* y, int64_t width) {
  keep("add", [=, this] { return tk_cuda_add(handle_, rows, x, y, width); });
}
void Launches::select(const float* x, int64_t width, float* out) {
  keep("select", [=, this] { return tk_cuda_select(handle_, x, width, out); });
}
void Launches::check(int rows, const float* x, int64_t width, int32_t operation, int32_t* failed) {
  keep("check", [=, this] { return tk_cuda_check(handle_, rows, x, width, operation, failed); });
}

void Launches::keep(const char* name, std::function<int()> launch) {
  operations_.push_back({name, std::move(launch)});
}

void Launches::launch() const {
  for (const Operation& operation : operations_) {
    expect_status(operation.launch(), TK_OK, operation.name);
  }
}

void Launches::send(const std::vector<int32_t>& from, int count, Array<int32_t>& to) {
  std::vector<int32_t> all(static_cast<size_t>(to.count()), nothing);
  std::copy_n(from.begin(), count, all.begin());
  to.write(all.data(), to.count());
}

void Launches::step(int n, int m) {
  device::use(machine_.manner().schedule);
  if (machine_.manner().graph && graph_ == nullptr) {
    device::begin_capture(stream_.handle);
    launch();
    graph_ = device::end_capture(stream_.handle);
  }
  send({n, m}, 2, counts_);
  send(tokens, n, device_tokens_);
  send(positions, n, device_positions_);
  send(sequences, n, device_sequences_);
  send(outputs, m, device_outputs_);
  send(pages, static_cast<int>(pages.size()), device_pages_);
  if (graph_ != nullptr) {
    device::launch_graph(graph_, stream_.handle);
  } else {
    launch();
  }
  device::synchronize(stream_.handle);
}

}  // namespace tokamak::tests
