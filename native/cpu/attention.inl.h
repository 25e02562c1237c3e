// SPDX-License-Identifier: Apache-2.0
//
// attention: softmax(q K^T * scale) V for a few rows and one key-value head, over the pages of the
// rows' sequences. A row sees the positions 0 .. its own.
//
// The softmax runs online (Milakov and Gimelshein 2018, Dao et al. 2022) over blocks of 64
// positions; chunks of attention_chunk positions begin anew and are merged in their order:
//
//   per block   s[64] = sum over d of q[d] * K[d][64]    in the order of d
//               m' = max(m, s);  p[64] = e^(s - m')
//               l[16] = l * e^(m - m') + p[0..15] + p[16..31] + ...
//               o = o * e^(m - m') + sum over t of p[t] * V[t]
//   per merge   M = max(m, that of the chunk);  l and o: each side times e^(its m - M), then the sum
//   at the end  o / sum of l
//
// That order depends on the row's position alone. Rows of one sequence and the query heads of the
// group share each block while it is in cache, several queries share each register loaded from it,
// and chunks may be the work of several threads; none of this changes a sum. Positions past the
// row's own are masked in s and left out of the sum over t, so what a page held before is never
// seen.
//
// Many queries: a block is widened once to float32 in scratch. Few, as in decoding: it is widened
// as it is loaded.

namespace TK_LEVEL {

constexpr int kBlockPages = 4, kBlock = kBlockPages * TK_PAGE_TOKENS;
static_assert(attention_chunk % kBlock == 0);

// Sums that fit into the registers beside what is loaded, and queries that share a load.
#if defined(TK_VEC_AVX512)
constexpr int kScoreSums = 16, kScoreQueries = 4, kValueQueries = 4, kValueVectors = 4;
#elif defined(TK_VEC_AVX2)
constexpr int kScoreSums = 4, kScoreQueries = 4, kValueQueries = 2, kValueVectors = 2;
#else
constexpr int kScoreSums = 2, kScoreQueries = 2, kValueQueries = 1, kValueVectors = 2;
#endif

/** At most so many queries read a block as it lies in the cache: widening pays for more. */
constexpr int64_t kDirectQueries = 8;

/** Softmaxes that are being summed, of several queries. */
struct Sums {
  float* o;  // [queries][padded]
  float* l;  // [queries][16]
  float* m;  // [queries rounded up to 16]

  Sums(float* base, int64_t queries, int64_t padded)
      : o(base), l(base + queries * padded), m(l + queries * 16) {}
  static int64_t floats(int64_t queries, int64_t padded) {
    return queries * (padded + 16) + (queries + 15) / 16 * 16;
  }
};

static int64_t attention_part(const Cache& cache, int64_t heads) {
  return Sums::floats(heads / cache.kv_heads, padded_dim(cache.head_dim));
}

/** The parts of a thread's scratch, for `queries` queries of head_dim values. */
struct AttentionScratch {
  float* q;         // [queries][padded], scaled
  float* p;         // [queries][64]
  float* k;         // [4][head_dim][16], widened
  float* v;         // [64][padded], widened
  float* v_scales;  // [64][head_dim / 32], widened
  float* sums;      // of all chunks before
  float* part;      // of a chunk
  int64_t floats;

  AttentionScratch(float* base, int64_t queries, int64_t head_dim) {
    const int64_t padded = padded_dim(head_dim);
    int64_t at = 0;
    const auto take = [&](int64_t count) {
      float* const here = base == nullptr ? nullptr : base + at;
      at += count;
      return here;
    };
    q = take(queries * padded);
    p = take(queries * kBlock);
    k = take(head_dim * kBlock);
    v = take(padded * kBlock);
    v_scales = take(head_dim / cache_block * kBlock);
    sums = take(Sums::floats(queries, padded));
    part = take(Sums::floats(queries, padded));
    floats = at;
  }
};

static int64_t attention_scratch(const Cache& cache, int64_t heads) {
  const int64_t group = heads / cache.kv_heads;
  return AttentionScratch(nullptr, attention_rows(group) * group, cache.head_dim).floats;
}

// ---- products with a block ----------------------------------------------------------------

/** Where the pages of a block lie. */
struct Pages {
  const char* k[kBlockPages];
  const char* v[kBlockPages];
  const char* k_scales[kBlockPages];  // Q8_0
  const float* v_scales;              // Q8_0: of the whole block, widened
  const char* next_k[kBlockPages];    // Q8_0, as it lies: of the next block, to ask for ahead
  const char* next_v[kBlockPages];
};

/** 16 values of a cache type, without their scale. */
template <int Type>
TK_INLINE Floats widened(const char* p) {
  if constexpr (Type == TYPE_F32) return load(reinterpret_cast<const float*>(p));
  if constexpr (Type == TYPE_F16) return load_f16(p);
  if constexpr (Type == TYPE_BF16) return load_bf16(p);
  if constexpr (Type == TYPE_Q8_0) return to_floats(load_s8(p));
}

/** p[query][16 * page ..] = the dot products of each query with the keys of some pages. */
template <int Type, int Queries, int Count>
TK_INLINE void scores(const float* q, int64_t padded, const Pages& pages, int page,
                      int64_t head_dim, bool ahead, float* p) {
  constexpr int64_t bytes = cache_value_bytes(Type) * 16;
  Floats sum[Queries][Count];
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Count; j++) sum[i][j] = zero();
  }
  const int64_t run = Type == TYPE_Q8_0 ? cache_block : head_dim;  // values that share a scale
  for (int64_t first = 0; first < head_dim; first += run) {
    Floats scales[Count];
    if constexpr (Type == TYPE_Q8_0) {
      TK_UNROLL for (int j = 0; j < Count; j++) {
        scales[j] = load_f16(pages.k_scales[page + j] + first / cache_block * 32);
      }
    }
    for (int64_t d = first; d < first + run; d++) {
      if constexpr (Type == TYPE_Q8_0) {
        if (ahead && d * bytes % 64 == 0) {
          TK_UNROLL for (int j = 0; j < Count; j++) {
            __builtin_prefetch(pages.next_k[page + j] + d * bytes);
          }
        }
      }
      Floats keys[Count];  // (16 positions)
      TK_UNROLL for (int j = 0; j < Count; j++) {
        keys[j] = widened<Type>(pages.k[page + j] + d * bytes);
        if constexpr (Type == TYPE_Q8_0) keys[j] = mul(keys[j], scales[j]);
      }
      TK_UNROLL for (int i = 0; i < Queries; i++) {
        const Floats one = set(q[i * padded + d]);
        TK_UNROLL for (int j = 0; j < Count; j++) sum[i][j] = fma(one, keys[j], sum[i][j]);
      }
    }
  }
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Count; j++) store(p + i * kBlock + (page + j) * 16, sum[i][j]);
  }
}

template <int Type, int Queries, int Count>
TK_INLINE void scores_of_pages(const float* q, int64_t padded, const Pages& pages, int page,
                               int count, int64_t head_dim, bool ahead, float* p) {
  for (; page + Count <= count; page += Count) {
    scores<Type, Queries, Count>(q, padded, pages, page, head_dim, ahead, p);
  }
  if constexpr (Count > 1) {
    scores_of_pages<Type, Queries, Count / 2>(q, padded, pages, page, count, head_dim, ahead, p);
  }
}

/** The same of any number of queries, and the first `count` pages. One query with one page would be
 *  a chain of sums that wait for each other: fewer queries take more pages at once. */
template <int Type, int Queries = kScoreQueries>
TK_INLINE void all_scores(int64_t queries, const float* q, int64_t padded, const Pages& pages,
                          int count, int64_t head_dim, bool ahead, float* p) {
  constexpr int fit = kScoreSums / Queries, together = fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
  for (; queries >= Queries; queries -= Queries) {
    scores_of_pages<Type, Queries, together>(q, padded, pages, 0, count, head_dim, ahead, p);
    ahead = false;
    q += Queries * padded;
    p += Queries * kBlock;
  }
  if constexpr (Queries > 1) {
    if (queries > 0) {
      all_scores<Type, Queries - 1>(queries, q, padded, pages, count, head_dim, ahead, p);
    }
  }
}

/** o[query][d ..] += sum over from <= t < to of p[query][t] * v[t][d ..] */
template <int Type, int Queries, int Vectors>
TK_INLINE void add_values(const Pages& pages, int64_t d, int64_t padded, int from, int to,
                          bool ahead, const float* p, float* o) {
  constexpr int64_t bytes = cache_value_bytes(Type);
  Floats sum[Queries][Vectors];
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = load(o + i * padded + d + j * 16);
  }
  for (int t = from; t < to;) {
    const int page = t / 16, end = to < page * 16 + 16 ? to : page * 16 + 16;
    for (; t < end; t++) {
      const int64_t at = ((t - page * 16) * padded + d) * bytes;
      if constexpr (Type == TYPE_Q8_0) {
        if (ahead) __builtin_prefetch(pages.next_v[page] + at);
      }
      const char* const v = pages.v[page] + at;
      Floats values[Vectors];
      TK_UNROLL for (int j = 0; j < Vectors; j++) {
        values[j] = widened<Type>(v + j * 16 * bytes);
        if constexpr (Type == TYPE_Q8_0) {
          const int64_t block = t * (padded / cache_block) + (d + j * 16) / cache_block;
          values[j] = mul(values[j], set(pages.v_scales[block]));
        }
      }
      TK_UNROLL for (int i = 0; i < Queries; i++) {
        const Floats weight = set(p[i * kBlock + t]);
        TK_UNROLL for (int j = 0; j < Vectors; j++) sum[i][j] = fma(weight, values[j], sum[i][j]);
      }
    }
  }
  TK_UNROLL for (int i = 0; i < Queries; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) store(o + i * padded + d + j * 16, sum[i][j]);
  }
}

/** The same of any number of queries, and all of o. */
template <int Type, int Queries = kValueQueries>
TK_INLINE void add_all_values(int64_t queries, const Pages& pages, int64_t padded, int from, int to,
                              bool ahead, const float* p, float* o) {
  for (; queries >= Queries; queries -= Queries) {
    int64_t d = 0;
    for (; d + kValueVectors * 16 <= padded; d += kValueVectors * 16) {
      add_values<Type, Queries, kValueVectors>(pages, d, padded, from, to, ahead, p, o);
    }
    for (; d < padded; d += 16) {
      add_values<Type, Queries, 1>(pages, d, padded, from, to, ahead, p, o);
    }
    ahead = false;
    p += Queries * kBlock;
    o += Queries * padded;
  }
  if constexpr (Queries > 1) {
    if (queries > 0) {
      add_all_values<Type, Queries - 1>(queries, pages, padded, from, to, ahead, p, o);
    }
  }
}

// ---- the softmax --------------------------------------------------------------------------

/** Takes a query's scores of the first `seen` positions of a block: weights in their place. */
TK_INLINE void weigh(float* p, int seen, float* m, float* l, float* o, int64_t padded) {
  const Floats nothing = set(-__builtin_inff());
  const int pages = (seen + 15) / 16, past = seen % 16;
  if (past > 0) {
    float* const last = p + (pages - 1) * 16;
    store(last, first_lanes(past, load(last), nothing));
  }
  Floats most = nothing;
  for (int j = 0; j < pages; j++) most = max(load(p + j * 16), most);
  const float highest = reduce_max(most);
  Floats sums = load(l);
  if (highest > *m) {
    const Floats factor = exp(set(*m - highest));
    sums = mul(sums, factor);
    for (int64_t d = 0; d < padded; d += 16) store(o + d, mul(load(o + d), factor));
    *m = highest;
  }
  for (int j = 0; j < pages; j++) {
    const Floats e = exp(sub(load(p + j * 16), set(*m)));
    store(p + j * 16, e);
    sums = add(sums, e);
  }
  store(l, sums);
}

/** Adds the sums of a query over a chunk to those over the chunks before it. */
static void merge(const Sums& all, const Sums& part, int64_t query, int64_t padded) {
  const float before = all.m[query], now = part.m[query], highest = now > before ? now : before;
  const Floats keep = exp(set(before - highest)), take = exp(set(now - highest));
  const auto add_to = [&](float* sums, const float* more) {
    store(sums, fma(load(more), take, mul(load(sums), keep)));
  };
  for (int64_t d = 0; d < padded; d += 16) {
    add_to(all.o + query * padded + d, part.o + query * padded + d);
  }
  add_to(all.l + query * 16, part.l + query * 16);
  all.m[query] = highest;
}

// ---- rows -----------------------------------------------------------------------------------

/** Rows of one sequence, with the queries of one key-value head. */
struct Rows {
  const Attention& attention;
  const Batch& batch;
  int64_t head, first, last;
  int64_t group, dim, padded;

  Rows(const Attention& attention, const Batch& batch, int64_t head, int64_t first, int64_t last)
      : attention(attention),
        batch(batch),
        head(head),
        first(first),
        last(last),
        group(attention.heads / attention.cache.kv_heads),
        dim(attention.cache.head_dim),
        padded(padded_dim(dim)) {}

  int64_t queries() const { return (last - first) * group; }

  int32_t furthest() const {
    int32_t position = 0;
    for (int64_t row = first; row < last; row++) {
      if (batch.positions[row] > position) position = batch.positions[row];
    }
    return position;
  }

  /** Positions of a block that a row sees, 0 .. kBlock. */
  int seen(int64_t row, int64_t block) const {
    const int64_t seen = batch.positions[row] + 1 - block * kBlock;
    return seen < 0 ? 0 : seen < kBlock ? static_cast<int>(seen) : kBlock;
  }
};

/** One block, for all rows. */
template <int Type>
static void attend_block(const Rows& rows, const Pages& pages, int64_t block,
                         const AttentionScratch& scratch, const Sums& sums) {
  const int64_t group = rows.group, padded = rows.padded;
  for (int64_t row = rows.first; row < rows.last;) {
    // Neighbouring rows that see as many of the pages go together.
    const int count = (rows.seen(row, block) + 15) / 16;
    int whole = kBlock;  // positions of whole pages that all of them see
    int64_t end = row;
    for (int seen; end < rows.last && ((seen = rows.seen(end, block)) + 15) / 16 == count; end++) {
      if (seen / 16 * 16 < whole) whole = seen / 16 * 16;
    }
    const int64_t from = (row - rows.first) * group, some = (end - row) * group;
    float* p = scratch.p + from * kBlock;
    float* o = sums.o + from * padded;
    if (count > 0) {
      all_scores<Type>(some, scratch.q + from * padded, padded, pages, count, rows.dim,
                       pages.next_k[0] != nullptr, p);
      for (int64_t i = 0; i < some; i++) {
        weigh(p + i * kBlock, rows.seen(row + i / group, block), sums.m + from + i,
              sums.l + (from + i) * 16, o + i * padded, padded);
      }
      add_all_values<Type>(some, pages, padded, 0, whole, pages.next_k[0] != nullptr, p, o);
      for (; row < end; row++, p += group * kBlock, o += group * padded) {
        const int seen = rows.seen(row, block);
        if (seen > whole) add_all_values<Type>(group, pages, padded, whole, seen, false, p, o);
      }
    }
    row = end;
  }
}

/** Widens a page, values up to position `count`, into scratch. */
static void widen_page(const Cache& cache, const char* tile, int count, float* k, float* v,
                       const float* v_scales) {
  const TileLayout layout = tile_layout(cache.type, cache.head_dim);
  const char* from_k = tile + layout.k;
  const char* from_v = tile + layout.v;
  const int64_t k_values = int64_t{16} * cache.head_dim;
  const int64_t v_values = count * padded_dim(cache.head_dim);
  switch (cache.type) {
    case TYPE_F16:
      for (int64_t i = 0; i < k_values; i += 16) store(k + i, load_f16(from_k + 2 * i));
      for (int64_t i = 0; i < v_values; i += 16) store(v + i, load_f16(from_v + 2 * i));
      break;
    case TYPE_BF16:
      for (int64_t i = 0; i < k_values; i += 16) store(k + i, load_bf16(from_k + 2 * i));
      for (int64_t i = 0; i < v_values; i += 16) store(v + i, load_bf16(from_v + 2 * i));
      break;
    default: {  // Q8_0
      const int64_t blocks = cache.head_dim / cache_block;
      for (int64_t block = 0; block < blocks; block++) {
        const Floats scale = load_f16(tile + layout.k_scales + block * 32);  // (16 positions)
        for (int64_t i = block * 512; i < (block + 1) * 512; i += 16) {
          store(k + i, mul(widened<TYPE_Q8_0>(from_k + i), scale));
        }
      }
      for (int64_t block = 0; block < count * blocks; block++) {  // (position, block of its head)
        const Floats scale = set(v_scales[block]);
        for (int64_t i = block * 32; i < (block + 1) * 32; i += 16) {
          store(v + i, mul(widened<TYPE_Q8_0>(from_v + i), scale));
        }
      }
    }
  }
}

/** Sums over the positions of a chunk that the rows see. */
static void attend_chunk(const Rows& rows, int64_t chunk, const AttentionScratch& scratch,
                         const Sums& sums) {
  const Cache& cache = rows.attention.cache;
  const TileLayout layout = tile_layout(cache.type, rows.dim);
  const int64_t queries = rows.queries(), padded = rows.padded;
  for (int64_t i = 0; i < queries * padded; i += 16) store(sums.o + i, zero());
  for (int64_t query = 0; query < queries; query++) {
    store(sums.l + query * 16, zero());
    sums.m[query] = -__builtin_inff();
  }

  const bool direct = cache.type == TYPE_F32 || queries <= kDirectQueries;
  const int32_t* const numbers = pages_of(rows.batch, rows.first);
  const int64_t furthest = rows.furthest(), last_page = furthest / TK_PAGE_TOKENS;
  const int64_t blocks = attention_chunk / kBlock;
  for (int64_t block = chunk * blocks; block < (chunk + 1) * blocks; block++) {
    if (block * kBlock > furthest) break;
    Pages pages{};
    pages.v_scales = scratch.v_scales;
    for (int i = 0; i < kBlockPages; i++) {
      const int64_t page = block * kBlockPages + i, seen = furthest + 1 - page * TK_PAGE_TOKENS;
      if (seen <= 0) break;
      const char* const tile = tile_of(cache, rows.attention.layer, numbers[page], rows.head);
      const int64_t scales = rows.dim / cache_block * 16;
      if (cache.type == TYPE_Q8_0) {
        for (int64_t j = 0; j < scales; j += 16) {
          store(scratch.v_scales + i * scales + j, load_f16(tile + layout.v_scales + j * 2));
        }
      }
      if (direct) {
        pages.k[i] = tile + layout.k;
        pages.v[i] = tile + layout.v;
        pages.k_scales[i] = tile + layout.k_scales;
        const int64_t next = page + kBlockPages <= last_page ? page + kBlockPages : page;
        const char* const next_tile =
            tile_of(cache, rows.attention.layer, numbers[next], rows.head);
        pages.next_k[i] = next_tile + layout.k;
        pages.next_v[i] = next_tile + layout.v;
      } else {
        float* const k = scratch.k + i * rows.dim * 16;
        float* const v = scratch.v + i * padded * 16;
        widen_page(cache, tile, seen < 16 ? static_cast<int>(seen) : 16, k, v,
                   scratch.v_scales + i * scales);
        pages.k[i] = reinterpret_cast<const char*>(k);
        pages.v[i] = reinterpret_cast<const char*>(v);
      }
    }
    switch (direct ? cache.type : TYPE_F32) {
      case TYPE_F32:
        attend_block<TYPE_F32>(rows, pages, block, scratch, sums);
        break;
      case TYPE_F16:
        attend_block<TYPE_F16>(rows, pages, block, scratch, sums);
        break;
      case TYPE_BF16:
        attend_block<TYPE_BF16>(rows, pages, block, scratch, sums);
        break;
      default:
        attend_block<TYPE_Q8_0>(rows, pages, block, scratch, sums);
    }
  }
}

static void bring_queries(const Rows& rows, float* q) {
  const Floats scale = set(rows.attention.scale);
  for (int64_t row = rows.first; row < rows.last; row++) {
    const float* from =
        rows.attention.q + (row * rows.attention.heads + rows.head * rows.group) * rows.dim;
    for (int64_t i = 0; i < rows.group; i++, from += rows.dim, q += rows.padded) {
      for (int64_t d = 0; d < rows.dim; d += 16) {
        const int count = rows.dim - d < 16 ? static_cast<int>(rows.dim - d) : 16;
        store(q + d, mul(load_partial(from + d, count), scale));
      }
    }
  }
}

static void give_out(const Rows& rows, const Sums& sums) {
  for (int64_t query = 0; query < rows.queries(); query++) {
    const int64_t row = rows.first + query / rows.group;
    const int64_t head = rows.head * rows.group + query % rows.group;
    float* const out = rows.attention.out + (row * rows.attention.heads + head) * rows.dim;
    const Floats sum = set(reduce_add(load(sums.l + query * 16)));
    for (int64_t d = 0; d < rows.dim; d += 16) {
      const int count = rows.dim - d < 16 ? static_cast<int>(rows.dim - d) : 16;
      store_partial(out + d, div(load(sums.o + query * rows.padded + d), sum), count);
    }
  }
}

static void attend(const Rows& rows, float* memory) {
  const AttentionScratch scratch(memory, rows.queries(), rows.dim);
  const Sums sums(scratch.sums, rows.queries(), rows.padded);
  const Sums part(scratch.part, rows.queries(), rows.padded);
  bring_queries(rows, scratch.q);
  attend_chunk(rows, 0, scratch, sums);
  const int64_t chunks = rows.furthest() / attention_chunk + 1;
  for (int64_t chunk = 1; chunk < chunks; chunk++) {
    attend_chunk(rows, chunk, scratch, part);
    for (int64_t query = 0; query < rows.queries(); query++) {
      if (rows.batch.positions[rows.first + query / rows.group] < chunk * attention_chunk) continue;
      merge(sums, part, query, rows.padded);
    }
  }
  give_out(rows, sums);
}

static void attention(const Attention& attention, const Batch& batch, int64_t head, int64_t first,
                      int64_t last, float* scratch) {
  while (first < last) {
    int64_t end = first + 1;
    while (end < last && batch.sequences[end] == batch.sequences[first]) end++;
    attend({attention, batch, head, first, end}, scratch);
    first = end;
  }
}

static void attention_of_chunk(const Attention& attention, const Batch& batch, int64_t head,
                               int64_t row, int64_t chunk, float* part, float* memory) {
  const Rows rows(attention, batch, head, row, row + 1);
  const AttentionScratch scratch(memory, rows.queries(), rows.dim);
  bring_queries(rows, scratch.q);
  attend_chunk(rows, chunk, scratch, Sums(part, rows.queries(), rows.padded));
}

static void attention_merge(const Attention& attention, const Batch& batch, int64_t head,
                            int64_t row, float* parts) {
  const Rows rows(attention, batch, head, row, row + 1);
  const Sums sums(parts, rows.group, rows.padded);
  const int64_t chunks = batch.positions[row] / attention_chunk + 1;
  const int64_t floats = Sums::floats(rows.group, rows.padded);
  for (int64_t chunk = 1; chunk < chunks; chunk++) {
    const Sums part(parts + chunk * floats, rows.group, rows.padded);
    for (int64_t query = 0; query < rows.group; query++) merge(sums, part, query, rows.padded);
  }
  give_out(rows, sums);
}

}  // namespace TK_LEVEL
