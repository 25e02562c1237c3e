// SPDX-License-Identifier: Apache-2.0
//
// The operations as data, and the table of kernels that one instruction-set level supplies.
//
// kernels.cc is compiled once per level, with -DTK_LEVEL_NAME=<name>, and defines
// tokamak::cpu::<name>::kernels. What it includes (this file too) uses no standard-library
// templates, and its inline functions are static or in the level's namespace: of an inline
// function with external linkage the linker keeps one copy, and it may keep the one built for
// AVX-512.

#pragma once

#include <stdint.h>

#include "cache.h"
#include "tokamak/tokamak.h"

namespace tokamak::cpu {

/** The batch of a step: see tk_cpu_tape_create. All values were checked. */
struct Batch {
  const int32_t* tokens;
  const int32_t* positions;
  const int32_t* sequences;
  const int32_t* outputs;
  const int32_t* page_table;  // [max_sequences, pages_per_sequence]
  int max_sequences;
  int pages_per_sequence;
};

/** The page numbers of a row's sequence. */
static inline const int32_t* pages_of(const Batch& batch, int64_t row) {
  return batch.page_table + static_cast<int64_t>(batch.sequences[row]) * batch.pages_per_sequence;
}

// The operands of each operation, as in tokamak.h. Addresses are of row 0.

struct Embed {
  int type;
  int64_t vocab, dim, row_bytes;
  const char* table;
  float* out;
};

struct Norm {
  const float* x;
  float* out;
  const float* weight;
  int64_t width, dim;
  float epsilon;
};

struct Matmul {
  const float* x;
  int64_t cols;
  int type;
  int activations;  // the format that the rows of x are quantized to
  const void* packed;
  int64_t out_dim;
  const float* bias;  // null: none
  float* out;
};

struct Rope {
  float* x;
  int64_t heads, head_dim, rotary_dim;
  int pairing;
  const float* table;
  int64_t table_rows;
};

struct Store {
  Cache cache;
  int layer;
  const float* k;
  const float* v;
};

struct Attention {
  Cache cache;
  int layer;
  const float* q;
  int64_t heads;
  float scale;
  float* out;
};

struct Gate {
  const float* gate;
  const float* up;
  float* out;
  int64_t width;
};

struct Add {
  float* x;
  const float* y;
  int64_t width;
};

struct Select {
  const float* x;
  float* out;
  int64_t width;
};

/** Rows that one attention job handles together: they share the pages they read. */
constexpr int attention_rows = 4;

/** What a level supplies. A row is a row of the operation's domain (step or outputs). */
struct Kernels {
  void (*embed)(const Embed&, const Batch&, int64_t row);
  void (*norm)(const Norm&, int64_t row);
  void (*rope)(const Rope&, const Batch&, int64_t row);
  void (*store)(const Store&, const Batch&, int64_t row);
  void (*gate)(const Gate&, int64_t row);
  void (*add)(const Add&, int64_t row);
  void (*select)(const Select&, const Batch&, int64_t row);

  /** Rows first .. last-1, at most attention_rows, of one key-value head. */
  void (*attention)(const Attention&, const Batch&, int64_t head, int64_t first, int64_t last,
                    float* scratch);
  /** Floats of scratch that one thread needs for it. */
  int64_t (*attention_scratch)(const Cache&, int64_t heads);

  /** Weights [rows, cols]: the format that a matmul of this type wants the rows of x in; -1: type
   *  or shape not supported. */
  int (*activation_format)(int type, int64_t cols);
  /** Bytes of a quantized row of x; 0: the format is float32, and x is read as it is. */
  int64_t (*activation_bytes)(int format, int64_t cols);
  void (*quantize_row)(int format, const float* x, int64_t cols, void* out);
  int64_t (*packed_bytes)(int type, int64_t rows, int64_t cols);
  /** Packs and multiplies by groups of weight rows, numbered from 0. */
  int64_t (*row_groups)(int64_t rows);
  void (*pack)(int type, int64_t rows, int64_t cols, const void* source, void* packed,
               int64_t first_group, int64_t last_group);
  /** `rows` rows of x; activations: those rows, quantized one after the other. */
  void (*matmul)(const Matmul&, int64_t rows, const void* activations, int64_t first_group,
                 int64_t last_group);

  /** Whether all of x[count] are finite. */
  bool (*finite)(const float* x, int64_t count);
};

}  // namespace tokamak::cpu
