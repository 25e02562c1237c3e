// SPDX-License-Identifier: Apache-2.0
//
// tokamak_cuda.h: the C ABI of the CUDA kernels, the device side of tokamak.h. JavaCPP parses this
// file; the Java binding is generated from it. The library links the CUDA runtime statically and
// loads on machines without anything of NVIDIA's: tk_cuda_devices then says what is missing. The
// same sources compiled for the host (kernels/host) offer the same functions on an emulated device.
//
// Conventions
//   Tensors are row-major, the last dimension contiguous. Activations are float32.
//   A step works on n rows (tokens of any sequences); m of them, the outputs, get logits.
//   Addresses are device memory unless a line says otherwise; they belong to the caller. Every
//   address is aligned to 256 bytes, or to the row of a tensor that starts there.
//   A launch goes to the step's stream and returns at once. Functions that return int return a
//   tk_status (tokamak.h); tk_cuda_last_error() then says what was wrong, in one line, for the
//   calling thread. Nothing throws across this boundary and nothing aborts.
//   Types are the type numbers of the GGUF specification: see quant.def.
//
// Determinism: the order of every sum depends on the shape of one row's problem alone. A row gets
// the same bits whatever other rows are in the step and whichever kernel its launcher picks.

#pragma once

#include <stdint.h>

#include "tokamak/tokamak.h"

#if defined(__cplusplus)
extern "C" {
#endif

/** Raised whenever a signature or a layout in this file changes. */
#define TK_CUDA_ABI_VERSION 1

/** Rows of a weight matrix that are packed together. */
#define TK_CUDA_GROUP_ROWS 16

/** Of the likeliest tokens that tk_cuda_logprobs can list. */
#define TK_CUDA_MOST_TOP 256

// ---- library and devices ------------------------------------------------------------------

TK_API int tk_cuda_abi_version(void);

/** What went wrong in the last failed call of this thread; never null. */
TK_API const char* tk_cuda_last_error(void);

/** CUDA's own error code (cudaError_t) of that call; 0 where CUDA was not at fault. */
TK_API int tk_cuda_error_code(void);

/** 1 for the kernels compiled for the host, 0 for the device's. */
TK_API int tk_cuda_emulated(void);

/** How many devices there are; -1: CUDA cannot tell, tk_cuda_error_code() is its reason
 *  (35: no driver, or one too old; 100: no device). */
TK_API int tk_cuda_devices(void);

/** The CUDA version that the installed driver supports, 1000 * major + 10 * minor; 0: no driver. */
TK_API int tk_cuda_driver_version(void);

/** The CUDA version that this library was built with, in the same form. */
TK_API int tk_cuda_runtime_version(void);

/** The device's name, in memory of the calling thread; null: no such device. */
TK_API const char* tk_cuda_device_name(int device);

/** out (host memory): [0] compute capability, 10 * major + minor; [1] multiprocessors;
 *  [2] bytes of device memory; [3] bytes of it that are free; [4] bytes of L2 cache. */
TK_API int tk_cuda_device(int device, int64_t* out);

/** Runs a small kernel on the device and compares what it wrote with what is right:
 *  TK_OK, or TK_DEVICE with the difference in tk_cuda_last_error(). */
TK_API int tk_cuda_self_test(int device);

/** Bytes and arithmetic operations of the calling thread's last launch, as its launcher counts
 *  them for the most rows that its step may have. out (host memory): [0] bytes read and written
 *  at least once; [1] multiplications and additions. */
TK_API int tk_cuda_work(double* out);

// ---- weights ------------------------------------------------------------------------------

/** Bytes of a matrix [rows, cols] in the layout that tk_cuda_matmul reads; -1: type or shape not
 *  supported. */
TK_API int64_t tk_cuda_packed_bytes(int type, int64_t rows, int64_t cols);

/** Packs a matrix from the layout of the GGUF file into the layout of tk_cuda_matmul
 *  (kernels/README.md draws it). Packed groups of TK_CUDA_GROUP_ROWS rows lie one behind the other:
 *  a matrix may be packed in pieces of whole groups, row r going to packed +
 *  tk_cuda_packed_bytes(type, r, cols). */
TK_API int tk_cuda_pack(void* stream, int type, int64_t rows, int64_t cols, const void* source,
                        void* packed);

// ---- step ---------------------------------------------------------------------------------
// A step is what the launches of one forward pass share. The functions below launch one operation
// each. A stream that captures records them, and the graph serves every step of at most `rows`
// rows: what changes from step to step is read from device memory.

typedef struct tk_cuda_step tk_cuda_step;

/** A step on a stream (cudaStream_t) of at most `rows` rows and `outputs` outputs. In device memory:
 *  counts [2], the rows n and outputs m that it has in fact; tokens, positions, sequences [n] (a
 *  sequence is a row of page_table); output_rows [m]; page_table [max_sequences,
 *  pages_per_sequence], page numbers. The caller has checked that all of them are in range, and
 *  that no two rows have the same sequence and position. */
TK_API tk_cuda_step* tk_cuda_step_create(void* stream, int rows, int outputs, const int32_t* counts,
                                         const int32_t* tokens, const int32_t* positions,
                                         const int32_t* sequences, const int32_t* output_rows,
                                         const int32_t* page_table, int max_sequences,
                                         int pages_per_sequence);
TK_API void tk_cuda_step_free(tk_cuda_step* step);

/** Bytes of a KV cache with this shape; -1: type or shape not supported. Types: F32, F16, BF16,
 *  Q8_0 (head_dim a multiple of 32). */
TK_API int64_t tk_cuda_cache_bytes(int type, int layers, int kv_heads, int head_dim, int pages);

/** Names the cache that store and attention use (kernels/README.md has its layout). Needed before
 *  the first store. */
TK_API int tk_cuda_cache(tk_cuda_step* step, int type, int layers, int kv_heads, int head_dim,
                         int pages, void* memory);

/** out[n, dim] = rows of table [vocab, dim] (GGUF layout, any type) chosen by the tokens. */
TK_API int tk_cuda_embed(tk_cuda_step* step, int type, int64_t vocab, int64_t dim,
                         const void* table, float* out);

/** The same from a table packed by tk_cuda_pack. Equal bits. */
TK_API int tk_cuda_embed_packed(tk_cuda_step* step, int type, int64_t vocab, int64_t dim,
                                const void* packed, float* out);

/** RMS norm (Zhang and Sennrich 2019) over groups of dim values:
 *  x, out [rows, width], width a multiple of dim; out = x / sqrt(mean(x^2) + epsilon) * weight[dim].
 *  rows: a tk_rows. out may be x. */
TK_API int tk_cuda_norm(tk_cuda_step* step, int rows, const float* x, int64_t width,
                        const float* weight, int64_t dim, float epsilon, float* out);

/** out[rows, out_dim] = x[rows, cols] * W^T (+ bias[out_dim]); W [out_dim, cols] packed by
 *  tk_cuda_pack. bias may be null. Products are of float32 precision whatever the type: values are
 *  multiplied as sums of bfloat16 parts on the tensor cores. */
TK_API int tk_cuda_matmul(tk_cuda_step* step, int rows, const float* x, int64_t cols, int type,
                          const void* packed, int64_t out_dim, const float* bias, float* out);

/** Rotary embedding (Su et al. 2021), in place: x [n, heads, head_dim], the first rotary_dim
 *  values of each head turned. table [table_rows, rotary_dim], a row per position: rotary_dim/2
 *  cosines, then as many sines. pairing: a tk_pairing. */
TK_API int tk_cuda_rope(tk_cuda_step* step, float* x, int64_t heads, int64_t head_dim,
                        int64_t rotary_dim, int pairing, const float* table, int64_t table_rows);

/** Writes k and v [n, kv_heads * head_dim] of one layer into the cache, at each row's sequence
 *  and position. */
TK_API int tk_cuda_store(tk_cuda_step* step, int layer, const float* k, const float* v);

/** tk_cuda_rope of q and of k, then tk_cuda_store of k and v, in one launch; the same bits. q
 *  [n, heads, head_dim]; head_dim is the cache's. */
TK_API int tk_cuda_rope_store(tk_cuda_step* step, int layer, float* q, int64_t heads, float* k,
                              const float* v, int64_t rotary_dim, int pairing, const float* table,
                              int64_t table_rows);

/** Bytes of scratch memory that tk_cuda_attention needs for q [rows, heads * head_dim] and
 *  sequences of at most `positions` tokens, those of a step's pages_per_sequence; may be 0, -1: not
 *  supported (head_dim is at most 256). Calls of one stream may share it. */
TK_API int64_t tk_cuda_attention_bytes(int rows, int64_t heads, int64_t head_dim,
                                       int64_t positions);

/** Causal attention with grouped heads over the paged cache of one layer:
 *  q, out [n, heads * head_dim]; a row sees the positions 0 .. its own of its own sequence. Rows in
 *  any order give the same bits; rows of one sequence share what they read where they follow each
 *  other, and the first 16 rows may use the whole device each: single tokens of long sequences are
 *  best put first. */
TK_API int tk_cuda_attention(tk_cuda_step* step, int layer, const float* q, int64_t heads,
                             float scale, void* scratch, float* out);

/** out = silu(gate) * up, all [rows, width]; out may be gate or up. */
TK_API int tk_cuda_gate(tk_cuda_step* step, int rows, const float* gate, const float* up,
                        int64_t width, float* out);

/** x += y, both [rows, width]. */
TK_API int tk_cuda_add(tk_cuda_step* step, int rows, float* x, const float* y, int64_t width);

/** out[m, width] = the rows of x [n, width] that the batch names as outputs. */
TK_API int tk_cuda_select(tk_cuda_step* step, const float* x, int64_t width, float* out);

/** Where x [rows, width] holds a NaN or an infinity, lowers *failed to `operation`. The caller sets
 *  *failed to a larger number before. */
TK_API int tk_cuda_check(tk_cuda_step* step, int rows, const float* x, int64_t width,
                         int32_t operation, int32_t* failed);

// ---- sampling -----------------------------------------------------------------------------

// How the next token of one sequence is chosen: the steps penalties, top-k, typical, top-p, min-p,
// temperature, draw, in this order and with the meaning that SamplerOptions and Sampler of the Java
// module generate give them.
typedef struct tk_cuda_sampler {
  double temp;               // 0: the largest logit after penalties
  double top_p;              // 1: all
  double min_p;              // 0: all
  double typical;            // 1: all
  double repeat_penalty;     // 1: none
  double presence_penalty;   // 0: none
  double frequency_penalty;  // 0: none
  int64_t seed;
  int64_t index;             // of the token in its sequence: how many are before it
  int32_t top_k;             // 0: all
  int32_t recent;            // tokens of its row of `recent` that the penalties look at
} tk_cuda_sampler;

/** Bytes of scratch memory that tk_cuda_sample and tk_cuda_logprobs need; -1: not supported. Calls
 *  of one stream may share it. */
TK_API int64_t tk_cuda_sample_bytes(int outputs, int64_t vocab);

/** tokens[m]: one for each row of logits [m, vocab], chosen as the row of samplers [m] says. recent
 *  [m, most_recent]: the last tokens of each sequence, in any order. Equal keys go to the lower
 *  token; the random number is a function of seed and index alone. The token is the one that the
 *  Java Sampler chooses: for greedy and top-k always, else but where the boundary of a
 *  probability falls within the rounding of a double. Logits are finite, or -infinity where a token
 *  is ruled out; whatever they are, a token is in range. */
TK_API int tk_cuda_sample(tk_cuda_step* step, const float* logits, int64_t vocab,
                          const tk_cuda_sampler* samplers, const int32_t* recent,
                          int64_t most_recent, void* scratch, int32_t* tokens);

/** Natural logarithms of probabilities in the full distribution, the softmax of each row of logits
 *  [m, vocab]: chosen[m], those of tokens[m]; and the `top` likeliest tokens (at most
 *  TK_CUDA_MOST_TOP and vocab), the likeliest first, top_tokens and top_logprobs [m, top]. With top
 *  0 both may be null. */
TK_API int tk_cuda_logprobs(tk_cuda_step* step, const float* logits, int64_t vocab,
                            const int32_t* tokens, int top, void* scratch, double* chosen,
                            int32_t* top_tokens, double* top_logprobs);

// ---- roofline -----------------------------------------------------------------------------
// Kernels to time, for what a device can do at best: they read and do no more, or do one kind of
// arithmetic and read nothing. Each has `blocks` blocks of 256 threads, at best some for each
// multiprocessor, and writes a number a block to sums [blocks], so that its work cannot be left
// out. tk_cuda_work is exact.

/** Reads memory [bytes], a multiple of 16, once, as the products read weights. Sums of the 32-bit
 *  words that each block has read, modulo 2^32. */
TK_API int tk_cuda_read(void* stream, int blocks, const void* memory, int64_t bytes,
                        int32_t* sums);

/** Each thread does `rounds` (to 2^20) times 16 independent fused multiply-adds of float32. */
TK_API int tk_cuda_multiply_floats(void* stream, int blocks, int rounds, float* sums);

/** Each warp does `rounds` (to 2^20) times 8 independent products [16, 16] x [16, 8] of bfloat16,
 *  summed in float32, with mma.sync, as the products of weights do. Newer instructions (wgmma,
 *  tcgen05) do more. */
TK_API int tk_cuda_multiply_bf16(void* stream, int blocks, int rounds, float* sums);

#if defined(__cplusplus)
}
#endif
