// SPDX-License-Identifier: Apache-2.0
//
// embed: the tokens' rows of the embedding table as float32, from the table as it lies in the GGUF
// file; embed_packed: from the copy that matmul has, where the embedding is the output head too.
//   table [vocab, dim], out [n, dim]; row j of out is row tokens[j] of the table
//   grid: row by row, 1024 numbers a block of 256 threads; neighbouring threads have neighbouring
//   numbers, so stores are whole lines; a block's scale comes from the cache for all but the first
//   bytes: 4 a number, and the row's own     operations: 2 a number
//
// Every product of a scale, a number and a part's scale fits into the 24 bits of a float32, so that
// the bits are those of tk_decode whether or not a compiler fuses it with the subtraction.

#include "arguments.h"
#include "launch.cuh"
#include "step.h"
#include "tokamak/block/q4_0.h"
#include "tokamak/block/q4_k.h"
#include "tokamak/block/q5_k.h"
#include "tokamak/block/q6_k.h"
#include "tokamak/block/q8_0.h"
#include "types.h"
#include "weight.cuh"

namespace tokamak::cuda {
namespace {

FN float element(float value, int) { return value; }

struct Half {
  uint16_t bits;
};
FN float element(Half half, int) { return tk_f16_to_float(half.bits); }

struct Brain {
  uint16_t bits;
};
FN float element(Brain brain, int) { return tk_bf16_to_float(brain.bits); }

FN float element(const BlockQ4_0& block, int i) {
  const int byte = block.nibbles[i % 16];
  const int nibble = i < 16 ? byte & 15 : byte >> 4;
  return tk_f16_to_float(block.scale) * static_cast<float>(nibble - 8);
}

FN float element(const BlockQ8_0& block, int i) {
  return tk_f16_to_float(block.scale) * static_cast<float>(block.bytes[i]);
}

/** Of Q4_K and Q5_K, once the number is put together. */
template <class Block>
FN float scaled(const Block& block, int part, int number) {
  uint8_t scale, min;
  tk_scale_and_min(block.scales, part, &scale, &min);
  return tk_f16_to_float(block.scale) * scale * static_cast<float>(number) -
         tk_f16_to_float(block.min) * min;
}

template <class Block>
FN int nibble(const Block& block, int i) {
  const int part = i / 32, byte = block.nibbles[part / 2 * 32 + i % 32];
  return part % 2 ? byte >> 4 : byte & 15;
}

FN float element(const BlockQ4_K& block, int i) { return scaled(block, i / 32, nibble(block, i)); }

FN float element(const BlockQ5_K& block, int i) {
  const int fifth = block.fifth[i % 32] >> (i / 32) & 1;
  return scaled(block, i / 32, nibble(block, i) | fifth << 4);
}

FN float element(const BlockQ6_K& block, int i) {
  return tk_f16_to_float(block.scale) * static_cast<float>(block.scales[i / 16]) *
         static_cast<float>(tk_number(block, i) - 32);
}

constexpr int threads = 256;
constexpr int64_t chunk = 4 * threads;

template <class Block, int elements>
__global__ void __launch_bounds__(threads)
    embed(const int32_t* rows, const int32_t* tokens, int64_t dim, unsigned chunks,
          const void* table, float* out) {
  const int64_t row = blockIdx.x / chunks;
  if (row >= *rows) return;
  const Block* blocks = static_cast<const Block*>(table) + tokens[row] * (dim / elements);
  const int64_t first = blockIdx.x % chunks * chunk, end = min(first + chunk, dim);
  for (int64_t i = first + threadIdx.x; i < end; i += threads) {
    out[row * dim + i] = element(blocks[i / elements], static_cast<int>(i % elements));
  }
}

template <class Format>
__global__ void __launch_bounds__(threads)
    embed_packed(const int32_t* rows, const int32_t* tokens, int64_t dim, unsigned chunks,
                 const void* packed, float* out) {
  const int64_t row = blockIdx.x / chunks;
  if (row >= *rows) return;
  const int64_t first = blockIdx.x % chunks * chunk, end = min(first + chunk, dim);
  for (int64_t i = first + threadIdx.x; i < end; i += threads) {
    out[row * dim + i] = packed_value<Format>(packed, dim, tokens[row], i);
  }
}

unsigned chunks_of(int64_t dim) { return static_cast<unsigned>((dim + chunk - 1) / chunk); }

/** Of both kernels: a packed row has the numbers and scales that the row of the file has. */
void report(const tk_cuda_step* step, BlockSize block, int64_t dim) {
  const double bytes_of_row = 1.0 * block.bytes * dim / block.elements;
  report_work(step->rows * (4.0 * dim + bytes_of_row), 2.0 * step->rows * dim);
}

int check_embed(const char* function, const tk_cuda_step* step, int type, int64_t vocab,
                int64_t dim, const char* name, const void* table, int alignment, float* out) {
  const BlockSize block = block_size(type);
  Arguments arguments(function);
  arguments.step(step)
      .that(block.elements != 0, TK_UNSUPPORTED, "type is none of quant.def")
      .range("vocab", vocab, 1, INT32_MAX)
      .width("dim", dim)
      .pointer(name, table)
      .aligned(name, table, alignment)
      .pointer("out", out);
  if (arguments.status() == TK_OK) {
    arguments.multiple("dim", dim, "block", block.elements).numbers(step->rows, dim);
  }
  return arguments.status();
}

template <class Block, int elements>
int launch_embed(const tk_cuda_step* step, int64_t dim, const void* table, float* out) {
  const unsigned chunks = chunks_of(dim);
  report(step, {elements, static_cast<int>(sizeof(Block))}, dim);
  return launch(step->stream, {chunks * step->rows, threads}, embed<Block, elements>,
                step->counts, step->tokens, dim, chunks, table, out);
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int tk_cuda_embed(tk_cuda_step* step, int type, int64_t vocab, int64_t dim, const void* table,
                  float* out) {
  const int status = check_embed("tk_cuda_embed", step, type, vocab, dim, "table", table,
                                 type == TYPE_F32 ? 4 : 2, out);
  if (status != TK_OK) return status;
  switch (type) {
    case TYPE_F32:
      return launch_embed<float, 1>(step, dim, table, out);
    case TYPE_F16:
      return launch_embed<Half, 1>(step, dim, table, out);
    case TYPE_BF16:
      return launch_embed<Brain, 1>(step, dim, table, out);
    case TYPE_Q4_0:
      return launch_embed<BlockQ4_0, 32>(step, dim, table, out);
    case TYPE_Q8_0:
      return launch_embed<BlockQ8_0, 32>(step, dim, table, out);
    case TYPE_Q4_K:
      return launch_embed<BlockQ4_K, 256>(step, dim, table, out);
    case TYPE_Q5_K:
      return launch_embed<BlockQ5_K, 256>(step, dim, table, out);
    case TYPE_Q6_K:
      return launch_embed<BlockQ6_K, 256>(step, dim, table, out);
    default:
      return refuse(TK_UNSUPPORTED, "tk_cuda_embed: no kernel for type=%d", type);
  }
}

int tk_cuda_embed_packed(tk_cuda_step* step, int type, int64_t vocab, int64_t dim,
                         const void* packed, float* out) {
  const int status = check_embed("tk_cuda_embed_packed", step, type, vocab, dim, "packed",
                                 packed, 16, out);
  if (status != TK_OK) return status;
  return with_format(type, int{TK_UNSUPPORTED}, [&](auto format) {
    const unsigned chunks = chunks_of(dim);
    report(step, block_size(type), dim);
    return launch(step->stream, {chunks * step->rows, threads}, embed_packed<decltype(format)>,
                  step->counts, step->tokens, dim, chunks, packed, out);
  });
}
