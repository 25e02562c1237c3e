// SPDX-License-Identifier: Apache-2.0
//
// The tile of attention.cu: what a block does with the queries of a run of rows and the keys of
// their sequence. All attention kernels are made of it, so a query gets the same bits from each.
//
//   shared memory   queries, high and low parts [16 * Tiles][Dim] bfloat16
//                   32 keys, then their values, high and low parts [32][Dim]
//                   scores [Tiles][16][40], where warps share an m tile
//                   broken [32], then 1 or 2 loads: 2 pages of the cache as they are
//
//   load number     0: keys 0-31   1: their values   2: keys 32-63   3: their values ...
//                   each is widened to parts, then its place takes the next load

#pragma once

#include "cache.cuh"
#include "parts.cuh"

namespace tokamak::cuda {

constexpr int tile_keys = 32;
constexpr int split_keys = 256;
constexpr int tiles_of_split = split_keys / tile_keys;
constexpr int warps = 4, threads = 32 * warps;
constexpr unsigned whole_warp = ~0u;
constexpr float nothing = -__builtin_inff();

struct Attention {
  const int32_t* counts;
  const int32_t* positions;
  const int32_t* sequences;
  const int32_t* page_table;
  int pages_per_sequence;
  CacheLayer cache;
  const float* q;
  float* out;
  int heads, group;  // query heads, and those of one key-value head
  float scale;       // times log2(e): weights are powers of two
  int stages;        // loads of 32 keys, or of their values, that are under way
  int splits;        // of the longest sequence
  float2* sums;      // [split_rows][heads][splits] m and l; o of the same: [..][cache_row]
  float* values;
};

// ---- rows of a step -----------------------------------------------------------------------

/** Rows of one sequence that follow each other; none: count 0. */
struct Run {
  int first, count;
};

/**
 * The rows begin .. end-1 are cut where the sequence changes and at every `most`th row. Returns
 * the piece of this number, counted from the end: there a prompt has most work. A warp together.
 */
FN Run find_run(const int32_t* sequences, int begin, int end, int most, int number) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  int next = end;  // where the piece before, in this order, begins
  for (int base = begin + (end - 1 - begin) / 32 * 32; base >= begin; base -= 32) {
    const int row = base + lane;
    const bool starts =
        row < end && ((row - begin) % most == 0 || sequences[row] != sequences[row - 1]);
    unsigned bits = __ballot_sync(whole_warp, starts);
    for (; bits != 0; number--) {
      const int highest = 31 - __clz(static_cast<int>(bits));
      if (number == 0) return {base + highest, next - (base + highest)};
      next = base + highest;
      bits &= ~(1u << highest);
    }
  }
  return {0, 0};
}

// ---- what a query keeps -------------------------------------------------------------------

/** The factors for what two sets of keys have left, and their common maximum. */
struct Merge {
  float m, before, now;
};

FN Merge merge(float m, float other) {
  const float highest = fmaxf(m, other);
  const float from = highest == nothing ? 0 : highest;  // nothing - nothing is NaN
  return {highest, exp2f(m - from), exp2f(other - from)};
}

FN float merged(const Merge& by, float before, float now) {
  return fmaf(before, by.before, now * by.now);
}

/** What is written: the sum keeps -0 from depending on the keys that a query does not see. */
FN float finished(float o, float inverse) { return o * inverse + 0.0f; }

/** Of the queries g and g + 8 of an m tile, in lane 4g + t: columns 8i + 2t and 8i + 2t + 1. */
template <int Vectors>
struct Sums {
  float m[2], l[2];  // l: of this lane's keys, until a split ends
  float o[Vectors][4];

  FN void clear() {
    m[0] = m[1] = nothing;
    l[0] = l[1] = 0;
    for (int i = 0; i < Vectors; i++) {
      for (int j = 0; j < 4; j++) o[i][j] = 0;
    }
  }

  FN void add(const Sums& other) {
    for (int half = 0; half < 2; half++) {
      const Merge by = merge(m[half], other.m[half]);
      m[half] = by.m;
      l[half] = merged(by, l[half], other.l[half]);
      for (int i = 0; i < Vectors; i++) {
        for (int j = 2 * half; j < 2 * half + 2; j++) {
          o[i][j] = merged(by, o[i][j], other.o[i][j]);
        }
      }
    }
  }
};

// ---- shared memory ------------------------------------------------------------------------

/** Floats between two queries of the scores that warps exchange: 8 more than keys, so that the
 *  8 queries of a store lie in different banks. */
constexpr int score_row = tile_keys + 8;

/** Tile of an instantiation: heads of up to Dim values, Tiles m tiles of 16 queries. */
template <int Dim, int Tiles>
struct Shape {
  static constexpr int sharers = warps / Tiles;  // warps that share an m tile
  static constexpr int keys = tile_keys / sharers, dims = Dim / sharers;  // a warp's
  static constexpr int queries = 16 * Tiles;
  static constexpr int plane_bytes = tile_keys * Dim * 2;
  static constexpr int q_bytes = queries * Dim * 2;
  static constexpr int score_bytes = sharers > 1 ? Tiles * 16 * score_row * 4 : 0;
  // queries, high and low; keys or values, high and low; scores; broken; then the loads
  static constexpr int load_offset =
      2 * q_bytes + 2 * plane_bytes + score_bytes + tile_keys * static_cast<int>(sizeof(int));
};

/**
 * 16 bytes of a plane [rows][Dim] of bfloat16, columns 8 * chunk and on. The chunks of a row are
 * permuted by the row, so that the 8 rows that ldmatrix reads at once lie in different banks:
 *
 *     row 0   0 1 2 3 4 5 6 7          row 1   1 0 3 2 5 4 7 6          row 2   2 3 0 1 6 7 4 5
 */
template <int Dim>
FN char* chunk_of(char* plane, int row, int chunk) {
  return plane + row * (2 * Dim) + ((chunk ^ (row & 7)) << 4);
}

/** 8 values of a row in parts, two a word. */
struct Chunk {
  uint32_t high[4], low[4];
};

FN Chunk split_chunk(const float (&value)[8]) {
  Chunk chunk;
  for (int i = 0; i < 4; i++) {
    const Pair pair = split(value[2 * i], value[2 * i + 1]);
    chunk.high[i] = pair.high;
    chunk.low[i] = pair.low;
  }
  return chunk;
}

FN void write_words(char* place, const uint32_t (&word)[4]) {
  *reinterpret_cast<uint4*>(place) = make_uint4(word[0], word[1], word[2], word[3]);
}

/** 8 values of a row of a tile of the cache. `finite` becomes false if they are not. */
template <int Type>
FN Chunk read_chunk(const CacheLayer& cache, const char* tile, int row, int number, bool& finite) {
  const char* const from = tile + row * cache.row_bytes;
  if constexpr (Type == TYPE_BF16) {
    const uint4 words = reinterpret_cast<const uint4*>(from)[number];
    const Chunk chunk{{words.x, words.y, words.z, words.w}, {}};
    float zero = 0;
    for (int i = 0; i < 4; i++) {
      zero = fmaf(ptx::bf16_low(chunk.high[i]), 0, fmaf(ptx::bf16_high(chunk.high[i]), 0, zero));
    }
    finite = zero == 0;
    return chunk;
  } else {
    float value[8], zero = 0;
    if constexpr (Type == TYPE_Q8_0) {
      const uint2 words = reinterpret_cast<const uint2*>(from)[number];
      const float scale = ptx::half_to_float(*reinterpret_cast<const uint16_t*>(
          cache_scale(tile, row, number / (cache_block / 8), cache.head_dim)));
      for (int i = 0; i < 4; i++) {
        value[i] = scale * static_cast<float>(static_cast<int8_t>(words.x >> (8 * i)));
        value[4 + i] = scale * static_cast<float>(static_cast<int8_t>(words.y >> (8 * i)));
      }
      zero = scale * 0;
    } else if constexpr (Type == TYPE_F16) {
      const uint4 words = reinterpret_cast<const uint4*>(from)[number];
      const uint32_t word[4] = {words.x, words.y, words.z, words.w};
      for (int i = 0; i < 4; i++) {
        value[2 * i] = ptx::half_to_float(static_cast<uint16_t>(word[i]));
        value[2 * i + 1] = ptx::half_to_float(static_cast<uint16_t>(word[i] >> 16));
      }
      for (int i = 0; i < 8; i++) zero = fmaf(value[i], 0, zero);
    } else {
      const float4 first = reinterpret_cast<const float4*>(from)[2 * number];
      const float4 second = reinterpret_cast<const float4*>(from)[2 * number + 1];
      value[0] = first.x, value[1] = first.y, value[2] = first.z, value[3] = first.w;
      value[4] = second.x, value[5] = second.y, value[6] = second.z, value[7] = second.w;
      for (int i = 0; i < 8; i++) zero = fmaf(value[i], 0, zero);
    }
    finite = zero == 0;
    return split_chunk(value);
  }
}

// ---- a tile of queries --------------------------------------------------------------------

template <int Dim, int Tiles>
struct Block {
  using Shape = cuda::Shape<Dim, Tiles>;
  static constexpr int vectors = Shape::dims / 8, key_vectors = tile_keys / 8;

  const Attention& work;
  int kv_head, piece;  // of a group that has more heads than a tile has queries
  Run run;
  const int32_t* pages;  // of the run's sequence
  int keys;              // that its furthest row sees
  int steps;             // of 16 values, that a head has
  bool exact;            // keys and values are bfloat16: low parts are all 0
  int warp, lane, m_tile, share;
  int position[2];  // of the lane's queries; -1: no such query
  int furthest;     // of the warp's
  // shared
  char *q_high, *q_low, *high, *low, *loads;
  float* scores;
  int* broken;  // of 32 keys, those whose values are not all finite

  FN Block(const Attention& attention, unsigned char* shared)
      : work(attention),
        kv_head(static_cast<int>(blockIdx.x) % attention.cache.kv_heads),
        piece(static_cast<int>(blockIdx.x) / attention.cache.kv_heads),
        steps((attention.cache.head_dim + 15) / 16),
        exact(attention.cache.type == TYPE_BF16),
        warp(static_cast<int>(threadIdx.x) / 32),
        lane(static_cast<int>(threadIdx.x) % 32),
        m_tile(warp / Shape::sharers),
        share(warp % Shape::sharers) {
    q_high = reinterpret_cast<char*>(shared);
    q_low = q_high + Shape::q_bytes;
    high = q_low + Shape::q_bytes;
    low = high + Shape::plane_bytes;
    scores = reinterpret_cast<float*>(low + Shape::plane_bytes) + m_tile * 16 * score_row;
    loads = q_high + Shape::load_offset;
    broken = reinterpret_cast<int*>(loads) - tile_keys;
  }

  /** The row and head of a query of this tile; row -1: it has fewer. */
  struct Query {
    int row, head;
  };
  FN Query query(int number) const {
    const int place = piece * Shape::queries + number;
    const int row = place / work.group;
    return {row < run.count ? run.first + row : -1, kv_head * work.group + place % work.group};
  }

  /** Begins with a run: where its queries stand. False: this piece of the group has none. */
  FN bool take(const Run& next) {
    run = next;
    if (piece * Shape::queries >= run.count * work.group) return false;
    pages = work.page_table +
            static_cast<int64_t>(work.sequences[run.first]) * work.pages_per_sequence;
    int highest = 0;
    for (int i = lane; i < run.count; i += 32) {
      highest = max(highest, work.positions[run.first + i]);
    }
    furthest = -1;
    for (int half = 0; half < 2; half++) {
      const Query own = query(16 * m_tile + 8 * half + lane / 4);
      position[half] = own.row < 0 ? -1 : work.positions[own.row];
      furthest = max(furthest, position[half]);
    }
    for (int distance = 16; distance > 0; distance /= 2) {
      highest = max(highest, __shfl_xor_sync(whole_warp, highest, distance));
      furthest = max(furthest, __shfl_xor_sync(whole_warp, furthest, distance));
    }
    keys = highest + 1;
    return true;
  }

  /** Brings the queries into shared memory, in parts. */
  FN void load_queries() {
    const int dim = work.cache.head_dim;
    for (int number = static_cast<int>(threadIdx.x) / 8; number < Shape::queries;
         number += threads / 8) {
      const Query from = query(number);
      const float* const q =
          work.q + (static_cast<int64_t>(from.row) * work.heads + from.head) * dim;
      for (int chunk = lane % 8; chunk < 2 * steps; chunk += 8) {
        float value[8];
        for (int i = 0; i < 8; i++) {
          const int d = 8 * chunk + i;
          value[i] = from.row >= 0 && d < dim ? q[d] : 0;
        }
        const Chunk parts = split_chunk(value);
        write_words(chunk_of<Dim>(q_high, number, chunk), parts.high);
        write_words(chunk_of<Dim>(q_low, number, chunk), parts.low);
      }
    }
  }

  /** Starts load number 2i, the keys of tile i of 32, or 2i + 1, their values. */
  FN void start_load(int number, int end) const {
    if (number < 2 * end) {
      const int tile_bytes = work.cache.tile_bytes;
      const char* const half = number % 2 == 0 ? work.cache.keys : work.cache.values;
      char* const to = loads + (number & (work.stages - 1)) * 2 * tile_bytes;
      for (int i = 0; i < 2; i++) {
        const int page = number / 2 * 2 + i;
        const bool seen = page * TK_PAGE_TOKENS < keys;
        const char* const from = seen ? half + work.cache.tile(pages[page], kv_head) : half;
        for (int at = 16 * static_cast<int>(threadIdx.x); at < tile_bytes; at += 16 * threads) {
          ptx::copy_async<16>(to + i * tile_bytes + at, from + (seen ? at : 0), seen);
        }
      }
    }
    ptx::copy_commit();  // an empty group too: finish_load counts groups
  }

  /** Waits for a load and spreads its values over the planes, 0 where no row sees them. */
  template <bool Values>
  FN void finish_load(int number) {
    if (work.stages == 2) {
      ptx::copy_wait<1>();
    } else {
      ptx::copy_wait<0>();
    }
    __syncthreads();  // all copies have landed, and nobody reads the planes any more
    if (!Values && threadIdx.x < tile_keys) broken[threadIdx.x] = 0;
    switch (work.cache.type) {
      case TYPE_F16:
        spread<TYPE_F16, Values>(number);
        break;
      case TYPE_BF16:
        spread<TYPE_BF16, Values>(number);
        break;
      case TYPE_Q8_0:
        spread<TYPE_Q8_0, Values>(number);
        break;
      default:
        spread<TYPE_F32, Values>(number);
    }
    __syncthreads();  // the planes are whole, and the load's place is free
  }

  /** A thread has a row of each of the load's two pages, and every 8th chunk of it. */
  template <int Type, bool Values>
  FN void spread(int number) {
    static_assert(threads / 8 == TK_PAGE_TOKENS);
    const CacheLayer& cache = work.cache;
    const char* const from = loads + (number & (work.stages - 1)) * 2 * cache.tile_bytes;
    const int first_key = number / 2 * tile_keys, chunks = cache_row(cache.head_dim) / 8;
    const int row = static_cast<int>(threadIdx.x) / 8;
    char* const place = chunk_of<Dim>(high, row, lane % 8);
#pragma unroll 1
    for (int page = 0; page < 2; page++) {
      const int key = TK_PAGE_TOKENS * page + row;
      const bool seen = first_key + key < keys;
      for (int i = 0; i < Dim / 64; i++) {
        const int chunk = 8 * i + lane % 8;
        if (chunk >= 2 * steps) continue;
        Chunk parts{};
        if (seen && chunk < chunks) {
          bool finite;
          parts = read_chunk<Type>(cache, from + page * cache.tile_bytes, row, chunk, finite);
          if (Values && !finite) {
            atomicMax(&broken[key], 1);
            parts = Chunk{};
          }
          if (!Values && Type == TYPE_BF16 && !finite) {  // as the low part of an infinity would be
            for (int word = 0; word < 4; word++) parts.high[word] = 0x7fff7fff;
          }
        }
        // 16 rows and 8 chunks further on, chunk_of permutes alike
        char* const to = place + page * (TK_PAGE_TOKENS * 2 * Dim) + i * 128;
        write_words(to, parts.high);
        if (Type != TYPE_BF16) write_words(to + Shape::plane_bytes, parts.low);
      }
    }
  }

  FN PartsA load_q(int lane, int step) const {
    PartsA a;
    const int row = 16 * m_tile + lane % 16, chunk = 2 * step + lane / 16;
    ptx::load_matrix_x4(a.high, chunk_of<Dim>(q_high, row, chunk));
    ptx::load_matrix_x4(a.low, chunk_of<Dim>(q_low, row, chunk));
    return a;
  }

  /** b of 8 keys and 16 values of each. */
  FN void load_k(int lane, int first_key, int step, PartsB& b) const {
    uint32_t word[4];
    char* const plane = lane < 16 ? high : low;
    ptx::load_matrix_x4(word, chunk_of<Dim>(plane, first_key + lane % 8, 2 * step + lane / 8 % 2));
    b = {{word[0], word[1]}, {word[2], word[3]}};
  }
  FN void load_k(int lane, int first_key, int step, ExactB& b) const {
    ptx::load_matrix_x2(b.value,
                        chunk_of<Dim>(high, first_key + lane % 8, 2 * step + lane / 8 % 2));
  }

  /** b of 16 keys and 8 values of each, turned. */
  FN void load_v(int lane, int first_key, int chunk, PartsB& b) const {
    uint32_t word[4];
    char* const plane = lane < 16 ? high : low;
    ptx::load_matrix_x4_transposed(word, chunk_of<Dim>(plane, first_key + lane % 16, chunk));
    b = {{word[0], word[1]}, {word[2], word[3]}};
  }
  FN void load_v(int lane, int first_key, int chunk, ExactB& b) const {
    ptx::load_matrix_x2_transposed(b.value, chunk_of<Dim>(high, first_key + lane % 16, chunk));
  }

  /** sum += q . key of this warp's keys. */
  template <class Keys>
  FN void add_scores(float (&sum)[Shape::keys / 8][4]) const {
    const int lane = ptx::lane();
#pragma unroll 2
    for (int step = 0; step < steps; step++) {
      const PartsA a = load_q(lane, step);
      for (int i = 0; i < Shape::keys / 8; i++) {
        Keys b;
        load_k(lane, share * Shape::keys + 8 * i, step, b);
        multiply(sum[i], a, b);
      }
    }
  }

  /** s = q . key: of the m tile's 16 queries and all 32 keys, of which this warp computes some. */
  FN void multiply_keys(bool active, float (&s)[key_vectors][4]) const {
    constexpr int own = Shape::keys / 8;
    float sum[own][4] = {};
    if (active && exact) {
      add_scores<ExactB>(sum);
    } else if (active) {
      add_scores<PartsB>(sum);
    }
    if constexpr (Shape::sharers == 1) {
      for (int i = 0; i < own; i++) {
        for (int j = 0; j < 4; j++) s[i][j] = sum[i][j];
      }
    } else {
      float* const place = scores + lane / 4 * score_row + lane % 4 * 2;
      for (int i = 0; i < own; i++) {
        float* const to = place + share * Shape::keys + 8 * i;
        ptx::count_conflicts<8>(to);
        *reinterpret_cast<float2*>(to) = make_float2(sum[i][0], sum[i][1]);
        *reinterpret_cast<float2*>(to + 8 * score_row) = make_float2(sum[i][2], sum[i][3]);
      }
      __syncthreads();
      for (int i = 0; i < key_vectors; i++) {
        const float2 a = *reinterpret_cast<const float2*>(place + 8 * i);
        const float2 b = *reinterpret_cast<const float2*>(place + 8 * score_row + 8 * i);
        s[i][0] = a.x, s[i][1] = a.y, s[i][2] = b.x, s[i][3] = b.y;
      }
    }
  }

  /** From scores to weights, in place. */
  FN void weigh(int first_key, float (&s)[key_vectors][4], Sums<vectors>& sums) const {
    for (int half = 0; half < 2; half++) {
      const int seen = position[half] - first_key - lane % 4 * 2;  // of this lane's columns
      float highest = nothing;
      for (int i = 0; i < key_vectors; i++) {
        for (int j = 0; j < 2; j++) {
          float& score = s[i][2 * half + j];
          score = 8 * i + j <= seen ? score * work.scale : nothing;
          highest = fmaxf(highest, score);
        }
      }
      highest = fmaxf(highest, __shfl_xor_sync(whole_warp, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(whole_warp, highest, 2));
      highest = fmaxf(highest, sums.m[half]);
      const float from = highest == nothing ? 0 : highest;  // nothing - nothing is NaN
      const float correction = exp2f(sums.m[half] - from);
      sums.m[half] = highest;
      float l = sums.l[half] * correction;
      for (int i = 0; i < key_vectors; i++) {
        for (int j = 2 * half; j < 2 * half + 2; j++) {
          s[i][j] = exp2f(s[i][j] - from);
          l += s[i][j];
        }
      }
      sums.l[half] = l;
      for (int i = 0; i < vectors; i++) {
        for (int j = 2 * half; j < 2 * half + 2; j++) sums.o[i][j] *= correction;
      }
    }
  }

  /** o += p . values, for this warp's columns. */
  template <class Values>
  FN void add_values(const float (&p)[key_vectors][4], float (&o)[vectors][4]) const {
    const int lane = ptx::lane();
    for (int i = 0; i < tile_keys / 16; i++) {
      PartsA a;
      for (int j = 0; j < 4; j++) {  // parts.cuh has the places
        const float* const two = &p[2 * i + j / 2][j % 2 * 2];
        const Pair pair = split(two[0], two[1]);
        a.high[j] = pair.high;
        a.low[j] = pair.low;
      }
      for (int vector = 0; vector < vectors; vector++) {
        const int chunk = share * vectors + vector;
        if (chunk >= 2 * steps) continue;
        Values b;
        load_v(lane, 16 * i, chunk, b);
        multiply(o[vector], a, b);
      }
    }
  }

  FN void multiply_values(int first_key, const float (&p)[key_vectors][4],
                          Sums<vectors>& sums) const {
    if (exact) {
      add_values<ExactB>(p, sums.o);
    } else {
      add_values<PartsB>(p, sums.o);
    }
    const unsigned bad = __ballot_sync(whole_warp, broken[lane] != 0);
    if (bad != 0) {
      const int least = __ffs(static_cast<int>(bad)) - 1;
      for (int half = 0; half < 2; half++) {
        if (first_key + least <= position[half]) sums.l[half] = __uint_as_float(0x7fc00000);
      }
    }
  }

  /** Walks over the tiles of 32 keys begin .. end-1; where a split ends, calls ended(sums). */
  template <class Ended>
  FN void walk(int begin, int end, Ended ended) {
    Sums<vectors> sums;
    for (int number = 2 * begin; number < 2 * begin + work.stages; number++) {
      start_load(number, end);
    }
    sums.clear();
    for (int tile = begin; tile < end; tile++) {
      const int first_key = tile * tile_keys;
      const bool active = first_key <= furthest;  // else all is as it would be without
      float s[key_vectors][4];
      finish_load<false>(2 * tile);
      start_load(2 * tile + work.stages, end);
      multiply_keys(active, s);
      if (active) weigh(first_key, s, sums);
      finish_load<true>(2 * tile + 1);
      start_load(2 * tile + 1 + work.stages, end);
      if (active) multiply_values(first_key, s, sums);
      if (tile % tiles_of_split == tiles_of_split - 1 || tile + 1 == end) {
        for (int half = 0; half < 2; half++) {
          sums.l[half] += __shfl_xor_sync(whole_warp, sums.l[half], 1);
          sums.l[half] += __shfl_xor_sync(whole_warp, sums.l[half], 2);
        }
        ended(sums);
        sums.clear();
      }
    }
  }

  /** Writes this warp's columns of query g (half 0) or g + 8, divided by l. */
  FN void write_out(const Sums<vectors>& sums, int half) const {
    const Query to = query(16 * m_tile + 8 * half + lane / 4);
    const int dim = work.cache.head_dim;
    float* const out = work.out + (static_cast<int64_t>(to.row) * work.heads + to.head) * dim;
    const float inverse = 1 / sums.l[half];
    for (int vector = 0; vector < vectors; vector++) {
      const int d = share * Shape::dims + 8 * vector + lane % 4 * 2;
      const float first = finished(sums.o[vector][2 * half], inverse);
      const float second = finished(sums.o[vector][2 * half + 1], inverse);
      if (dim % 2 == 0) {
        if (d < dim) *reinterpret_cast<float2*>(out + d) = make_float2(first, second);
      } else {
        if (d < dim) out[d] = first;
        if (d + 1 < dim) out[d + 1] = second;
      }
    }
  }

  /** Leaves a split of a query for combine. */
  FN void write_split(const Sums<vectors>& sums, int half, int split) const {
    const Query to = query(16 * m_tile + 8 * half + lane / 4);
    const int64_t at = (static_cast<int64_t>(to.row) * work.heads + to.head) * work.splits + split;
    const int row = cache_row(work.cache.head_dim);
    for (int vector = 0; vector < vectors; vector++) {
      const int d = share * Shape::dims + 8 * vector + lane % 4 * 2;
      if (d < row) {
        *reinterpret_cast<float2*>(work.values + at * row + d) =
            make_float2(sums.o[vector][2 * half], sums.o[vector][2 * half + 1]);
      }
    }
    if (share == 0 && lane % 4 == 0) work.sums[at] = make_float2(sums.m[half], sums.l[half]);
  }
};

}  // namespace tokamak::cuda
