// SPDX-License-Identifier: Apache-2.0
//
// What runs operations: threads of this machine (cpu/), or a CUDA device, emulated or not (cuda/).
// Where a call below is refused, the present case fails with the library's message.

#pragma once

#include <stdint.h>

#include <memory>
#include <utility>
#include <vector>

#include "harness.h"

namespace tokamak::tests {

class Program;

class Machine {
 public:
  virtual ~Machine() = default;

  /** Memory that operations work on, full of bytes 0xff: NaN, whatever its type. */
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory) = 0;
  virtual void write(void* to, const void* from, int64_t bytes) = 0;
  virtual void read(void* to, const void* from, int64_t bytes) = 0;

  virtual int64_t packed_bytes(int type, int64_t rows, int64_t cols) = 0;
  virtual void pack(int type, int64_t rows, int64_t cols, const void* source, void* packed) = 0;
  virtual int64_t cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) = 0;

  /** An empty program for steps of at most `rows` rows and `outputs` outputs. */
  virtual std::unique_ptr<Program> program(int rows, int outputs, int sequences = 1,
                                           int pages = 1) = 0;
  virtual Products products() const = 0;
};

/** Memory of a machine for a number of values. */
template <typename T>
class Array {
 public:
  Array(Machine& machine, int64_t count)
      : machine_(machine),
        count_(count),
        memory_(static_cast<T*>(machine.allocate(count * size))) {}
  Array(Machine& machine, const std::vector<T>& values)
      : Array(machine, static_cast<int64_t>(values.size())) {
    write(values.data(), static_cast<int64_t>(values.size()));
  }
  Array(Array&& other)
      : machine_(other.machine_), count_(other.count_), memory_(std::exchange(other.memory_, nullptr)) {}
  ~Array() {
    if (memory_ != nullptr) machine_.release(memory_);
  }

  T* data() const { return memory_; }
  int64_t count() const { return count_; }
  void write(const T* from, int64_t count) { machine_.write(memory_, from, count * size); }
  std::vector<T> read() const { return read(count_); }
  std::vector<T> read(int64_t count) const {
    std::vector<T> values(static_cast<size_t>(count));
    machine_.read(values.data(), memory_, count * size);
    return values;
  }

 private:
  static constexpr int64_t size = sizeof(T);
  Machine& machine_;
  const int64_t count_;
  T* memory_;
};

/**
 * Operations in order, and the batch of the next step. They mean what tokamak.h and tokamak_cuda.h
 * say of the functions of these names. Pages lie in scattered order unless the caller moves them.
 */
class Program {
 public:
  Program(int rows, int outputs, int sequences, int pages);
  virtual ~Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  virtual void cache(int type, int layers, int kv_heads, int head_dim, int pages,
                     void* memory) = 0;
  virtual void embed(int type, int64_t vocab, int64_t dim, const void* table, float* out) = 0;
  virtual void embed_packed(int type, int64_t vocab, int64_t dim, const void* packed,
                            float* out) = 0;
  virtual void norm(int rows, const float* x, int64_t width, const float* weight, int64_t dim,
                    float epsilon, float* out) = 0;
  virtual void matmul(int rows, const float* x, int64_t cols, int type, const void* packed,
                      int64_t out_dim, const float* bias, float* out) = 0;
  virtual void rope(float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim, int pairing,
                    const float* table, int64_t table_rows) = 0;
  virtual void store(int layer, const float* k, const float* v) = 0;
  virtual void rope_store(int layer, float* q, int64_t heads, float* k, const float* v,
                          int64_t rotary_dim, int pairing, const float* table,
                          int64_t table_rows) = 0;
  virtual void attention(int layer, const float* q, int64_t heads, float scale, float* out) = 0;
  virtual void gate(int rows, const float* gate, const float* up, int64_t width, float* out) = 0;
  virtual void add(int rows, float* x, const float* y, int64_t width) = 0;
  virtual void select(const float* x, int64_t width, float* out) = 0;

  /** Runs the operations on n rows and m outputs; values that are not finite are the caller's to
   *  look at. */
  virtual void step(int n, int m) = 0;

  std::vector<int32_t> tokens, positions, sequences, outputs, pages;
};

}  // namespace tokamak::tests
