// SPDX-License-Identifier: Apache-2.0

#include "machine.h"

#include <string.h>

#include <cstdlib>

namespace tokamak::tests {

void expect_status(int status, int wanted, const char* what) {
  if (status != wanted) fail("%s: status %d, expected %d: %s", what, status, wanted, tk_last_error());
}

Tape::Tape(const Team& team, int max_rows, int max_outputs, int sequence_count, int page_count)
    : Program(max_rows, max_outputs, sequence_count, page_count),
      handle(tk_cpu_tape_create(team.handle, max_rows, max_outputs, tokens.data(),
                                positions.data(), sequences.data(), outputs.data(), pages.data(),
                                sequence_count, page_count)) {
  if (handle == nullptr) fail("tape: %s", tk_last_error());
}

void Tape::cache(int type, int layers, int kv_heads, int head_dim, int page_count, void* memory) {
  expect_status(tk_cpu_cache(handle, type, layers, kv_heads, head_dim, page_count, memory), TK_OK,
                "cache");
  kv_heads_ = kv_heads;
  head_dim_ = head_dim;
}
void Tape::embed(int type, int64_t vocab, int64_t dim, const void* table, float* out) {
  expect_status(tk_cpu_embed(handle, type, vocab, dim, table, out), TK_OK, "embed");
}
void Tape::embed_packed(int type, int64_t vocab, int64_t dim, const void* packed, float* out) {
  expect_status(tk_cpu_embed_packed(handle, type, vocab, dim, packed, out), TK_OK, "embed");
}
void Tape::norm(int rows, const float* x, int64_t width, const float* weight, int64_t dim,
                float epsilon, float* out) {
  expect_status(tk_cpu_norm(handle, rows, x, width, weight, dim, epsilon, out), TK_OK, "norm");
}
void Tape::matmul(int rows, const float* x, int64_t cols, int type, const void* packed,
                  int64_t out_dim, const float* bias, float* out) {
  expect_status(tk_cpu_matmul(handle, rows, x, cols, type, packed, out_dim, bias, out), TK_OK,
                "matmul");
}
void Tape::rope(float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim, int pairing,
                const float* table, int64_t table_rows) {
  expect_status(tk_cpu_rope(handle, x, heads, head_dim, rotary_dim, pairing, table, table_rows),
                TK_OK, "rope");
}
void Tape::store(int layer, const float* k, const float* v) {
  expect_status(tk_cpu_store(handle, layer, k, v), TK_OK, "store");
}
void Tape::rope_store(int layer, float* q, int64_t heads, float* k, const float* v,
                      int64_t rotary_dim, int pairing, const float* table, int64_t table_rows) {
  rope(q, heads, head_dim_, rotary_dim, pairing, table, table_rows);
  rope(k, kv_heads_, head_dim_, rotary_dim, pairing, table, table_rows);
  store(layer, k, v);
}
void Tape::attention(int layer, const float* q, int64_t heads, float scale, float* out) {
  expect_status(tk_cpu_attention(handle, layer, q, heads, scale, out), TK_OK, "attention");
}
void Tape::gate(int rows, const float* gate, const float* up, int64_t width, float* out) {
  expect_status(tk_cpu_gate(handle, rows, gate, up, width, out), TK_OK, "gate");
}
void Tape::add(int rows, float* x, const float* y, int64_t width) {
  expect_status(tk_cpu_add(handle, rows, x, y, width), TK_OK, "add");
}
void Tape::select(const float* x, int64_t width, float* out) {
  expect_status(tk_cpu_select(handle, x, width, out), TK_OK, "select");
}

void Tape::step(int n, int m) {
  const int status = tk_cpu_step(handle, n, m);
  if (status != TK_OK && status != TK_NOT_FINITE) fail("step: %s", tk_last_error());
}

void* Cpu::allocate(int64_t bytes) {
  void* const memory = std::malloc(static_cast<size_t>(bytes));
  if (memory == nullptr) fail("no memory for %lld bytes", static_cast<long long>(bytes));
  return memset(memory, 0xff, static_cast<size_t>(bytes));
}
void Cpu::release(void* memory) { std::free(memory); }
void Cpu::write(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) memcpy(to, from, static_cast<size_t>(bytes));
}
void Cpu::read(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) memcpy(to, from, static_cast<size_t>(bytes));
}

int64_t Cpu::packed_bytes(int type, int64_t rows, int64_t cols) {
  const int64_t bytes = tk_cpu_packed_bytes(type, rows, cols);
  if (bytes < 0) fail("packed bytes: %s", tk_last_error());
  return bytes;
}
void Cpu::pack(int type, int64_t rows, int64_t cols, const void* source, void* packed) {
  expect_status(tk_cpu_pack(team_.handle, type, rows, cols, source, packed), TK_OK, "pack");
}
int64_t Cpu::cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) {
  const int64_t bytes = tk_cpu_cache_bytes(type, layers, kv_heads, head_dim, pages);
  if (bytes < 0) fail("cache bytes: %s", tk_last_error());
  return bytes;
}

std::unique_ptr<Program> Cpu::program(int rows, int outputs, int sequences, int pages) {
  return std::make_unique<Tape>(team_, rows, outputs, sequences, pages);
}

}  // namespace tokamak::tests
