// SPDX-License-Identifier: Apache-2.0
//
// update: the sum of squares of gradients, in double; AdamW over a range of the arrays, which reads
// and writes each of them once; Muon's momentum and step. Memory is the limit of all of them.

namespace TK_LEVEL {

/** Sum of the squares of x[count]: lane i of eight adds values i, i+8, ..., then the lanes. */
static double train_squares(const float* x, int64_t count) {
  typedef double Doubles __attribute__((vector_size(64)));
  typedef float Halves __attribute__((vector_size(32), aligned(4), may_alias));
  Doubles sums[2] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const Doubles a = __builtin_convertvector(*reinterpret_cast<const Halves*>(x + i), Doubles);
    const Doubles b = __builtin_convertvector(*reinterpret_cast<const Halves*>(x + i + 8), Doubles);
    sums[0] += a * a;
    sums[1] += b * b;
  }
  const Doubles both = sums[0] + sums[1];
  double sum = 0;
  for (int lane = 0; lane < 8; lane++) sum += both[lane];
  for (; i < count; i++) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

static void train_adamw(const AdamW& op, int64_t first, int64_t last) {
  const Floats factor = set(op.factor), epsilon = set(op.epsilon), shrink = set(op.shrink);
  const Floats beta1 = set(op.beta1), beta2 = set(op.beta2), rate = set(op.rate);
  const Floats rest1 = set(op.rest1), rest2 = set(op.rest2), correction = set(op.correction);
  for (int64_t i = first; i < last; i += kLanes) {
    const int lanes = lanes_at(i, last);
    const Floats g = mul(load_partial(op.gradients + i, lanes), factor);
    const Floats m = fma(load_partial(op.first_moments + i, lanes), beta1, mul(g, rest1));
    const Floats v = fma(load_partial(op.second_moments + i, lanes), beta2, mul(mul(g, g), rest2));
    const Floats root = fma(sqrt(v), correction, epsilon);
    const Floats w = mul(load_partial(op.weights + i, lanes), shrink);
    store_partial(op.weights + i, sub(w, mul(rate, div(m, root))), lanes);
    store_partial(op.first_moments + i, m, lanes);
    store_partial(op.second_moments + i, v, lanes);
    store_partial(op.gradients + i, zero(), lanes);
  }
}

static void train_momentum(const Momentum& op, int64_t first, int64_t last) {
  const Floats factor = set(op.factor), momentum = set(op.momentum), rest = set(op.rest);
  for (int64_t i = first; i < last; i += kLanes) {
    const int lanes = lanes_at(i, last);
    const Floats g = mul(mul(load_partial(op.gradients + i, lanes), factor), rest);
    const Floats moment = fma(load_partial(op.moments + i, lanes), momentum, g);
    store_partial(op.moments + i, moment, lanes);
    store_partial(op.out + i, fma(moment, momentum, g), lanes);
    store_partial(op.gradients + i, zero(), lanes);
  }
}

static void train_combine(const Combination& op, int64_t first, int64_t last) {
  const Floats a = set(op.a), b = set(op.b);
  for (int64_t i = first; i < last; i += kLanes) {
    const int lanes = lanes_at(i, last);
    const Floats other = mul(b, load_partial(op.y + i, lanes));
    store_partial(op.out + i, fma(a, load_partial(op.x + i, lanes), other), lanes);
  }
}

}  // namespace TK_LEVEL
