// SPDX-License-Identifier: Apache-2.0
//
// store: a row's keys and values go to the slot of its position in the pages of its sequence:
// column position % 16 of each head's K tile, row position % 16 of its V tile (cache.h).
//
// Rounding is to nearest, even on a tie. Q8_0: scale = largest magnitude of the 32 values / 127,
// rounded to F16; value = round(x / scale). A block with NaN or infinity gets a NaN scale, so that
// it is not lost.

namespace TK_LEVEL {

/** Writes 16 values to the places place(0..15), converted. */
template <typename Place>
TK_INLINE void store_values(int type, Floats values, int count, Place place) {
  if (type == TYPE_F32) {
    float lanes[16];
    store(lanes, values);
    for (int i = 0; i < count; i++) __builtin_memcpy(place(i), lanes + i, 4);
    return;
  }
  uint16_t lanes[16];
  if (type == TYPE_F16) {
    store_f16(lanes, values);
  } else {
    store_bf16(lanes, values);
  }
  for (int i = 0; i < count; i++) __builtin_memcpy(place(i), lanes + i, 2);
}

/** Quantizes a block of 32 values; the scale goes to *scale as F16. */
TK_INLINE void store_block(const float* x, uint16_t* scale, int8_t* values) {
  const Floats a = load(x), b = load(x + 16);
  float step = reduce_max(max(abs(a), abs(b))) / 127;
  if (!all_finite(a) || !all_finite(b)) step = __builtin_nanf("");
  uint16_t halves[16];
  store_f16(halves, set(step));
  *scale = halves[0];
  step = reduce_max(load_f16(halves));
  const Floats inverse = set(step > 0 ? 1 / step : 0);
  // 127.06 at most, where the scale was rounded down
  store_s8(values, round_to_ints(mul(a, inverse)));
  store_s8(values + 16, round_to_ints(mul(b, inverse)));
}

static void store_row(const Store& store, const Batch& batch, int64_t row) {
  const Cache& cache = store.cache;
  const int64_t dim = cache.head_dim, padded = padded_dim(dim);
  const int64_t bytes = cache_value_bytes(cache.type);
  const TileLayout layout = tile_layout(cache.type, dim);
  const int32_t position = batch.positions[row];
  const int64_t page = pages_of(batch, row)[position / TK_PAGE_TOKENS];
  const int64_t slot = position % TK_PAGE_TOKENS;
  for (int64_t head = 0; head < cache.kv_heads; head++) {
    char* tile = tile_of(cache, store.layer, page, head);
    const float* k = store.k + (row * cache.kv_heads + head) * dim;
    const float* v = store.v + (row * cache.kv_heads + head) * dim;
    if (cache.type == TYPE_Q8_0) {
      auto* k_scales = reinterpret_cast<uint16_t*>(tile + layout.k_scales);
      auto* v_scales = reinterpret_cast<uint16_t*>(tile + layout.v_scales);
      const int64_t blocks = dim / cache_block;
      for (int64_t block = 0; block < blocks; block++) {
        int8_t column[cache_block];
        store_block(k + block * cache_block, k_scales + block * TK_PAGE_TOKENS + slot, column);
        char* to = tile + layout.k + block * cache_block * TK_PAGE_TOKENS + slot;
        for (int i = 0; i < cache_block; i++) to[i * TK_PAGE_TOKENS] = column[i];
        store_block(v + block * cache_block, v_scales + slot * blocks + block,
                    reinterpret_cast<int8_t*>(tile) + layout.v + slot * dim + block * cache_block);
      }
      continue;
    }
    char* to_k = tile + layout.k + slot * bytes;
    char* to_v = tile + layout.v + slot * padded * bytes;
    for (int64_t i = 0; i < dim; i += 16) {
      const int count = dim - i < 16 ? static_cast<int>(dim - i) : 16;
      store_values(cache.type, load_partial(k + i, count), count,
                   [&](int lane) { return to_k + (i + lane) * TK_PAGE_TOKENS * bytes; });
      store_values(cache.type, load_partial(v + i, count), count,
                   [&](int lane) { return to_v + (i + lane) * bytes; });
    }
  }
}

}  // namespace TK_LEVEL
