// SPDX-License-Identifier: Apache-2.0
//
// attention: causal softmax(q k^T * scale) v of one sequence and one key-value head, and its
// gradients, without a matrix of T^2 scores (Dao et al. 2022).
//
// A sequence is cut into blocks of 64 rows, both as queries and as keys. For a pair of blocks scores
// are a tile [64, 64] in the first-level cache; everything else is products of tiles that stay in
// registers while they are summed. What products read is first brought into scratch: head by head,
// a row padded with zeros to whole vectors, rows padded with zeros to a multiple of 16. On the
// diagonal, strips of 16 rows leave out what no row of them sees, and the mask covers the rest.
//
//   forward, a block of queries after the other, over the blocks of keys in order, online:
//     s = (scale q) k^T;  m' = max(m, s);  p = e^(s - m');  l = l e^(m - m') + p
//     o = o e^(m - m') + p v;  at the end out = o / l, log sum = m + log l
//   backward, a block of keys after the other, over the blocks of queries that see them:
//     p = e^(s - log sum), from the same bits of s;  e = p (dout v^T - sum(dout out))
//     dv += p^T dout;  dk += e^T (scale q);  dq += e k, times scale at the end
//
// dk and dv are summed over the heads of the group in order. All orders depend on the length of the
// sequence alone.

namespace TK_LEVEL {

constexpr int64_t attention_block = 64, attention_strip = 16;

TK_INLINE int64_t rounded_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

// ---- products of tiles --------------------------------------------------------------------

// Vectors of a register tile, and rows for as many: what is summed fits beside what is loaded.
#if defined(TK_VEC_AVX512)
constexpr int most_vectors = 4;
template <int Vectors>
constexpr int rows_for = Vectors > 2 ? 4 : 8;
#elif defined(TK_VEC_AVX2)
constexpr int most_vectors = 2;
template <int Vectors>
constexpr int rows_for = Vectors == 2 ? 2 : 4;
#else
constexpr int most_vectors = 1;
template <int Vectors>
constexpr int rows_for = 2;
#endif

/** c[rows, vectors] (=|+=) a b; a is [rows, depth], or [depth, rows] where Transposed. */
template <int Rows, int Vectors, bool Transposed>
TK_INLINE void tile_product(int64_t depth, const float* a, int64_t a_stride, const float* b,
                            int64_t b_stride, bool accumulate, float* c, int64_t c_stride) {
  Floats sums[Rows][Vectors];
  TK_UNROLL for (int i = 0; i < Rows; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) {
      sums[i][j] = accumulate ? load(c + i * c_stride + j * kLanes) : zero();
    }
  }
  for (int64_t d = 0; d < depth; d++) {
    Floats factors[Vectors];
    TK_UNROLL for (int j = 0; j < Vectors; j++) factors[j] = load(b + d * b_stride + j * kLanes);
    TK_UNROLL for (int i = 0; i < Rows; i++) {
      const Floats one = set(Transposed ? a[d * a_stride + i] : a[i * a_stride + d]);
      TK_UNROLL for (int j = 0; j < Vectors; j++) sums[i][j] = fma(one, factors[j], sums[i][j]);
    }
  }
  TK_UNROLL for (int i = 0; i < Rows; i++) {
    TK_UNROLL for (int j = 0; j < Vectors; j++) store(c + i * c_stride + j * kLanes, sums[i][j]);
  }
}

template <int Vectors, bool Transposed>
TK_INLINE void strip_product(int64_t rows, int64_t depth, const float* a, int64_t a_stride,
                             const float* b, int64_t b_stride, bool accumulate, float* c,
                             int64_t c_stride) {
  constexpr int step = rows_for<Vectors>;
  for (int64_t i = 0; i < rows; i += step) {
    tile_product<step, Vectors, Transposed>(depth, Transposed ? a + i : a + i * a_stride, a_stride,
                                            b, b_stride, accumulate, c + i * c_stride, c_stride);
  }
}

/** The same of any size: rows a multiple of 8, columns of 16. */
template <bool Transposed>
static void product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                    const float* b, int64_t b_stride, bool accumulate, float* c, int64_t c_stride) {
  constexpr int64_t width = most_vectors * kLanes;
  int64_t j = 0;
  for (; j + width <= columns; j += width) {
    strip_product<most_vectors, Transposed>(rows, depth, a, a_stride, b + j, b_stride, accumulate,
                                            c + j, c_stride);
  }
  if constexpr (most_vectors > 2) {
    for (; j + 2 * kLanes <= columns; j += 2 * kLanes) {
      strip_product<2, Transposed>(rows, depth, a, a_stride, b + j, b_stride, accumulate, c + j,
                                   c_stride);
    }
  }
  for (; j < columns; j += kLanes) {
    strip_product<1, Transposed>(rows, depth, a, a_stride, b + j, b_stride, accumulate, c + j,
                                 c_stride);
  }
}

// ---- scratch ------------------------------------------------------------------------------

/** Parts of a thread's scratch, one behind the other. */
struct Parts {
  float* base;
  int64_t floats = 0;
  float* take(int64_t count) {
    float* const here = base == nullptr ? nullptr : base + floats;
    floats += rounded_up(count, kLanes);
    return here;
  }
};

/** A sequence's rows of one head, in scratch: rows and padded as the file's header says. */
struct HeadShape {
  int64_t rows;    // of the sequence
  int64_t all;     // rounded up to strips
  int64_t dim;     // of a head
  int64_t padded;  // rounded up to vectors
  HeadShape(int64_t length, int64_t head_dim)
      : rows(length),
        all(rounded_up(length, attention_strip)),
        dim(head_dim),
        padded(rounded_up(head_dim, kLanes)) {}
  int64_t values() const { return all * padded; }
  /** Rows of the block that begins there. */
  int64_t block(int64_t first) const {
    return all - first < attention_block ? all - first : attention_block;
  }
};

struct ForwardScratch {
  float* keys;    // transposed: [blocks][dim][64]
  float* values;  // [all][padded]
  float* q;       // [64][padded], of a block, scaled
  float* o;       // [64][padded]
  float* p;       // [64][64]
  float* l;       // [64][16]
  float* m;       // [64]
  int64_t floats;
  ForwardScratch(float* base, const HeadShape& shape) {
    Parts parts{base};
    keys = parts.take(rounded_up(shape.all, attention_block) * shape.dim);
    values = parts.take(shape.values());
    q = parts.take(attention_block * shape.padded);
    o = parts.take(attention_block * shape.padded);
    p = parts.take(attention_block * attention_block);
    l = parts.take(attention_block * kLanes);
    m = parts.take(attention_block);
    floats = parts.floats;
  }
};

struct BackwardScratch {
  float* keys;               // [all][padded]
  float* keys_transposed;    // [blocks][dim][64]
  float* values_transposed;  // [blocks][dim][64]
  float* q;                  // [all][padded], of a head, scaled
  float* d;                  // [all][padded], dout
  float* q_gradient;         // [all][padded]
  float* k_gradient;         // [all][padded]
  float* v_gradient;         // [all][padded]
  float* log_sums;           // [all]; of rows that are none: infinity
  float* deltas;             // [all], sum(dout out)
  float* p;                  // [64][64]
  float* e;                  // [64][64]
  int64_t floats;
  BackwardScratch(float* base, const HeadShape& shape) {
    Parts parts{base};
    const int64_t transposed = rounded_up(shape.all, attention_block) * shape.dim;
    keys = parts.take(shape.values());
    keys_transposed = parts.take(transposed);
    values_transposed = parts.take(transposed);
    q = parts.take(shape.values());
    d = parts.take(shape.values());
    q_gradient = parts.take(shape.values());
    k_gradient = parts.take(shape.values());
    v_gradient = parts.take(shape.values());
    log_sums = parts.take(shape.all);
    deltas = parts.take(shape.all);
    p = parts.take(attention_block * attention_block);
    e = parts.take(attention_block * attention_block);
    floats = parts.floats;
  }
};

static int64_t train_attention_scratch(int64_t head_dim, int64_t rows) {
  const HeadShape shape(rows, head_dim);
  const int64_t forward = ForwardScratch(nullptr, shape).floats;
  const int64_t backward = BackwardScratch(nullptr, shape).floats;
  return forward > backward ? forward : backward;
}

/** Rows first .. last-1 (of `rows`, those beyond are zero) of a head, padded, times a factor. */
static void bring_rows(const float* x, int64_t stride, int64_t dim, int64_t padded, int64_t first,
                       int64_t last, int64_t rows, float factor, float* out) {
  for (int64_t row = first; row < last; row++, out += padded) {
    for (int64_t i = 0; i < padded; i += kLanes) {
      const int lanes = row >= rows ? 0 : lanes_at(i, dim);
      store(out + i, mul(load_partial(x + row * stride + i, lanes), set(factor)));
    }
  }
}

/** All rows of a head, transposed by blocks of 64; columns that are no row's are zero up to the end
 *  of their strip. */
static void bring_transposed(const float* x, int64_t stride, const HeadShape& shape, float* out) {
  for (int64_t first = 0; first < shape.all; first += attention_block) {
    const int64_t block = shape.block(first);
    for (int64_t row = 0; row < block; row++) {
      const bool real = first + row < shape.rows;
      const float* from = x + (first + row) * stride;
      for (int64_t i = 0; i < shape.dim; i++) out[i * attention_block + row] = real ? from[i] : 0;
    }
    out += attention_block * shape.dim;
  }
}

/** Writes the rows of a head back, times a factor. */
static void give_rows(const float* x, const HeadShape& shape, float factor, float* out,
                      int64_t stride) {
  for (int64_t row = 0; row < shape.rows; row++) {
    for (int64_t i = 0; i < shape.dim; i += kLanes) {
      store_partial(out + row * stride + i, mul(load(x + row * shape.padded + i), set(factor)),
                    lanes_at(i, shape.dim));
    }
  }
}

// ---- forward ------------------------------------------------------------------------------

/** Takes the scores of a row, `vectors` of them with `lanes` in the last, into its softmax. */
TK_INLINE void weigh(float* p, int vectors, int lanes, float& m, float* l, float* o,
                     int64_t padded) {
  const Floats nothing = set(-__builtin_inff());
  Floats most = nothing;
  for (int j = 0; j < vectors; j++) {
    Floats s = load(p + j * kLanes);
    if (j + 1 == vectors) s = first_lanes(lanes, s, nothing);
    most = max(s, most);
  }
  const float highest = reduce_max(most);
  Floats sums = load(l);
  if (highest > m) {
    const Floats factor = exp(set(m - highest));
    sums = mul(sums, factor);
    for (int64_t i = 0; i < padded; i += kLanes) store(o + i, mul(load(o + i), factor));
    m = highest;
  }
  for (int j = 0; j < vectors; j++) {
    Floats e = exp(sub(load(p + j * kLanes), set(m)));
    if (j + 1 == vectors) e = first_lanes(lanes, e, zero());
    store(p + j * kLanes, e);
    sums = add(sums, e);
  }
  store(l, sums);
}

static void train_attention(const Attention& op, int64_t first, int64_t last, int64_t kv_head,
                            float* memory) {
  const HeadShape shape(last - first, op.head_dim);
  const ForwardScratch s(memory, shape);
  const int64_t group = op.heads / op.kv_heads, dim = shape.dim, padded = shape.padded;
  const int64_t kv_stride = op.kv_heads * dim, stride = op.heads * dim;
  constexpr int64_t block = attention_block, strip = attention_strip;
  bring_transposed(op.k + first * kv_stride + kv_head * dim, kv_stride, shape, s.keys);
  bring_rows(op.v + first * kv_stride + kv_head * dim, kv_stride, dim, padded, 0, shape.all,
             shape.rows, 1, s.values);

  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
    for (int64_t queries = 0; queries < shape.all; queries += block) {
      const int64_t rows = shape.block(queries);
      bring_rows(op.q + first * stride + head * dim, stride, dim, padded, queries, queries + rows,
                 shape.rows, op.scale, s.q);
      for (int64_t i = 0; i < rows * padded; i += kLanes) store(s.o + i, zero());
      for (int64_t row = 0; row < rows; row++) {
        store(s.l + row * kLanes, zero());
        s.m[row] = -__builtin_inff();
      }
      for (int64_t keys = 0; keys < queries; keys += block) {
        product<false>(rows, block, dim, s.q, padded, s.keys + keys * dim, block, false, s.p, block);
        for (int64_t row = 0; row < rows; row++) {
          weigh(s.p + row * block, block / kLanes, kLanes, s.m[row], s.l + row * kLanes,
                s.o + row * padded, padded);
        }
        product<false>(rows, padded, block, s.p, block, s.values + keys * padded, padded, true, s.o,
                       padded);
      }
      for (int64_t from = 0; from < rows; from += strip) {  // the diagonal
        float* const p = s.p + from * block;
        product<false>(strip, from + strip, dim, s.q + from * padded, padded,
                       s.keys + queries * dim, block, false, p, block);
        for (int64_t row = 0; row < strip; row++) {
          weigh(p + row * block, static_cast<int>(from / kLanes) + 1, static_cast<int>(row) + 1,
                s.m[from + row], s.l + (from + row) * kLanes, s.o + (from + row) * padded, padded);
        }
        product<false>(strip, padded, from + strip, p, block, s.values + queries * padded, padded,
                       true, s.o + from * padded, padded);
      }
      for (int64_t row = 0; row < rows && queries + row < shape.rows; row++) {
        const float sum = reduce_add(load(s.l + row * kLanes));
        const int64_t at = first + queries + row;
        op.log_sums[at * op.heads + head] =
            static_cast<float>(static_cast<double>(s.m[row]) + __builtin_log(sum));
        float* const out = op.out + at * stride + head * dim;
        for (int64_t i = 0; i < dim; i += kLanes) {
          store_partial(out + i, div(load(s.o + row * padded + i), set(sum)), lanes_at(i, dim));
        }
      }
    }
  }
}

// ---- backward -----------------------------------------------------------------------------

/** Of a row's scores in p and of dout v^T in e: weights into p, gradients of scores into e. */
TK_INLINE void scores_gradient(float* p, float* e, int vectors, int lanes, float log_sum,
                               float delta) {
  for (int j = 0; j < vectors; j++) {
    Floats weight = exp(sub(load(p + j * kLanes), set(log_sum)));
    if (j + 1 == vectors) weight = first_lanes(lanes, weight, zero());
    store(p + j * kLanes, weight);
    store(e + j * kLanes, mul(weight, sub(load(e + j * kLanes), set(delta))));
  }
}

static void train_attention_gradient(const AttentionGradient& op, int64_t first, int64_t last,
                                     int64_t kv_head, float* memory) {
  const Attention& forward = op.forward;
  const HeadShape shape(last - first, forward.head_dim);
  const BackwardScratch s(memory, shape);
  const int64_t group = forward.heads / forward.kv_heads, dim = shape.dim, padded = shape.padded;
  const int64_t kv_stride = forward.kv_heads * dim, stride = forward.heads * dim;
  const int64_t kv_at = first * kv_stride + kv_head * dim;
  constexpr int64_t block = attention_block, strip = attention_strip;
  bring_rows(forward.k + kv_at, kv_stride, dim, padded, 0, shape.all, shape.rows, 1, s.keys);
  bring_transposed(forward.k + kv_at, kv_stride, shape, s.keys_transposed);
  bring_transposed(forward.v + kv_at, kv_stride, shape, s.values_transposed);
  for (int64_t i = 0; i < shape.values(); i += kLanes) {
    store(s.k_gradient + i, zero());
    store(s.v_gradient + i, zero());
  }

  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
    const int64_t at = first * stride + head * dim;
    bring_rows(forward.q + at, stride, dim, padded, 0, shape.all, shape.rows, forward.scale, s.q);
    bring_rows(op.out_gradient + at, stride, dim, padded, 0, shape.all, shape.rows, 1, s.d);
    for (int64_t i = 0; i < shape.values(); i += kLanes) store(s.q_gradient + i, zero());
    for (int64_t row = 0; row < shape.all; row++) {
      s.deltas[row] = 0;
      s.log_sums[row] = __builtin_inff();
      if (row >= shape.rows) continue;
      Floats sum = zero();
      for (int64_t i = 0; i < dim; i += kLanes) {
        sum = fma(load_partial(forward.out + at + row * stride + i, lanes_at(i, dim)),
                  load(s.d + row * padded + i), sum);
      }
      s.deltas[row] = reduce_add(sum);
      s.log_sums[row] = forward.log_sums[(first + row) * forward.heads + head];
    }

    for (int64_t keys = 0; keys < shape.all; keys += block) {
      const int64_t columns = shape.block(keys);
      const float* const k = s.keys + keys * padded;
      const float* const kt = s.keys_transposed + keys * dim;
      const float* const vt = s.values_transposed + keys * dim;
      float* const dk = s.k_gradient + keys * padded;
      float* const dv = s.v_gradient + keys * padded;
      for (int64_t from = 0; from < columns; from += strip) {  // the diagonal
        const int64_t row_at = keys + from;
        float* const p = s.p + from * block;
        float* const e = s.e + from * block;
        product<false>(strip, from + strip, dim, s.q + row_at * padded, padded, kt, block, false, p,
                       block);
        product<false>(strip, from + strip, dim, s.d + row_at * padded, padded, vt, block, false, e,
                       block);
        for (int64_t row = 0; row < strip; row++) {
          scores_gradient(p + row * block, e + row * block, static_cast<int>(from / kLanes) + 1,
                          static_cast<int>(row) + 1, s.log_sums[row_at + row],
                          s.deltas[row_at + row]);
        }
        product<false>(strip, padded, from + strip, e, block, k, padded, true,
                       s.q_gradient + row_at * padded, padded);
      }
      for (int64_t from = 0; from < columns; from += strip) {
        const int64_t depth = columns - from, row_at = keys + from;
        product<true>(strip, padded, depth, s.p + from * block + from, block,
                      s.d + row_at * padded, padded, true, dv + from * padded, padded);
        product<true>(strip, padded, depth, s.e + from * block + from, block,
                      s.q + row_at * padded, padded, true, dk + from * padded, padded);
      }
      for (int64_t queries = keys + block; queries < shape.all; queries += block) {
        const int64_t rows = shape.block(queries);
        const float* const q = s.q + queries * padded;
        const float* const d = s.d + queries * padded;
        product<false>(rows, block, dim, q, padded, kt, block, false, s.p, block);
        product<false>(rows, block, dim, d, padded, vt, block, false, s.e, block);
        for (int64_t row = 0; row < rows; row++) {
          scores_gradient(s.p + row * block, s.e + row * block, block / kLanes, kLanes,
                          s.log_sums[queries + row], s.deltas[queries + row]);
        }
        product<true>(block, padded, rows, s.p, block, d, padded, true, dv, padded);
        product<true>(block, padded, rows, s.e, block, q, padded, true, dk, padded);
        product<false>(rows, padded, block, s.e, block, k, padded, true,
                       s.q_gradient + queries * padded, padded);
      }
    }
    give_rows(s.q_gradient, shape, forward.scale, op.q_gradient + at, stride);
  }
  give_rows(s.k_gradient, shape, 1, op.k_gradient + kv_at, kv_stride);
  give_rows(s.v_gradient, shape, 1, op.v_gradient + kv_at, kv_stride);
}

}  // namespace TK_LEVEL
