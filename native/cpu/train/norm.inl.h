// SPDX-License-Identifier: Apache-2.0
//
// norm: y = x r w with r = 1 / sqrt(mean(x^2) + epsilon), over groups of dim values of a row.
// Its gradient, from d = dy and with c = sum(d w x) r^2 / dim:
//
//   dx = r (d w - x c)          dw = sum over all groups of d x r
//
// dw is summed over the groups of norm_block rows first, in order, into `partials`; when all rows
// are done, the blocks are added in order. r comes in two
// factors, so that large values do not overflow: ../inverse_root.inl.h.

#include "../inverse_root.inl.h"

namespace TK_LEVEL {

static void train_norm(const Norm& op, const Batch&, int64_t row) {
  for (int64_t group = 0; group < op.width; group += op.dim) {
    const float* x = op.x + row * op.width + group;
    float* out = op.out + row * op.width + group;
    const InverseRoot r = inverse_root(x, op.dim, op.epsilon);
    const Floats before = set(r.before), after = set(r.after);
    int64_t i = 0;
    for (; i + kLanes <= op.dim; i += kLanes) {
      store(out + i, mul(mul(mul(load(x + i), before), after), load(op.weight + i)));
    }
    if (i < op.dim) {
      const int lanes = lanes_at(i, op.dim);
      const Floats scaled = mul(mul(load_partial(x + i, lanes), before), after);
      store_partial(out + i, mul(scaled, load_partial(op.weight + i, lanes)), lanes);
    }
  }
}

static void train_norm_gradient(const NormGradient& op, const Batch&, int64_t row) {
  const bool summing = op.weight_gradient != nullptr;
  float* const partial = summing ? op.partials + row / norm_block * op.dim : nullptr;
  if (summing && row % norm_block == 0) {
    for (int64_t i = 0; i < op.dim; i += kLanes) {
      store_partial(partial + i, zero(), lanes_at(i, op.dim));
    }
  }
  for (int64_t group = 0; group < op.width; group += op.dim) {
    const float* x = op.x + row * op.width + group;
    const float* d = op.out_gradient + row * op.width + group;
    float* out = op.x_gradient + row * op.width + group;
    const InverseRoot r = inverse_root(x, op.dim, op.epsilon);
    const Floats before = set(r.before), after = set(r.after);
    // The sum over x r, which is of size 1, rather than over x: that could overflow.
    Floats sums = zero();
    for (int64_t i = 0; i < op.dim; i += kLanes) {
      const int lanes = lanes_at(i, op.dim);
      const Floats normed = mul(mul(load_partial(x + i, lanes), before), after);
      const Floats gradient = load_partial(d + i, lanes);
      sums = fma(mul(gradient, load_partial(op.weight + i, lanes)), normed, sums);
      if (summing) {
        store_partial(partial + i, fma(gradient, normed, load_partial(partial + i, lanes)), lanes);
      }
    }
    const Floats mean = set(reduce_add(sums) / static_cast<float>(op.dim));
    for (int64_t i = 0; i < op.dim; i += kLanes) {
      const int lanes = lanes_at(i, op.dim);
      const Floats normed = mul(mul(load_partial(x + i, lanes), before), after);
      const Floats weighted = mul(load_partial(d + i, lanes), load_partial(op.weight + i, lanes));
      const Floats difference = sub(weighted, mul(normed, mean));
      store_partial(out + i, mul(mul(difference, after), before), lanes);
    }
  }
}

/** Adds the blocks of the columns first .. last-1. */
static void train_norm_partials(const NormGradient& op, int64_t rows, int64_t first, int64_t last) {
  const int64_t blocks = (rows + norm_block - 1) / norm_block;
  for (int64_t i = first; i < last; i += kLanes) {
    const int lanes = lanes_at(i, last);
    Floats sum = zero();
    for (int64_t block = 0; block < blocks; block++) {
      sum = add(sum, load_partial(op.partials + block * op.dim + i, lanes));
    }
    store_partial(op.weight_gradient + i, add(load_partial(op.weight_gradient + i, lanes), sum),
                  lanes);
  }
}

}  // namespace TK_LEVEL
