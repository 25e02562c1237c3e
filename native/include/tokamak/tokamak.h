// SPDX-License-Identifier: Apache-2.0
//
// tokamak.h: the one C ABI between Java and the native kernels. JavaCPP parses this file; the
// Java binding is generated from it.
//
// Conventions
//   Tensors are row-major, the last dimension contiguous. Activations are float32.
//   A step works on n rows (tokens of any sequences); m of them, the outputs, get logits.
//   Addresses belong to the caller and stay valid until the tape that names them is freed.
//   Functions that return int return a tk_status; tk_last_error() then says what was wrong, in
//   one line, for the calling thread. Nothing throws across this boundary and nothing aborts.
//   Functions that return a pointer return null on failure, with tk_last_error() set.
//
// Determinism: the order of every sum depends on the shape of one row's problem alone, never on
// the number of rows in the step or of threads in the team.

#pragma once

#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define TK_API __attribute__((visibility("default")))

/** Raised whenever a signature or a layout in this file changes. */
#define TK_ABI_VERSION 1

/** Tokens in a page of the KV cache. */
#define TK_PAGE_TOKENS 16

enum tk_status {
  TK_OK = 0,
  TK_BAD_ARGUMENT = 1,   // a shape, type or address that the function cannot take
  TK_OUT_OF_MEMORY = 2,
  TK_UNSUPPORTED = 3,    // this processor or this build cannot do it
  TK_NOT_FINITE = 4,     // a step produced NaN or infinity: see tk_cpu_tape_failed
  TK_DEVICE = 5,         // a CUDA call failed: see tk_cuda_error_code
  TK_STOPPED = 6         // a step was told to end early: see tk_cpu_watch
};

// Instruction-set levels, in rising order; each includes those before it.
enum tk_level {
  TK_LEVEL_BASELINE = 0,    // whatever the compiler's target guarantees (SSE2 on x86-64)
  TK_LEVEL_AVX2 = 1,        // AVX2, FMA, F16C
  TK_LEVEL_AVX512 = 2,      // AVX-512 F, BW, VL, DQ
  TK_LEVEL_AVX512_VNNI = 3  // and VNNI, BF16
};

// Which rows of a step an operation works on.
enum tk_rows {
  TK_ROWS_STEP = 0,    // all n rows
  TK_ROWS_OUTPUTS = 1  // the m rows whose logits are wanted
};

// How rotary embedding pairs the values of a head.
enum tk_pairing {
  TK_PAIRING_INTERLEAVED = 0,  // (x[2i], x[2i+1])
  TK_PAIRING_HALF_SPLIT = 1    // (x[i], x[i + rotary_dim/2])
};

// Weight and cache types are the type numbers of the GGUF specification: see quant.def.

// ---- library and processor ----------------------------------------------------------------

TK_API int tk_abi_version(void);

/** What went wrong in the last failed call of this thread; never null. */
TK_API const char* tk_last_error(void);

/** The best tk_level that this processor and operating system can run. */
TK_API int tk_cpu_level(void);

/** "baseline", "avx2", "avx512", "avx512vnni"; null for a number that is no level. */
TK_API const char* tk_cpu_level_name(int level);

// ---- memory -------------------------------------------------------------------------------

/** Zeroed memory, aligned to at least 64 bytes, backed by huge pages where the system grants
 *  them; pages are only taken when touched. Free with tk_memory_free and the same size. */
TK_API void* tk_memory_allocate(int64_t bytes);
TK_API void tk_memory_free(void* memory, int64_t bytes);

// ---- thread team --------------------------------------------------------------------------

typedef struct tk_team tk_team;

/** A team of `threads` threads (the caller of a step is one of them) that run the kernels of one
 *  level. `cpus`: the processor of each thread, or null: not pinned. Idle threads spin for some
 *  microseconds, then sleep. One step runs at a time; further callers wait their turn. */
TK_API tk_team* tk_cpu_team_create(int level, int threads, const int32_t* cpus);
TK_API void tk_cpu_team_free(tk_team* team);

/** Measures this machine with the team's threads and level, in about a second:
 *  out[0] read bandwidth, bytes/s; out[1] float32 multiply-adds, FLOP/s; out[2] int8 dot
 *  products, OP/s; out[3] bf16 dot products, FLOP/s (0 where the level has none). */
TK_API int tk_cpu_roofline(tk_team* team, double* out);

// ---- weights ------------------------------------------------------------------------------

/** Bytes of a matrix [rows, cols] in the layout that tk_cpu_matmul reads; -1: type or shape
 *  not supported. */
TK_API int64_t tk_cpu_packed_bytes(int type, int64_t rows, int64_t cols);

/** Packs a matrix from the layout of the GGUF file into the layout of tk_cpu_matmul. The rows
 *  are split over the team. `source` is only read; neither needs alignment beyond its type's.
 *  Packed groups of 16 rows lie one behind the other: a matrix may be packed in pieces of whole
 *  groups, row r going to packed + tk_cpu_packed_bytes(type, r, cols). */
TK_API int tk_cpu_pack(tk_team* team, int type, int64_t rows, int64_t cols, const void* source,
                       void* packed);

// ---- tape ---------------------------------------------------------------------------------
// A tape is a recorded forward pass: the functions below append one operation each, in order,
// and tk_cpu_step replays them all. Operations are numbered from 0 in the order of appending.

typedef struct tk_tape tk_tape;

/** An empty tape. The batch of a step is read from these arrays, which the caller fills before
 *  each step: tokens, positions, sequences [max_rows] (a sequence is a row of page_table);
 *  outputs [max_outputs], row numbers; page_table [max_sequences, pages_per_sequence], page
 *  numbers. No two rows of a step may have the same sequence and position. */
TK_API tk_tape* tk_cpu_tape_create(tk_team* team, int max_rows, int max_outputs,
                                   const int32_t* tokens, const int32_t* positions,
                                   const int32_t* sequences, const int32_t* outputs,
                                   const int32_t* page_table, int max_sequences,
                                   int pages_per_sequence);
TK_API void tk_cpu_tape_free(tk_tape* tape);

/** Bytes of a KV cache with this shape; -1: type or shape not supported. Types: F32, F16, BF16,
 *  Q8_0 (head_dim a multiple of 32). */
TK_API int64_t tk_cpu_cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages);

/** Names the cache that store and attention use: [layers][pages][kv_heads] tiles, each K
 *  transposed [head_dim][TK_PAGE_TOKENS], then V [TK_PAGE_TOKENS][head_dim rounded up to 16]
 *  (native/cpu/cache.h has the layout to the byte). Needed before the first store. */
TK_API int tk_cpu_cache(tk_tape* tape, int type, int layers, int kv_heads, int head_dim, int pages,
                        void* memory);

/** Names a word of the caller's that ends a step early: a step that finds it other than 0 returns
 *  TK_STOPPED, and what it would have written, its rows of the cache included, is undefined; the
 *  same step may be run again. It looks before each piece of its work, which is some milliseconds
 *  at most. Any thread may set the word; it must not go back to 0 before the step has returned. */
TK_API int tk_cpu_watch(tk_tape* tape, const int32_t* stop);

/** out[n, dim] = rows of table [vocab, dim] (GGUF layout, any type) chosen by the tokens. */
TK_API int tk_cpu_embed(tk_tape* tape, int type, int64_t vocab, int64_t dim, const void* table,
                        float* out);

/** The same from a table packed by tk_cpu_pack: where the embedding is the output head too, the
 *  packed copy serves both and the file's pages need not stay in memory. Equal bits. */
TK_API int tk_cpu_embed_packed(tk_tape* tape, int type, int64_t vocab, int64_t dim,
                               const void* packed, float* out);

/** RMS norm (Zhang and Sennrich 2019) over groups of dim values:
 *  x, out [rows, width], width a multiple of dim; out = x / sqrt(mean(x^2) + epsilon) * weight[dim].
 *  out may be x. */
TK_API int tk_cpu_norm(tk_tape* tape, int rows, const float* x, int64_t width, const float* weight,
                       int64_t dim, float epsilon, float* out);

/** out[rows, out_dim] = x[rows, cols] * W^T (+ bias[out_dim]); W [out_dim, cols] packed by
 *  tk_cpu_pack. bias may be null. Neighbours on a tape that read the same x run as one job list. */
TK_API int tk_cpu_matmul(tk_tape* tape, int rows, const float* x, int64_t cols, int type,
                         const void* packed, int64_t out_dim, const float* bias, float* out);

/** Rotary embedding (Su et al. 2021), in place: x [n, heads, head_dim], the first rotary_dim
 *  values of each head turned. table [table_rows, rotary_dim], a row per position: rotary_dim/2
 *  cosines, then as many sines. */
TK_API int tk_cpu_rope(tk_tape* tape, float* x, int64_t heads, int64_t head_dim, int64_t rotary_dim,
                       int pairing, const float* table, int64_t table_rows);

/** Writes k and v [n, kv_heads * head_dim] of one layer into the cache, at each row's sequence
 *  and position. */
TK_API int tk_cpu_store(tk_tape* tape, int layer, const float* k, const float* v);

/** Causal attention with grouped heads over the paged cache of one layer:
 *  q, out [n, heads * head_dim]; a row sees the positions 0 .. its own of its own sequence. */
TK_API int tk_cpu_attention(tk_tape* tape, int layer, const float* q, int64_t heads, float scale,
                            float* out);

/** out = silu(gate) * up, all [rows, width]; out may be gate or up. */
TK_API int tk_cpu_gate(tk_tape* tape, int rows, const float* gate, const float* up, int64_t width,
                       float* out);

/** x += y, both [rows, width]. */
TK_API int tk_cpu_add(tk_tape* tape, int rows, float* x, const float* y, int64_t width);

/** out[m, width] = the rows of x [n, width] that the batch names as outputs. */
TK_API int tk_cpu_select(tk_tape* tape, const float* x, int64_t width, float* out);

/** Replays the tape for n rows and m outputs; one call at a time for each tape. The batch is
 *  checked first: a value that would lead outside a table or the cache fails the step. The last
 *  operation's output is checked at the end: where it is not finite, the step runs once more with
 *  a check after each operation and returns TK_NOT_FINITE. */
TK_API int tk_cpu_step(tk_tape* tape, int n, int m);

/** The number of the first operation whose output was not finite in the last step; -1: none. */
TK_API int tk_cpu_tape_failed(const tk_tape* tape);

#if defined(__cplusplus)
}
#endif
