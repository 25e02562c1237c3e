// SPDX-License-Identifier: Apache-2.0
//
// log probability: of a row of logits, l[target] - log(sum e^l), and its gradient in place.
//
// The sum runs online (Milakov and Gimelshein 2018) over pieces of a row that stay in the
// first-level cache: each piece has its maximum, the sum so far is scaled to the largest of them.
// The logits are read from memory once, and in the backward pass once more.

namespace TK_LEVEL {

constexpr int64_t logit_piece = 2048;

static void train_log_probability(const LogProbability& op, const Batch& batch, int64_t output) {
  const float* logits = op.logits + output * op.vocab;
  float highest = -__builtin_inff();
  Floats sums = zero();
  for (int64_t piece = 0; piece < op.vocab; piece += logit_piece) {
    const int64_t end = op.vocab - piece < logit_piece ? op.vocab : piece + logit_piece;
    Floats most = set(highest), finite = zero();
    for (int64_t i = piece; i < end; i += kLanes) {
      const int lanes = lanes_at(i, end);
      const Floats l = first_lanes(lanes, load_partial(logits + i, lanes), set(highest));
      most = max(l, most);
    }
    const float before = highest;
    highest = reduce_max(most);
    // The first time there is nothing to scale, and e^(-inf + inf) is no number.
    if (highest > before && piece > 0) sums = mul(sums, exp(set(before - highest)));
    for (int64_t i = piece; i < end; i += kLanes) {
      const int lanes = lanes_at(i, end);
      const Floats e = exp(sub(load_partial(logits + i, lanes), set(highest)));
      finite = add(finite, first_lanes(lanes, e, zero()));
    }
    sums = add(sums, finite);
  }
  const double sum = static_cast<double>(reduce_add(sums));
  const double log_sum = static_cast<double>(highest) + __builtin_log(sum);
  op.log_sums[output] = static_cast<float>(log_sum);
  batch.log_probabilities[output] =
      static_cast<float>(static_cast<double>(logits[batch.targets[output]]) - log_sum);
}

static void train_log_probability_gradient(const LogProbabilityGradient& op, const Batch& batch,
                                           int64_t output) {
  float* logits = op.logits + output * op.vocab;
  const int32_t target = batch.targets[output];
  const float coefficient = batch.coefficients[output];
  const Floats log_sum = set(op.log_sums[output]), factor = set(-coefficient);
  const float target_logit = logits[target];
  int64_t i = 0;
  for (; i + kLanes <= op.vocab; i += kLanes) {
    store(logits + i, mul(factor, exp(sub(load(logits + i), log_sum))));
  }
  if (i < op.vocab) {
    const int lanes = lanes_at(i, op.vocab);
    store_partial(logits + i, mul(factor, exp(sub(load_partial(logits + i, lanes), log_sum))), lanes);
  }
  float lane[kLanes];
  store(lane, exp(sub(set(target_logit), log_sum)));
  logits[target] = coefficient * (1 - lane[0]);
}

}  // namespace TK_LEVEL
