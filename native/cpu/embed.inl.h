// SPDX-License-Identifier: Apache-2.0
//
// embed: a token's row of the table, as it lies in the file, decoded to float32.

namespace TK_LEVEL {

static void embed(const Embed& embed, const Batch& batch, int64_t row) {
  const char* from = embed.table + batch.tokens[row] * embed.row_bytes;
  float* out = embed.out + row * embed.dim;
  switch (embed.type) {
    case TYPE_F32:
      __builtin_memcpy(out, from, static_cast<size_t>(embed.dim) * sizeof(float));
      break;
  }
}

}  // namespace TK_LEVEL
