// SPDX-License-Identifier: Apache-2.0
//
// pack: a weight matrix from the layout of the GGUF file into the layout of tk_cuda_matmul. Exact:
// numbers and scales change their places, not their values.
//   source [rows, cols] blocks; packed: see weight.cuh
//   grid: a warp a part (16 rows x 64 columns), 8 warps a block
//   bytes: the file's and the packed ones     operations: none
// Done once a model: a plain loop over the numbers of a lane.

#include "arguments.h"
#include "launch.cuh"
#include "types.h"
#include "weight.cuh"

namespace tokamak::cuda {
namespace {

constexpr int threads = 256;
constexpr int block_parts = threads / 32;

template <class Format>
__global__ void __launch_bounds__(threads)
    pack(const void* source, int64_t rows, int64_t cols, int64_t all_parts, uint8_t* packed) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * block_parts + threadIdx.x / 32;
  if (index >= all_parts) return;
  const int64_t parts = parts_of(cols), group = index / parts;
  const int part = static_cast<int>(index % parts);
  const int64_t blocks = cols / Format::block_columns, first = group * group_rows;
  const SourceRows<typename Format::Block> from{
      static_cast<const typename Format::Block*>(source) + first * blocks, blocks,
      static_cast<int>(min(rows - first, int64_t{group_rows}))};
  uint8_t* to = packed + group * group_bytes<Format>(cols);
  Format::pack(from, part, to + header_at<Format>(part), to + part_at<Format>(part),
               static_cast<int>(threadIdx.x % 32));
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_packed_bytes(int type, int64_t rows, int64_t cols) {
  if (rows < 0 || cols < 1 || rows > most_width || cols > most_columns) return -1;
  return with_format(type, int64_t{-1}, [&](auto format) {
    using Format = decltype(format);
    if (cols % Format::block_columns != 0) return int64_t{-1};
    return (rows + group_rows - 1) / group_rows * group_bytes<Format>(cols);
  });
}

int tk_cuda_pack(void* stream, int type, int64_t rows, int64_t cols, const void* source,
                 void* packed) {
  Arguments arguments("tk_cuda_pack");
  arguments.width("rows", rows)
      .range("cols", cols, 1, most_columns)
      .that(block_size(type).elements != 0, TK_UNSUPPORTED, "type is none of quant.def");
  if (arguments.status() == TK_OK) {
    arguments.multiple("cols", cols, "block", block_size(type).elements);
  }
  arguments.pointer("source", source)
      .aligned("source", source, type == TYPE_F32 ? 4 : 2)
      .pointer("packed", packed)
      .aligned("packed", packed, 16);
  if (arguments.status() != TK_OK) return arguments.status();
  return with_format(type, int{TK_UNSUPPORTED}, [&](auto format) {
    using Format = decltype(format);
    const int64_t all_parts = (rows + group_rows - 1) / group_rows * parts_of(cols);
    const BlockSize block = block_size(type);
    report_work(1.0 * rows * cols / block.elements * block.bytes +
                    static_cast<double>(tk_cuda_packed_bytes(type, rows, cols)),
                0);
    return launch(stream,
                  Grid{dim3(static_cast<unsigned>((all_parts + block_parts - 1) / block_parts)),
                       dim3(threads)},
                  pack<Format>, source, rows, cols, all_parts, static_cast<uint8_t*>(packed));
  });
}
