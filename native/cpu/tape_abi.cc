// SPDX-License-Identifier: Apache-2.0
//
// The ABI's functions of weights and tape: each checks what it is given, names what is wrong, and
// leaves the work to the tape and the team. Nothing here throws further than its caller.

#include <limits.h>

#include <algorithm>
#include <new>

#include "../status.h"
#include "check.h"
#include "pack.h"
#include "tape.h"

using namespace tokamak::cpu;
using tokamak::fail;

namespace {

/** Appends, turning what the library throws into a status. */
int append(const char* function, tk_tape* tape, const Operation& operation) {
  try {
    tape->append(operation);
    return TK_OK;
  } catch (const std::bad_alloc&) {
    return fail(TK_OUT_OF_MEMORY, "%s: no memory", function);
  }
}

struct BlockSize {
  int64_t elements, bytes;
};

/** Of a weight type; elements 0: no such type. */
BlockSize block_size(int type) {
  switch (type) {
#define TK_TYPE(name, number, elements, bytes) \
  case number:                                 \
    return {elements, bytes};
#include "tokamak/quant.def"
#undef TK_TYPE
    default:
      return {0, 0};
  }
}

Operation operation(Kind kind, int rows) {
  Operation made{};
  made.kind = kind;
  made.rows = rows;
  return made;
}

int embed(const char* function, tk_tape* tape, int type, int64_t vocab, int64_t dim,
          const void* table, bool packed, float* out) {
  const BlockSize block = block_size(type);
  Check check(function);
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .that(block.elements != 0, TK_UNSUPPORTED, "type is none of quant.def")
      .range("vocab", vocab, 1, INT_MAX)
      .width("dim", dim)
      .that(table != nullptr, TK_BAD_ARGUMENT, "table is null")
      .pointer("out", out);
  if (check.status() == TK_OK) check.multiple("dim", dim, "block", block.elements);
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::embed, TK_ROWS_STEP);
  op.embed = {type, vocab, dim, dim / block.elements * block.bytes,
              static_cast<const char*>(table), packed, out};
  return append(function, tape, op);
}

}  // namespace

// ---- weights ------------------------------------------------------------------------------

int64_t tk_cpu_packed_bytes(int type, int64_t rows, int64_t cols) {
  const char* const function = "tk_cpu_packed_bytes";
  Check check(function);
  check.width("rows", rows).width("cols", cols);
  if (check.status() != TK_OK) return -1;
  const int64_t bytes = packed_bytes(type, rows, cols);
  if (bytes < 0) {
    fail(TK_UNSUPPORTED, "%s: no layout for type=%d, rows=%lld, cols=%lld", function, type,
         static_cast<Long>(rows), static_cast<Long>(cols));
  }
  return bytes;
}

int tk_cpu_pack(tk_team* team, int type, int64_t rows, int64_t cols, const void* source,
                void* packed) {
  Check check("tk_cpu_pack");
  check.that(team != nullptr, TK_BAD_ARGUMENT, "team is null")
      .that(source != nullptr, TK_BAD_ARGUMENT, "source is null")
      .that(packed != nullptr, TK_BAD_ARGUMENT, "packed is null");
  if (check.status() != TK_OK) return check.status();
  if (tk_cpu_packed_bytes(type, rows, cols) < 0) return TK_UNSUPPORTED;

  struct Packing {
    decltype(Kernels::pack) pack;
    int type;
    int64_t rows, cols, groups, chunk;
    const void* source;
    void* packed;
    Claims claims;
  };
  const int64_t groups = row_groups(rows);
  Packing packing{team->kernels->pack, type,   rows,   cols,    groups,
                  std::clamp<int64_t>(groups / 64, 1, 16), source, packed, Claims{}};
  return team->run(
      [](void* context, int) {
        Packing& p = *static_cast<Packing*>(context);
        for (int64_t first; (first = p.claims.take(p.chunk)) < p.groups;) {
          p.pack(p.type, p.rows, p.cols, p.source, first, std::min(first + p.chunk, p.groups),
                 p.packed);
        }
      },
      &packing);
}

// ---- tape ---------------------------------------------------------------------------------

tk_tape* tk_cpu_tape_create(tk_team* team, int max_rows, int max_outputs, const int32_t* tokens,
                            const int32_t* positions, const int32_t* sequences,
                            const int32_t* outputs, const int32_t* page_table, int max_sequences,
                            int pages_per_sequence) {
  const char* const function = "tk_cpu_tape_create";
  Check check(function);
  check.that(team != nullptr, TK_BAD_ARGUMENT, "team is null")
      .range("max_rows", max_rows, 1, most_rows)
      .range("max_outputs", max_outputs, 1, max_rows)
      .pointer("tokens", tokens)
      .pointer("positions", positions)
      .pointer("sequences", sequences)
      .pointer("outputs", outputs)
      .pointer("page_table", page_table)
      .range("max_sequences", max_sequences, 1, most_rows)
      .range("pages_per_sequence", pages_per_sequence, 1, INT_MAX / TK_PAGE_TOKENS);
  if (check.status() != TK_OK) return nullptr;
  auto* tape = new (std::nothrow) tk_tape{};
  if (tape == nullptr) {
    fail(TK_OUT_OF_MEMORY, "%s: no memory", function);
    return nullptr;
  }
  tape->team = team;
  tape->max_rows = max_rows;
  tape->max_outputs = max_outputs;
  tape->batch = {tokens,     positions,     sequences,         outputs,
                 page_table, max_sequences, pages_per_sequence};
  return tape;
}

void tk_cpu_tape_free(tk_tape* tape) { delete tape; }

int64_t tk_cpu_cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages) {
  const char* const function = "tk_cpu_cache_bytes";
  Check check(function);
  check.range("layers", layers, 1, most_rows)
      .range("kv_heads", kv_heads, 1, most_rows)
      .range("head_dim", head_dim, 1, most_rows)
      .range("pages", pages, 1, INT_MAX)
      .that(cache_value_bytes(type) != 0, TK_UNSUPPORTED,
            "no cache of this type: must be F32, F16, BF16 or Q8_0");
  if (type == TYPE_Q8_0) check.multiple("head_dim", head_dim, "block", cache_block);
  if (check.status() != TK_OK) return -1;
  int64_t bytes = tile_layout(type, head_dim).bytes;
  if (__builtin_mul_overflow(bytes, static_cast<int64_t>(layers) * kv_heads, &bytes) ||
      __builtin_mul_overflow(bytes, static_cast<int64_t>(pages), &bytes)) {
    fail(TK_BAD_ARGUMENT, "%s: layers=%d, kv_heads=%d, head_dim=%d, pages=%d: too large", function,
         layers, kv_heads, head_dim, pages);
    return -1;
  }
  return bytes;
}

int tk_cpu_cache(tk_tape* tape, int type, int layers, int kv_heads, int head_dim, int pages,
                 void* memory) {
  Check check("tk_cpu_cache");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .pointer("memory", static_cast<const float*>(memory));
  if (check.status() != TK_OK) return check.status();
  check.that(tape->cache.memory == nullptr, TK_BAD_ARGUMENT, "the tape has a cache already");
  if (check.status() != TK_OK) return check.status();
  if (tk_cpu_cache_bytes(type, layers, kv_heads, head_dim, pages) < 0) return TK_BAD_ARGUMENT;
  tape->cache = {type,
                 layers,
                 kv_heads,
                 head_dim,
                 pages,
                 tile_layout(type, head_dim).bytes,
                 static_cast<char*>(memory)};
  return TK_OK;
}

int tk_cpu_watch(tk_tape* tape, const int32_t* stop) {
  Check check("tk_cpu_watch");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null").pointer("stop", stop);
  if (check.status() != TK_OK) return check.status();
  tape->stop = stop;
  return TK_OK;
}

int tk_cpu_embed(tk_tape* tape, int type, int64_t vocab, int64_t dim, const void* table,
                 float* out) {
  return embed("tk_cpu_embed", tape, type, vocab, dim, table, false, out);
}

int tk_cpu_embed_packed(tk_tape* tape, int type, int64_t vocab, int64_t dim, const void* packed,
                        float* out) {
  return embed("tk_cpu_embed_packed", tape, type, vocab, dim, packed, true, out);
}

int tk_cpu_norm(tk_tape* tape, int rows, const float* x, int64_t width, const float* weight,
                int64_t dim, float epsilon, float* out) {
  Check check("tk_cpu_norm");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .rows(rows)
      .pointer("x", x)
      .width("width", width)
      .pointer("weight", weight)
      .width("dim", dim)
      .pointer("out", out);
  if (check.status() == TK_OK) check.multiple("width", width, "dim", dim);
  check.that(epsilon >= 0 && epsilon < 1e30f, TK_BAD_ARGUMENT,
             "epsilon must be finite and not negative");
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::norm, rows);
  op.norm = {x, out, weight, width, dim, epsilon};
  return append("tk_cpu_norm", tape, op);
}

int tk_cpu_matmul(tk_tape* tape, int rows, const float* x, int64_t cols, int type,
                  const void* packed, int64_t out_dim, const float* bias, float* out) {
  Check check("tk_cpu_matmul");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .rows(rows)
      .pointer("x", x)
      .width("cols", cols)
      .that(packed != nullptr, TK_BAD_ARGUMENT, "packed is null")
      .width("out_dim", out_dim)
      .optional("bias", bias)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  if (tk_cpu_packed_bytes(type, out_dim, cols) < 0) {
    return fail(TK_UNSUPPORTED, "tk_cpu_matmul: no kernel for type=%d, out_dim=%lld, cols=%lld",
                type, static_cast<Long>(out_dim), static_cast<Long>(cols));
  }
  const int64_t most = rows == TK_ROWS_OUTPUTS ? tape->max_outputs : tape->max_rows;
  check.that(out + most * out_dim <= x || x + most * cols <= out, TK_BAD_ARGUMENT,
             "out overlaps x");
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::matmul, rows);
  op.matmul = {x,      cols,    type, tape->team->kernels->activation_format(type),
               packed, out_dim, bias, out};
  return append("tk_cpu_matmul", tape, op);
}

int tk_cpu_rope(tk_tape* tape, float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim,
                int pairing, const float* table, int64_t table_rows) {
  Check check("tk_cpu_rope");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .pointer("x", x)
      .range("heads", heads, 1, most_rows)
      .range("head_dim", head_dim, 1, most_rows)
      .width("heads * head_dim", heads * head_dim)
      .range("rotary_dim", rotary_dim, 2, head_dim)
      .multiple("rotary_dim", rotary_dim, "a pair", 2)
      .range("pairing", pairing, TK_PAIRING_INTERLEAVED, TK_PAIRING_HALF_SPLIT)
      .pointer("table", table)
      .range("table_rows", table_rows, 1, INT_MAX);
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::rope, TK_ROWS_STEP);
  op.rope = {x, heads, head_dim, rotary_dim, pairing, table, table_rows};
  return append("tk_cpu_rope", tape, op);
}

int tk_cpu_store(tk_tape* tape, int layer, const float* k, const float* v) {
  Check check("tk_cpu_store");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .that(tape != nullptr && tape->cache.memory != nullptr, TK_BAD_ARGUMENT,
            "the tape has no cache: call tk_cpu_cache first")
      .pointer("k", k)
      .pointer("v", v);
  if (check.status() == TK_OK) check.range("layer", layer, 0, tape->cache.layers - 1);
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::store, TK_ROWS_STEP);
  op.store = {tape->cache, layer, k, v};
  return append("tk_cpu_store", tape, op);
}

int tk_cpu_attention(tk_tape* tape, int layer, const float* q, int64_t heads, float scale,
                     float* out) {
  Check check("tk_cpu_attention");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .that(tape != nullptr && tape->cache.memory != nullptr, TK_BAD_ARGUMENT,
            "the tape has no cache: call tk_cpu_cache first")
      .pointer("q", q)
      .range("heads", heads, 1, most_rows)
      .that(__builtin_isfinite(scale), TK_BAD_ARGUMENT, "scale must be finite")
      .pointer("out", out);
  if (check.status() == TK_OK) {
    check.range("layer", layer, 0, tape->cache.layers - 1)
        .multiple("heads", heads, "kv_heads", tape->cache.kv_heads)
        .width("heads * head_dim", heads * tape->cache.head_dim);
  }
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::attention, TK_ROWS_STEP);
  op.attention = {tape->cache, layer, q, heads, scale, out};
  return append("tk_cpu_attention", tape, op);
}

int tk_cpu_gate(tk_tape* tape, int rows, const float* gate, const float* up, int64_t width,
                float* out) {
  Check check("tk_cpu_gate");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .rows(rows)
      .pointer("gate", gate)
      .pointer("up", up)
      .width("width", width)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::gate, rows);
  op.gate = {gate, up, out, width};
  return append("tk_cpu_gate", tape, op);
}

int tk_cpu_add(tk_tape* tape, int rows, float* x, const float* y, int64_t width) {
  Check check("tk_cpu_add");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .rows(rows)
      .pointer("x", x)
      .pointer("y", y)
      .width("width", width);
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::add, rows);
  op.add = {x, y, width};
  return append("tk_cpu_add", tape, op);
}

int tk_cpu_select(tk_tape* tape, const float* x, int64_t width, float* out) {
  Check check("tk_cpu_select");
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null")
      .pointer("x", x)
      .width("width", width)
      .pointer("out", out);
  if (check.status() != TK_OK) return check.status();
  check.that(out + tape->max_outputs * width <= x || x + tape->max_rows * width <= out,
             TK_BAD_ARGUMENT, "out overlaps x");
  if (check.status() != TK_OK) return check.status();
  Operation op = operation(Kind::select, TK_ROWS_OUTPUTS);
  op.select = {x, out, width};
  return append("tk_cpu_select", tape, op);
}

// ---- step ---------------------------------------------------------------------------------

namespace {

const char* const step_name = "tk_cpu_step";

int check_values(const char* name, const int32_t* values, int count, int64_t limit,
                 const char* of) {
  for (int i = 0; i < count; i++) {
    if (values[i] < 0 || values[i] >= limit) {
      return fail(TK_BAD_ARGUMENT, "%s: %s[%d]=%d, must be 0 to %lld (%s)", step_name, name, i,
                  static_cast<int>(values[i]), static_cast<Long>(limit - 1), of);
    }
  }
  return TK_OK;
}

/** The batch against everything that the tape's operations index with it. */
int check_batch(const tk_tape& tape, int n, int m) {
  const Batch& batch = tape.batch;
  bool paged = false;
  for (const Operation& op : tape.operations) {
    if (op.kind == Kind::embed) {
      if (int status = check_values("tokens", batch.tokens, n, op.embed.vocab, "vocabulary")) {
        return status;
      }
    } else if (op.kind == Kind::rope) {
      if (int status =
              check_values("positions", batch.positions, n, op.rope.table_rows, "rotary table")) {
        return status;
      }
    }
    paged |= op.kind == Kind::store || op.kind == Kind::attention;
  }
  if (int status = check_values("outputs", batch.outputs, m, n, "rows of the step")) return status;
  if (!paged) return TK_OK;
  if (int status = check_values("sequences", batch.sequences, n, batch.max_sequences,
                                "max_sequences")) {
    return status;
  }
  if (int status = check_values("positions", batch.positions, n,
                                int64_t{batch.pages_per_sequence} * TK_PAGE_TOKENS,
                                "pages of a sequence")) {
    return status;
  }
  // A row reads every page up to its position's. Neighbours mostly share a sequence: each page is
  // looked at once for them.
  int checked = 0;
  for (int row = 0; row < n; row++) {
    if (row == 0 || batch.sequences[row] != batch.sequences[row - 1]) checked = 0;
    const int pages = batch.positions[row] / TK_PAGE_TOKENS + 1;
    for (; checked < pages; checked++) {
      const int32_t page = pages_of(batch, row)[checked];
      if (page < 0 || page >= tape.cache.pages) {
        return fail(TK_BAD_ARGUMENT, "%s: page_table[%d][%d]=%d, must be 0 to %d (pages)",
                    step_name, static_cast<int>(batch.sequences[row]), checked,
                    static_cast<int>(page), tape.cache.pages - 1);
      }
    }
  }
  return TK_OK;
}

}  // namespace

int tk_cpu_step(tk_tape* tape, int n, int m) {
  Check check(step_name);
  check.that(tape != nullptr, TK_BAD_ARGUMENT, "tape is null");
  if (check.status() != TK_OK) return check.status();
  tape->failed = -1;
  check.that(!tape->operations.empty(), TK_BAD_ARGUMENT, "the tape is empty")
      .range("n", n, 1, tape->max_rows)
      .range("m", m, 0, tape->max_outputs);
  if (check.status() != TK_OK) return check.status();
  if (const int status = check_batch(*tape, n, m); status != TK_OK) return status;
  return tape->step(n, m);
}

int tk_cpu_tape_failed(const tk_tape* tape) { return tape == nullptr ? -1 : tape->failed; }
