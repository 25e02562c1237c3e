// SPDX-License-Identifier: Apache-2.0
//
// The operations as data, and the table of kernels that one instruction-set level supplies.
//
// kernels.cc is compiled once per level, with -DTK_LEVEL_NAME=<name>, and defines <name>::kernels.
// What it includes (this file too) uses no standard-library templates, and its inline functions
// are static or in the level's namespace: of an inline function with external linkage the linker
// keeps one copy, and it may keep the one built for AVX-512.

#pragma once

#include <stdint.h>

#include "cache.h"
#include "tokamak/tokamak.h"
#include "train/kernels.h"

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
  bool packed;  // the table has the layout of pack.h, not that of the file
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
  int format;  // of the activations: what the rows of x are quantized to
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

/** Rows that one attention job handles together at most, by the query heads of each: about 64
 *  queries share what is read of the cache. Whole pages of rows where it can be: neighbours see as
 *  many. */
static constexpr int64_t attention_rows(int64_t group) {
  const int64_t rows = group < 64 ? 64 / group : 1;
  return rows < TK_PAGE_TOKENS ? rows : rows / TK_PAGE_TOKENS * TK_PAGE_TOKENS;
}

/** Positions that are summed apart from those before them and then merged, by whomever. */
constexpr int attention_chunk = 256;

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
  /** The same in parts, for one row: the sums of one chunk of the positions that it sees. */
  void (*attention_of_chunk)(const Attention&, const Batch&, int64_t head, int64_t row,
                             int64_t chunk, float* part, float* scratch);
  /** Floats of a part. */
  int64_t (*attention_part)(const Cache&, int64_t heads);
  /** The row's output, of the parts of all its chunks, one behind the other. */
  void (*attention_merge)(const Attention&, const Batch&, int64_t head, int64_t row, float* parts);

  /** The activation format that weights of a GGUF type are multiplied with. */
  int (*activation_format)(int type);
  /** Writes row `row` of `rows` into its place among the activations of a matmul; x is that row. */
  void (*quantize_row)(int format, const float* x, int64_t cols, int64_t row, int64_t rows,
                       void* activations);
  /** `rows` rows of activations times the groups of 16 weight rows first .. last-1. */
  void (*matmul)(const Matmul&, int64_t rows, const void* activations, int64_t first_group,
                 int64_t last_group);

  /** Whether all of x[count] are finite. */
  bool (*finite)(const float* x, int64_t count);

  /** pack_groups of pack.h, the same bytes. */
  void (*pack)(int type, int64_t rows, int64_t cols, const void* source, int64_t first,
               int64_t last, void* packed);

  const TrainKernels* train;

  // What tk_cpu_roofline times: see roofline.inl.h.
  int64_t (*read_all)(const void* memory, int64_t bytes);
  double (*multiply_floats)(int64_t rounds);
  double (*multiply_bytes)(int64_t rounds);
  double (*multiply_bf16)(int64_t rounds);  // null: the level has no such instruction
};

}  // namespace tokamak::cpu
