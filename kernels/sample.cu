// SPDX-License-Identifier: Apache-2.0
//
// sample: the next token of each sequence, and logprobs: what the model thought of it.
//   logits [m, vocab]; samplers, tokens [m]: tokamak_cuda.h says what is computed. The steps and
//   their names are those of the Java class Sampler; candidates.cuh has what they are made of
//   grid: a block of 512 threads a row     scratch: 12 bytes a logit, written where a cut keeps it
//   bytes: 8 a logit (with top-k: one reading for a bound, one to keep what is above it; everything
//   later works on some tens of tokens), greedy 4     operations: 2 a logit
//
// Keys are compared as doubles that come from the logits as in Java, so greedy and top-k agree with
// it exactly. Probabilities are the device's exp in double precision, and their sums are exact
// (mass.cuh): the bits do not depend on how threads interleave.

#include "arguments.h"
#include "candidates.cuh"
#include "launch.cuh"
#include "step.h"

namespace tokamak::cuda {
namespace {

/** exp((logit - largest) / temperature), of finite logits; 0 for -infinity. */
struct Softmax {
  const Candidates& candidates;
  double largest, temperature;

  FN double weight(int index) const {
    const double weight = exp((candidates.logit(index) - largest) / temperature);
    return weight > 0 ? (weight < 1 ? weight : 1) : 0;  // a NaN too is 0
  }
  FN Mass operator()(int index) const { return mass_of(weight(index)); }
};

FN uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/** From 0 to 1, 1 excluded: value `index` of the generator SplitMix64 (Steele, Lea and Flood 2014)
 *  that starts at the mixed seed, its upper 53 bits. */
FN double uniform(int64_t seed, int64_t index) {
  const uint64_t steps = static_cast<uint64_t>(index) + 1;
  const uint64_t bits = mix(mix(static_cast<uint64_t>(seed)) + steps * 0x9e3779b97f4a7c15u);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

/** On tokens among the recent ones, as llama.cpp defines them. `times` [vocab]: scratch. */
FN void penalize(double* logits, int* times, int vocab, const tk_cuda_sampler& sampler,
                 const int32_t* recent, int length) {
  // Several threads may have the same token: its count is first made 0 whatever was there, then
  // counted, then taken by the first that comes, who leaves -1.
  const auto each_recent = [&](const auto& body) {
    for (int i = threadIdx.x; i < length; i += sample_threads) {
      if (recent[i] >= 0 && recent[i] < vocab) body(recent[i]);
    }
    __syncthreads();
  };
  each_recent([&](int token) {
    atomicMin(&times[token], 0);
    atomicMax(&times[token], 0);
  });
  each_recent([&](int token) { atomicAdd(&times[token], 1); });
  each_recent([&](int token) {
    const int count = atomicMin(&times[token], -1);
    if (count <= 0) return;
    const double logit = logits[token];
    const double repeated =
        logit > 0 ? logit / sampler.repeat_penalty : logit * sampler.repeat_penalty;
    logits[token] = repeated - count * sampler.frequency_penalty - sampler.presence_penalty;
  });
}

/** Keeps the tokens whose surprise is closest to the expected one, up to the first that brings
 *  their sum above `mass`. False: the logits are not finite. */
FN bool keep_typical(Candidates& candidates, double mass, Workspace& work) {
  const Softmax softmax{candidates, candidates.largest(), 1};
  if (!isfinite(softmax.largest)) return false;
  const double total = double_of(candidates.total(softmax));
  const double log_total = log(total);
  double part = 0;
  candidates.each([&](int i) {
    const double weight = softmax.weight(i);
    if (weight > 0) part -= weight / total * (candidates.logit(i) - softmax.largest - log_total);
  });
  const double entropy = block_sum(part, work);
  const auto key = [&](int i) {
    return ordered(-fabs(log_total + softmax.largest - candidates.logit(i) - entropy));
  };
  const Cut at = candidates.cut(mass_above(mass > 0 ? mass * total : 0), key, softmax);
  candidates.keep_if([&](int i) { return at.keeps(key(i), i); });
  return true;
}

/** Keeps the likeliest, up to the first that brings their sum to `mass`. */
FN bool keep_mass(Candidates& candidates, double mass) {
  const Softmax softmax{candidates, candidates.largest(), 1};
  if (!isfinite(softmax.largest)) return false;
  const double total = double_of(candidates.total(softmax));
  const Mass target = mass > 0 ? mass_reaching(mass * total) : 1;  // one stays in any case
  const auto key = [&](int i) { return ordered(candidates.logit(i)); };
  const Cut at = candidates.cut(target, key, softmax);
  candidates.keep_if([&](int i) { return at.keeps(key(i), i); });
  return true;
}

/** Keeps those at least `fraction` as likely as the likeliest. */
FN bool keep_likely(Candidates& candidates, double fraction) {
  const double least = candidates.largest() + log(fraction);
  if (!isfinite(least)) return false;
  candidates.keep_if([&](int i) { return candidates.logit(i) >= least; });
  return true;
}

/** The index on which the random number falls; the first in order where logits are not finite. */
FN int draw(const Candidates& candidates, double temperature, double random) {
  const Softmax softmax{candidates, candidates.largest(), temperature};
  if (!isfinite(softmax.largest)) return candidates.first();
  const double total = double_of(candidates.total(softmax));
  return candidates.crossing(mass_above(random * total), softmax);
}

FN int choose(Candidates& candidates, const tk_cuda_sampler& sampler, Workspace& work) {
  if (!(sampler.temp > 0)) return candidates.first();
  if (sampler.top_k > 0) candidates.keep_top(sampler.top_k);
  const bool finite = (!(sampler.typical < 1) || keep_typical(candidates, sampler.typical, work)) &&
                      (!(sampler.top_p < 1) || keep_mass(candidates, sampler.top_p)) &&
                      (!(sampler.min_p > 0) || keep_likely(candidates, sampler.min_p));
  if (!finite) return candidates.first();
  return draw(candidates, sampler.temp, uniform(sampler.seed, sampler.index));
}

/** Where the list of a row lies in the scratch memory. */
struct List {
  double* logits;
  int* ids;
};

__host__ __device__ constexpr int64_t list_bytes(int64_t vocab) {
  return (12 * vocab + 255) / 256 * 256;
}

FN List list_of(void* scratch, int64_t row, int vocab) {
  auto* logits =
      reinterpret_cast<double*>(static_cast<char*>(scratch) + row * list_bytes(vocab));
  return {logits, reinterpret_cast<int*>(logits + vocab)};
}

__global__ void __launch_bounds__(sample_threads, 1)
    sample(const int32_t* outputs, const float* logits, int vocab, const tk_cuda_sampler* samplers,
           const int32_t* recent, int64_t most_recent, void* scratch, int32_t* tokens) {
  const int64_t row = blockIdx.x;
  if (row >= *outputs) return;
  SHARED(Workspace, work, 1);
  const tk_cuda_sampler sampler = samplers[row];
  const List list = list_of(scratch, row, vocab);
  const float* given = logits + row * vocab;
  Candidates candidates(given, vocab, list.ids, list.logits, work[0]);
  const int length = static_cast<int>(min(static_cast<int64_t>(sampler.recent), most_recent));
  if (length > 0 && (sampler.repeat_penalty != 1 || sampler.presence_penalty != 0 ||
                     sampler.frequency_penalty != 0)) {
    candidates.list_all([&](double* changed, int* times) {
      penalize(changed, times, vocab, sampler, recent + row * most_recent, length);
    });
  }
  const int chosen = choose(candidates, sampler, work[0]);
  if (threadIdx.x == 0) tokens[row] = candidates.id(chosen);
}

__global__ void __launch_bounds__(sample_threads, 1)
    logprobs(const int32_t* outputs, const float* logits, int vocab, const int32_t* tokens, int top,
             void* scratch, double* chosen, int32_t* top_tokens, double* top_logprobs) {
  const int64_t row = blockIdx.x;
  if (row >= *outputs) return;
  SHARED(Workspace, work, 1);
  const List list = list_of(scratch, row, vocab);
  const float* given = logits + row * vocab;
  Candidates candidates(given, vocab, list.ids, list.logits, work[0]);
  const double largest = candidates.largest();
  const double log_total = log(double_of(candidates.total(Softmax{candidates, largest, 1})));
  if (threadIdx.x == 0) {
    chosen[row] = static_cast<double>(given[tokens[row]]) - largest - log_total;
  }
  if (top == 0) return;
  candidates.keep_top(top);
  candidates.each([&](int i) {
    const double logit = candidates.logit(i);
    const uint64_t key = ordered(logit);  // unlike the logit, it has a place even if it is a NaN
    int rank = 0;
    for (int j = 0; j < candidates.count(); j++) {
      const uint64_t other = ordered(candidates.logit(j));
      rank += other > key || (other == key && j < i);
    }
    top_tokens[row * top + rank] = candidates.id(i);
    top_logprobs[row * top + rank] = logit - largest - log_total;
  });
}

}  // namespace
}  // namespace tokamak::cuda

using namespace tokamak::cuda;

int64_t tk_cuda_sample_bytes(int outputs, int64_t vocab) {
  Arguments arguments("tk_cuda_sample_bytes");
  arguments.range("outputs", outputs, 1, most_rows).range("vocab", vocab, 1, most_vocab);
  return arguments.status() == TK_OK ? outputs * list_bytes(vocab) : -1;
}

int tk_cuda_sample(tk_cuda_step* step, const float* logits, int64_t vocab,
                   const tk_cuda_sampler* samplers, const int32_t* recent, int64_t most_recent,
                   void* scratch, int32_t* tokens) {
  Arguments arguments("tk_cuda_sample");
  arguments.step(step)
      .pointer("logits", logits)
      .range("vocab", vocab, 1, most_vocab)
      .pointer("samplers", samplers)
      .range("most_recent", most_recent, 0, most_width)
      .pointer("scratch", static_cast<const double*>(scratch))
      .pointer("tokens", tokens);
  if (most_recent > 0) arguments.pointer("recent", recent);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(8.0 * step->outputs * vocab, 2.0 * step->outputs * vocab);
  return launch(step->stream, {static_cast<unsigned>(step->outputs), sample_threads}, sample,
                step->counts + 1, logits, static_cast<int>(vocab), samplers, recent, most_recent,
                scratch, tokens);
}

int tk_cuda_logprobs(tk_cuda_step* step, const float* logits, int64_t vocab, const int32_t* tokens,
                     int top, void* scratch, double* chosen, int32_t* top_tokens,
                     double* top_logprobs) {
  Arguments arguments("tk_cuda_logprobs");
  arguments.step(step)
      .pointer("logits", logits)
      .range("vocab", vocab, 1, most_vocab)
      .pointer("tokens", tokens)
      .range("top", top, 0, vocab < TK_CUDA_MOST_TOP ? vocab : TK_CUDA_MOST_TOP)
      .pointer("scratch", static_cast<const double*>(scratch))
      .pointer("chosen", chosen);
  if (top > 0) arguments.pointer("top_tokens", top_tokens).pointer("top_logprobs", top_logprobs);
  if (arguments.status() != TK_OK) return arguments.status();
  report_work(8.0 * step->outputs * vocab, 20.0 * step->outputs * vocab);
  return launch(step->stream, {static_cast<unsigned>(step->outputs), sample_threads}, logprobs,
                step->counts + 1, logits, static_cast<int>(vocab), tokens, top, scratch, chosen,
                top_tokens, top_logprobs);
}
