// SPDX-License-Identifier: Apache-2.0
//
// What a block does with the tokens of one row of logits: cut to the first of an order, and find
// the token at which a sum of probabilities passes a number. The order is by falling key, ties to
// the lower token. Nothing is sorted: the place of a cut is found by radix selection, eight bits
// of the key a pass, and only what is left of the row is written to a list.
//
// All threads of the block call each function, with the same arguments.

#pragma once

#include "mass.cuh"
#include "reduce.cuh"

namespace tokamak::cuda {

constexpr int sample_threads = 512;
constexpr int64_t most_vocab = 1 << 22;

/** Shared memory of the functions below. */
struct Workspace {
  Mass masses[sample_threads];
  unsigned long long highs[256], lows[256];  // of the bins of a pass: both halves of their mass
  unsigned counts[256];
  double doubles[sample_threads / warp_threads];
  int ints[sample_threads / warp_threads];
  int found;
  Mass rest;
};

/** A whole number with the order of doubles; both zeros are one. */
FN uint64_t ordered(double value) {
  const uint64_t bits = __builtin_bit_cast(uint64_t, value == 0 ? 0.0 : value);
  return bits >> 63 ? ~bits : bits | uint64_t{1} << 63;
}

/** Where an order is cut: entries stay whose key is above `key` in the bits from `shift` on, or
 *  equal there and not behind index `last`. */
struct Cut {
  uint64_t key;
  int shift;
  int last;

  FN bool keeps(uint64_t other, int index) const {
    return other >> shift > key || (other >> shift == key && index <= last);
  }
};

/** The largest over the block; every thread gets it. */
FN double block_max(double value, Workspace& work) {
  for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
    const double other = __shfl_xor_sync(~0u, value, distance);
    value = other > value ? other : value;
  }
  if (threadIdx.x % warp_threads == 0) work.doubles[threadIdx.x / warp_threads] = value;
  __syncthreads();
  for (int warp = 0; warp < sample_threads / warp_threads; warp++) {
    value = work.doubles[warp] > value ? work.doubles[warp] : value;
  }
  __syncthreads();
  return value;
}

/** The sum over the block in a fixed order; every thread gets it. */
FN double block_sum(double value, Workspace& work) {
  for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(~0u, value, distance);
  }
  if (threadIdx.x % warp_threads == 0) work.doubles[threadIdx.x / warp_threads] = value;
  __syncthreads();
  double sum = 0;
  for (int warp = 0; warp < sample_threads / warp_threads; warp++) sum += work.doubles[warp];
  __syncthreads();
  return sum;
}

/** The sum of `value` over the threads before this one; *total: over all. */
FN int block_scan(int value, int* total, Workspace& work) {
  const int lane = threadIdx.x % warp_threads, warp = threadIdx.x / warp_threads;
  int up_to = value;
  for (int distance = 1; distance < warp_threads; distance *= 2) {
    const int other = __shfl_sync(~0u, up_to, (lane - distance) & (warp_threads - 1));
    if (lane >= distance) up_to += other;
  }
  if (lane == warp_threads - 1) work.ints[warp] = up_to;
  __syncthreads();
  int before = 0;
  *total = 0;
  for (int w = 0; w < sample_threads / warp_threads; w++) {
    if (w == warp) before = *total;
    *total += work.ints[w];
  }
  __syncthreads();
  return before + up_to - value;
}

/** Finds, among the first `entries` of the masses that the threads have put into `work` before a
 *  barrier, the one with which their sum reaches `target`, or the whole sum where that is less.
 *  work.found: which one; work.rest: what it is to give of the target. */
template <int entries>
FN void locate(Mass target, Workspace& work) {
  constexpr int each = entries / warp_threads;
  if (threadIdx.x < warp_threads) {
    const int lane = threadIdx.x;
    Mass mine = 0;
    for (int i = 0; i < each; i++) mine += work.masses[lane * each + i];
    Mass up_to = mine;
    for (int distance = 1; distance < warp_threads; distance *= 2) {
      const Mass other = shuffle(up_to, (lane - distance) & (warp_threads - 1));
      if (lane >= distance) up_to += other;
    }
    const Mass total = shuffle(up_to, warp_threads - 1);
    if (target > total) target = total;
    const unsigned reached = __ballot_sync(~0u, up_to >= target);
    if (lane == __ffs(static_cast<int>(reached)) - 1) {
      Mass before = up_to - mine;
      int entry = lane * each;
      while (before + work.masses[entry] < target) before += work.masses[entry++];
      work.found = entry;
      work.rest = target - before;
    }
  }
  __syncthreads();
}

/** The tokens that are left of a row, in rising order of their numbers. At first all of them, read
 *  from the row; once cut, a list. */
class Candidates {
 public:
  /** All of `vocab`. Lists go to ids and logits [vocab]. */
  FN Candidates(const float* row, int vocab, int* ids, double* logits, Workspace& work)
      : row_(row), ids_(ids), logits_(logits), work_(work), count_(vocab), listed_(false) {}

  FN int count() const { return count_; }
  FN int id(int index) const { return listed_ ? ids_[index] : index; }
  FN double logit(int index) const { return listed_ ? logits_[index] : row_[index]; }

  /** Calls body(index) for each, the threads in turn. */
  template <class Body>
  FN void each(const Body& body) const {
    for (int i = threadIdx.x; i < count_; i += sample_threads) body(i);
  }

  FN double largest() const {
    double most = -__builtin_inf();
    each([&](int i) { most = logit(i) > most ? logit(i) : most; });
    return block_max(most, work_);
  }

  /** The first in the order of logits. */
  FN int first() const {
    double most = -__builtin_inf();
    int mine = INT32_MAX;
    each([&](int i) {
      if (mine == INT32_MAX || logit(i) > most) {
        most = logit(i);
        mine = i;
      }
    });
    const double all = block_max(most, work_);
    if (threadIdx.x == 0) work_.found = INT32_MAX;
    __syncthreads();
    if (mine != INT32_MAX && most == all) atomicMin(&work_.found, mine);
    __syncthreads();
    const int found = work_.found;
    __syncthreads();
    return found < count_ ? found : 0;  // none: a NaN is in the way
  }

  /** Makes a list of all, whose logits change(logits, ids) may change, by any thread; the ids it
   *  may use as it likes. It ends with a barrier. */
  template <class Change>
  FN void list_all(const Change& change) {
    each([&](int i) { logits_[i] = row_[i]; });
    __syncthreads();
    change(logits_, ids_);
    each([&](int i) { ids_[i] = i; });
    listed_ = true;
    __syncthreads();
  }

  /** The sum of weight(index), a Mass. */
  template <class Weight>
  FN Mass total(const Weight& weight) const {
    Mass mine = 0;
    each([&](int i) { mine += weight(i); });
    for (int distance = warp_threads / 2; distance > 0; distance /= 2) {
      mine += shuffle(mine, static_cast<int>(threadIdx.x % warp_threads) ^ distance);
    }
    if (threadIdx.x % warp_threads == 0) work_.masses[threadIdx.x / warp_threads] = mine;
    __syncthreads();
    Mass sum = 0;
    for (int warp = 0; warp < sample_threads / warp_threads; warp++) sum += work_.masses[warp];
    __syncthreads();
    return sum;
  }

  /** The index, in rising order, with which the sum of the weights reaches `target`; where it never
   *  does, the last that adds to it. */
  template <class Weight>
  FN int crossing(Mass target, const Weight& weight) const {
    int begin = 0, end = count_;
    for (;;) {
      const int piece = (end - begin + sample_threads - 1) / sample_threads;
      const int from = begin + min(static_cast<int>(threadIdx.x) * piece, end - begin);
      Mass mine = 0;
      for (int i = from; i < min(from + piece, end); i++) mine += weight(i);
      work_.masses[threadIdx.x] = mine;
      __syncthreads();
      locate<sample_threads>(target, work_);
      target = work_.rest;
      begin += work_.found * piece;
      end = min(begin + piece, end);
      __syncthreads();
      if (piece <= 1) return begin;
    }
  }

  /** Where the order of falling key(index) is to be cut, so that what stays is the shortest
   *  beginning with a sum of weights that reaches `target`. */
  template <class Key, class Weight>
  FN Cut cut(Mass target, const Key& key, const Weight& weight) const {
    Cut cut{0, 64, 0};
    bool alone = false;
    while (cut.shift > 0 && !alone) {
      const int above = cut.shift;
      cut.shift -= 8;
      for (int bin = threadIdx.x; bin < 256; bin += sample_threads) {
        work_.highs[bin] = work_.lows[bin] = work_.counts[bin] = 0;
      }
      __syncthreads();
      each([&](int i) {
        const uint64_t bits = key(i);
        if (above < 64 && bits >> above != cut.key) return;
        const int bin = 255 - static_cast<int>(bits >> cut.shift & 255);  // the largest key first
        const Mass mass = weight(i);
        atomicAdd(&work_.counts[bin], 1u);
        atomicAdd(&work_.highs[bin], high_half(mass));
        atomicAdd(&work_.lows[bin], low_half(mass));
      });
      __syncthreads();
      for (int bin = threadIdx.x; bin < 256; bin += sample_threads) {
        work_.masses[bin] = (static_cast<Mass>(work_.highs[bin]) << mass_half) + work_.lows[bin];
      }
      __syncthreads();
      locate<256>(target, work_);
      target = work_.rest;
      cut.key = cut.key << 8 | static_cast<uint64_t>(255 - work_.found);
      alone = work_.counts[work_.found] == 1;
      __syncthreads();
    }
    cut.last = crossing(target, [&](int i) {
      return key(i) >> cut.shift == cut.key ? weight(i) : static_cast<Mass>(0);
    });
    return cut;
  }

  /** Keeps those for which keep(index); all where it holds for none, as it may where logits are not
   *  numbers: something is always left. */
  template <class Keep>
  FN void keep_if(const Keep& keep) {
    constexpr int run = 8;  // neighbours that a thread takes at a time
    int kept = 0;
    for (int first = 0; first < count_; first += run * sample_threads) {
      const int from = first + run * static_cast<int>(threadIdx.x);
      unsigned stays = 0;
      int ids[run];
      double logits[run];
#pragma unroll
      for (int i = 0; i < run; i++) {
        if (from + i < count_ && keep(from + i)) {
          stays |= 1u << i;
          ids[i] = id(from + i);
          logits[i] = logit(from + i);
        }
      }
      // All have read before the first writes: a list is made shorter in its place.
      int all;
      int to = kept + block_scan(__popc(stays), &all, work_);
#pragma unroll
      for (int i = 0; i < run; i++) {
        if (stays >> i & 1) {
          ids_[to] = ids[i];
          logits_[to++] = logits[i];
        }
      }
      kept += all;
    }
    if (kept > 0) {
      count_ = kept;
      listed_ = true;
    }
    __syncthreads();
  }

  /** Keeps the first k in the order of logits; all if there are not more. */
  FN void keep_top(int k) {
    if (k >= count_) return;
    keep_likely_top(k);
    const auto key = [&](int i) { return ordered(logit(i)); };
    const Cut at = cut(static_cast<Mass>(k), key, [](int) { return static_cast<Mass>(1); });
    keep_if([&](int i) { return at.keeps(key(i), i); });
  }

 private:
  /** Drops most of those that are not among the first k, in two readings: the k-th largest of the
   *  threads' own maxima is not above the k-th largest of all. */
  FN void keep_likely_top(int k) {
    if (k > sample_threads || count_ <= 2 * sample_threads) return;
    double most = -__builtin_inf();
    each([&](int i) { most = logit(i) > most ? logit(i) : most; });
    const uint64_t mine = ordered(most);
    work_.masses[threadIdx.x] = mine;
    __syncthreads();
    int before = 0;
    for (int i = 0; i < sample_threads; i++) {
      const auto other = static_cast<uint64_t>(work_.masses[i]);
      before += other > mine || (other == mine && i < static_cast<int>(threadIdx.x));
    }
    if (before == k - 1) work_.rest = mine;
    __syncthreads();
    const auto least = static_cast<uint64_t>(work_.rest);
    keep_if([&](int i) { return ordered(logit(i)) >= least; });
  }

  const float* row_;
  int* ids_;
  double* logits_;
  Workspace& work_;
  int count_;
  bool listed_;
};

}  // namespace tokamak::cuda
