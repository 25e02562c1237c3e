// SPDX-License-Identifier: Apache-2.0
//
// A CUDA device, emulated or not, as a machine: operations are launches on a stream, or nodes of a
// graph that is launched again and again.

#pragma once

#include <functional>

#include "../machine.h"
#include "device.h"
#include "tokamak/tokamak_cuda.h"

namespace tokamak::tests {

/** Fails with the library's message unless status is `wanted`. */
void expect_status(int status, int wanted, const char* what);

class Cuda : public Machine {
 public:
  struct Manner {
    device::Schedule schedule;
    int spare = 0;       // rows that a step may have beyond those it is asked for
    bool graph = false;  // captures the first step, and launches the graph for every step
  };
  explicit Cuda(const Manner& manner) : manner_(manner) {}

  void* allocate(int64_t bytes) override;
  void release(void* memory) override;
  void write(void* to, const void* from, int64_t bytes) override;
  void read(void* to, const void* from, int64_t bytes) override;
  int64_t packed_bytes(int type, int64_t rows, int64_t cols) override;
  void pack(int type, int64_t rows, int64_t cols, const void* source, void* packed) override;
  int64_t cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) override;
  std::unique_ptr<Program> program(int rows, int outputs, int sequences, int pages) override;
  Products products() const override { return Products::bf16_parts; }

  const Manner& manner() const { return manner_; }

 private:
  const Manner manner_;
};

/** Launches of one step. Operations are kept, and run at each step. */
class Launches : public Program {
 public:
  Launches(Cuda& machine, int rows, int outputs, int sequences, int pages);
  ~Launches() override;

  void cache(int type, int layers, int kv_heads, int head_dim, int pages, void* memory) override;
  void embed(int type, int64_t vocab, int64_t dim, const void* table, float* out) override;
  void embed_packed(int type, int64_t vocab, int64_t dim, const void* packed, float* out) override;
  void norm(int rows, const float* x, int64_t width, const float* weight, int64_t dim,
            float epsilon, float* out) override;
  void matmul(int rows, const float* x, int64_t cols, int type, const void* packed,
              int64_t out_dim, const float* bias, float* out) override;
  void rope(float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim, int pairing,
            const float* table, int64_t table_rows) override;
  void store(int layer, const float* k, const float* v) override;
  void rope_store(int layer, float* q, int64_t heads, float* k, const float* v, int64_t rotary_dim,
                  int pairing, const float* table, int64_t table_rows) override;
  void attention(int layer, const float* q, int64_t heads, float scale, float* out) override;
  void gate(int rows, const float* gate, const float* up, int64_t width, float* out) override;
  void add(int rows, float* x, const float* y, int64_t width) override;
  void select(const float* x, int64_t width, float* out) override;
  /** Kept like the others: see tk_cuda_check. */
  void check(int rows, const float* x, int64_t width, int32_t operation, int32_t* failed);
  void step(int n, int m) override;

  tk_cuda_step* handle() const { return handle_; }
  /** Appends a launch that is none of the above. */
  void keep(const char* name, std::function<int()> launch);
  void* stream() const { return stream_.handle; }

 private:
  struct Operation {
    const char* name;
    std::function<int()> launch;
  };

  void launch() const;
  static void send(const std::vector<int32_t>& from, int count, Array<int32_t>& to);

  Cuda& machine_;
  const int rows_, outputs_, pages_of_sequence_;
  Array<int32_t> counts_, device_tokens_, device_positions_, device_sequences_, device_outputs_,
      device_pages_;
  const device::Stream stream_;
  tk_cuda_step* const handle_;
  std::vector<Operation> operations_;
  std::vector<Array<uint8_t>> scratch_;
  int head_dim_ = 0;  // of the cache
  void* graph_ = nullptr;
};

}  // namespace tokamak::tests
