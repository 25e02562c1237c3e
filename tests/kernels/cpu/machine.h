// SPDX-License-Identifier: Apache-2.0
//
// The CPU kernels as a machine: a team of threads, and its tapes.

#pragma once

#include "../machine.h"
#include "tokamak/tokamak.h"

namespace tokamak::tests {

/** Fails with the library's message unless status is `wanted`. */
void expect_status(int status, int wanted, const char* what);

class Team {
 public:
  Team(int level, int threads, const int32_t* cpus = nullptr)
      : handle(tk_cpu_team_create(level, threads, cpus)) {
    if (handle == nullptr) fail("team: %s", tk_last_error());
  }
  ~Team() { tk_cpu_team_free(handle); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  tk_team* const handle;
};

class Tape : public Program {
 public:
  Tape(const Team& team, int max_rows, int max_outputs, int sequences = 1, int pages = 1);
  ~Tape() override { tk_cpu_tape_free(handle); }

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
  void step(int n, int m) override;

  tk_tape* handle;

 private:
  int kv_heads_ = 0, head_dim_ = 0;  // of the cache
};

class Cpu : public Machine {
 public:
  Cpu(int level, int threads) : team_(level, threads) {}

  void* allocate(int64_t bytes) override;
  void release(void* memory) override;
  void write(void* to, const void* from, int64_t bytes) override;
  void read(void* to, const void* from, int64_t bytes) override;
  int64_t packed_bytes(int type, int64_t rows, int64_t cols) override;
  void pack(int type, int64_t rows, int64_t cols, const void* source, void* packed) override;
  int64_t cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) override;
  std::unique_ptr<Program> program(int rows, int outputs, int sequences, int pages) override;
  Products products() const override { return Products::float32; }

 private:
  Team team_;
};

/** A test that no table describes. */
struct Scenario {
  const char* name;
  void (*run)(int level, uint64_t seed);
};
extern const std::vector<Scenario> team_scenarios, tape_scenarios, pack_scenarios, gemm_scenarios;

}  // namespace tokamak::tests
