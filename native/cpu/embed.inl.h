// SPDX-License-Identifier: Apache-2.0
//
// embed: a token's row of the table, as it lies in the file, decoded to float32.

namespace TK_LEVEL {

/** Decodes the blocks of a row one by one; they lie at any address. */
template <class Block, int elements>
static void embed_blocks(const char* from, int64_t dim, float* out) {
  for (int64_t i = 0; i < dim; i += elements, from += sizeof(Block)) {
    Block block;
    __builtin_memcpy(&block, from, sizeof block);
    tk_decode(block, out + i);
  }
}

static void embed(const Embed& embed, const Batch& batch, int64_t row) {
  const char* from = embed.table + batch.tokens[row] * embed.row_bytes;
  float* out = embed.out + row * embed.dim;
  switch (embed.type) {
    case TYPE_F32:
      __builtin_memcpy(out, from, static_cast<size_t>(embed.row_bytes));
      break;
    case TYPE_F16:
    case TYPE_BF16:
      for (int64_t i = 0; i < embed.dim; i++, from += 2) {
        uint16_t half;
        __builtin_memcpy(&half, from, sizeof half);
        out[i] = embed.type == TYPE_F16 ? tk_f16_to_float(half) : tk_bf16_to_float(half);
      }
      break;
    case TYPE_Q4_0:
      return embed_blocks<BlockQ4_0, 32>(from, embed.dim, out);
    case TYPE_Q8_0:
      return embed_blocks<BlockQ8_0, 32>(from, embed.dim, out);
    case TYPE_Q4_K:
      return embed_blocks<BlockQ4_K, 256>(from, embed.dim, out);
    case TYPE_Q5_K:
      return embed_blocks<BlockQ5_K, 256>(from, embed.dim, out);
    case TYPE_Q6_K:
      return embed_blocks<BlockQ6_K, 256>(from, embed.dim, out);
  }
}

}  // namespace TK_LEVEL
