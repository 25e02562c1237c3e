// SPDX-License-Identifier: Apache-2.0
//
// attention: softmax(q K^T * scale) V for a few rows and one key-value head, over the pages of the
// rows' sequences. A row sees the positions 0 .. its own.
//
// The softmax runs online (Milakov and Gimelshein 2018), page by page in the order of positions:
//
//   per page   s[16] = sum over d of q[d] * K[d][16]     in the order of d, 16 positions at once
//              m' = max(m, s);  c = e^(m - m')
//              p[16] = e^(s - m');  l[16] = l * c + p;  o = o * c + sum over t of p[t] * V[t]
//   at the end o / sum of l
//
// That order depends on the row's position alone. Rows of one sequence and the query heads of the
// group share each page while it is in cache, and several queries share each register loaded from
// it; none of this changes a sum. Positions past the row's own are masked in s and left out of the
// sum over t, so what a page held before is never seen.
//
// F32 tiles are read where they lie; those of other types are widened once a page into scratch.

namespace TK_LEVEL {

// Queries that share a load, by what fits into the registers.
#if defined(TK_VEC_AVX512)
constexpr int kScoreQueries = 8, kValueQueries = 4, kValueVectors = 4;  // of 32 registers
#elif defined(TK_VEC_AVX2)
constexpr int kScoreQueries = 4, kValueQueries = 2, kValueVectors = 2;  // a vector is 2 of 16
#else
constexpr int kScoreQueries = 2, kValueQueries = 1, kValueVectors = 2;  // a vector is 4 of 16
#endif

/** The parts of a thread's scratch, for `queries` queries of head_dim values. */
struct AttentionScratch {
  int64_t padded;
  float* q;        // [queries][padded], scaled
  float* o;        // [queries][padded]
  float* p;        // [queries][16]
  float* l;        // [queries][16]
  float* m;        // [queries rounded up to 16]
  float* c;        // [queries rounded up to 16]
  float* k;        // [head_dim][16], widened
  float* v;        // [16][padded], widened
  float* v_scales; // [16][head_dim / 32]
  int64_t floats;

  AttentionScratch(float* base, int64_t queries, int64_t head_dim) : padded(padded_dim(head_dim)) {
    const int64_t rounded = (queries + 15) / 16 * 16;
    int64_t at = 0;
    const auto part = [&](int64_t count) {
      float* const here = base == nullptr ? nullptr : base + at;
      at += count;
      return here;
    };
    q = part(queries * padded);
    o = part(queries * padded);
    p = part(queries * 16);
    l = part(queries * 16);
    m = part(rounded);
    c = part(rounded);
    k = part(head_dim * 16);
    v = part(16 * padded);
    v_scales = part((head_dim / cache_block + 1) * 16);
    floats = at;
  }
};

static int64_t attention_scratch(const Cache& cache, int64_t heads) {
  return AttentionScratch(nullptr, attention_rows * (heads / cache.kv_heads), cache.head_dim)
      .floats;
}

/** p[query][16] = the dot products of each query with 16 keys. */
template <int Queries>
TK_INLINE void scores(const float* q, int64_t padded, const float* k, int64_t head_dim, float* p) {
  Floats sum[Queries];
  TK_UNROLL for (int i = 0; i < Queries; i++) sum[i] = zero();
  for (int64_t d = 0; d < head_dim; d++) {
    const Floats keys = load(k + d * 16);  // (16 positions)
    TK_UNROLL for (int i = 0; i < Queries; i++) sum[i] = fma(set(q[i * padded + d]), keys, sum[i]);
  }
  TK_UNROLL for (int i = 0; i < Queries; i++) store(p + i * 16, sum[i]);
}

/** o[query] = o[query] * c[query] + sum over t < count of p[query][t] * v[t]. */
template <int Queries, int Vectors>
TK_INLINE void add_values(const float* v, int64_t padded, int count, const float* p, const float* c,
                          float* o) {
  Floats sum[Queries][Vectors];
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) {
      sum[i][j] = mul(load(o + i * padded + j * 16), set(c[i]));
    }
  }
  for (int t = 0; t < count; t++) {
    Floats values[Vectors];
    TK_UNROLL for (int j = 0; j < Vectors; j++) values[j] = load(v + t * padded + j * 16);
    TK_UNROLL for (int i = 0; i < Queries; i++) {
      const Floats weight = set(p[i * 16 + t]);
      TK_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = fma(weight, values[j], sum[i][j]);
    }
  }
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) store(o + i * padded + j * 16, sum[i][j]);
  }
}

template <int Queries>
TK_INLINE void add_all_values(const float* v, int64_t padded, int count, const float* p,
                              const float* c, float* o) {
  int64_t d = 0;
  for (; d + kValueVectors * 16 <= padded; d += kValueVectors * 16) {
    add_values<Queries, kValueVectors>(v + d, padded, count, p, c, o + d);
  }
  for (; d < padded; d += 16) add_values<Queries, 1>(v + d, padded, count, p, c, o + d);
}

/** The same of any number of queries. One alone is a chain of sums that wait for each other, so
 *  those that are left over go together. */
template <int Queries>
TK_INLINE void scores_of(int64_t queries, const float* q, int64_t padded, const float* k,
                         int64_t head_dim, float* p) {
  for (; queries >= Queries; queries -= Queries, q += Queries * padded, p += Queries * 16) {
    scores<Queries>(q, padded, k, head_dim, p);
  }
  if constexpr (Queries > 1) {
    if (queries > 0) scores_of<Queries - 1>(queries, q, padded, k, head_dim, p);
  }
}

template <int Queries>
TK_INLINE void add_values_of(int64_t queries, const float* v, int64_t padded, int count,
                             const float* p, const float* c, float* o) {
  for (; queries >= Queries; queries -= Queries) {
    add_all_values<Queries>(v, padded, count, p, c, o);
    p += Queries * 16;
    c += Queries;
    o += Queries * padded;
  }
  if constexpr (Queries > 1) {
    if (queries > 0) add_values_of<Queries - 1>(queries, v, padded, count, p, c, o);
  }
}

/** Widens the first `count` positions of a tile (K whole: masked later) into scratch. */
static void widen_tile(const Cache& cache, const char* tile, int count, AttentionScratch& scratch) {
  const TileLayout layout = tile_layout(cache.type, cache.head_dim);
  const char* k = tile + layout.k;
  const char* v = tile + layout.v;
  const int64_t k_values = int64_t{16} * cache.head_dim, v_values = count * scratch.padded;
  switch (cache.type) {
    case TYPE_F16:
      for (int64_t i = 0; i < k_values; i += 16) store(scratch.k + i, load_f16(k + 2 * i));
      for (int64_t i = 0; i < v_values; i += 16) store(scratch.v + i, load_f16(v + 2 * i));
      break;
    case TYPE_BF16:
      for (int64_t i = 0; i < k_values; i += 16) store(scratch.k + i, load_bf16(k + 2 * i));
      for (int64_t i = 0; i < v_values; i += 16) store(scratch.v + i, load_bf16(v + 2 * i));
      break;
    default: {  // Q8_0
      const int64_t blocks = cache.head_dim / cache_block;
      for (int64_t block = 0; block < blocks; block++) {
        const Floats scale = load_f16(tile + layout.k_scales + block * 32);  // (16 positions)
        for (int64_t i = block * 512; i < (block + 1) * 512; i += 16) {
          store(scratch.k + i, mul(to_floats(load_s8(k + i)), scale));
        }
        store(scratch.v_scales + block * 16, load_f16(tile + layout.v_scales + block * 32));
      }
      for (int64_t block = 0; block < count * blocks; block++) {  // (position, block of its head)
        const Floats scale = set(scratch.v_scales[block]);
        for (int64_t i = block * 32; i < (block + 1) * 32; i += 16) {
          store(scratch.v + i, mul(to_floats(load_s8(v + i)), scale));
        }
      }
    }
  }
}

/** Scores, new maxima and weights of `queries` queries for one page; c gets e^(m - m'). */
TK_INLINE void weigh_page(const float* k, int64_t head_dim, int64_t padded, int count,
                          int64_t queries, const float* q, float* p, float* l, float* m, float* c) {
  scores_of<kScoreQueries>(queries, q, padded, k, head_dim, p);
  const Floats nothing = set(-__builtin_inff());
  for (int64_t i = 0; i < queries; i++) {
    const Floats s = first_lanes(count, load(p + i * 16), nothing);
    const float highest = reduce_max(s);
    c[i] = m[i];
    if (highest > m[i]) m[i] = highest;
    store(p + i * 16, exp(sub(s, set(m[i]))));
  }
  for (int64_t i = 0; i < queries; i += 16) {
    const int some = queries - i < 16 ? static_cast<int>(queries - i) : 16;
    const Floats before = load_partial(c + i, some), now = load_partial(m + i, some);
    store_partial(c + i, exp(sub(before, now)), some);
  }
  for (int64_t i = 0; i < queries; i++) {
    store(l + i * 16, fma(load(l + i * 16), set(c[i]), load(p + i * 16)));
  }
}

/** Rows first .. last-1, all of one sequence. */
static void attend(const Attention& attention, const Batch& batch, int64_t head, int64_t first,
                   int64_t last, float* memory) {
  const Cache& cache = attention.cache;
  const int64_t dim = cache.head_dim, group = attention.heads / cache.kv_heads;
  const int64_t queries = (last - first) * group;
  AttentionScratch scratch(memory, queries, dim);
  const int64_t padded = scratch.padded;
  const TileLayout layout = tile_layout(cache.type, dim);
  const int32_t* pages = pages_of(batch, first);

  int32_t furthest = 0;
  for (int64_t row = first; row < last; row++) {
    if (batch.positions[row] > furthest) furthest = batch.positions[row];
    const float* q = attention.q + (row * attention.heads + head * group) * dim;
    for (int64_t i = 0; i < group; i++) {
      const int64_t query = (row - first) * group + i;
      for (int64_t d = 0; d < padded; d++) {
        scratch.q[query * padded + d] = d < dim ? q[i * dim + d] * attention.scale : 0;
        scratch.o[query * padded + d] = 0;
      }
      store(scratch.l + query * 16, zero());
      scratch.m[query] = -__builtin_inff();
    }
  }

  for (int32_t page = 0; page <= furthest / TK_PAGE_TOKENS; page++) {
    const char* tile = tile_of(cache, attention.layer, pages[page], head);
    const float* k = scratch.k;
    const float* v = scratch.v;
    if (cache.type == TYPE_F32) {
      k = reinterpret_cast<const float*>(tile + layout.k);
      v = reinterpret_cast<const float*>(tile + layout.v);
    } else {
      const int32_t seen = furthest + 1 - page * TK_PAGE_TOKENS;
      widen_tile(cache, tile, seen < 16 ? seen : 16, scratch);
    }
    for (int64_t row = first; row < last;) {
      // Neighbouring rows that see as much of this page go together.
      const auto seen_by = [&](int64_t r) {
        const int32_t seen = batch.positions[r] + 1 - page * TK_PAGE_TOKENS;
        return seen < 0 ? 0 : seen < 16 ? seen : 16;
      };
      const int count = seen_by(row);
      int64_t end = row + 1;
      while (end < last && seen_by(end) == count) end++;
      const int64_t from = (row - first) * group, some = (end - row) * group;
      row = end;
      if (count == 0) continue;
      float* p = scratch.p + from * 16;
      float* c = scratch.c + from;
      float* o = scratch.o + from * padded;
      weigh_page(k, dim, padded, count, some, scratch.q + from * padded, p, scratch.l + from * 16,
                 scratch.m + from, c);
      add_values_of<kValueQueries>(some, v, padded, count, p, c, o);
    }
  }

  for (int64_t query = 0; query < queries; query++) {
    const int64_t row = first + query / group;
    float* out = attention.out + (row * attention.heads + head * group + query % group) * dim;
    const Floats sum = set(reduce_add(load(scratch.l + query * 16)));
    for (int64_t d = 0; d < dim; d += 16) {
      const int count = dim - d < 16 ? static_cast<int>(dim - d) : 16;
      store_partial(out + d, div(load(scratch.o + query * padded + d), sum), count);
    }
  }
}

static void attention(const Attention& attention, const Batch& batch, int64_t head, int64_t first,
                      int64_t last, float* scratch) {
  while (first < last) {
    int64_t end = first + 1;
    while (end < last && batch.sequences[end] == batch.sequences[first]) end++;
    attend(attention, batch, head, first, end, scratch);
    first = end;
  }
}

}  // namespace TK_LEVEL
