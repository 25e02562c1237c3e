// SPDX-License-Identifier: Apache-2.0
//
// The operations of training that work value by value on a row: add, scale, embed, select, rope,
// gate, and their gradients. Each reads and writes a row once; neighbours on the tape share it while
// it is in the first-level cache.

namespace TK_LEVEL {

/** Lanes of the vector at i of `width` values. */
TK_INLINE int lanes_at(int64_t i, int64_t width) {
  return width - i < kLanes ? static_cast<int>(width - i) : kLanes;
}

static void copy_row(const float* from, float* to, int64_t width) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) store(to + i, load(from + i));
  if (i < width) store_partial(to + i, load_partial(from + i, lanes_at(i, width)), lanes_at(i, width));
}

/** to += from. */
static void add_row(const float* from, float* to, int64_t width) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) store(to + i, add(load(to + i), load(from + i)));
  if (i < width) {
    const int lanes = lanes_at(i, width);
    store_partial(to + i, add(load_partial(to + i, lanes), load_partial(from + i, lanes)), lanes);
  }
}

static void train_embed(const Embed& op, const Batch& batch, int64_t row) {
  copy_row(op.table + batch.tokens[row] * op.dim, op.out + row * op.dim, op.dim);
}

/** Columns first .. last-1 of all rows, in order. */
static void train_embed_gradient(const EmbedGradient& op, const Batch& batch, int64_t first,
                                 int64_t last) {
  for (int64_t row = 0; row < batch.n; row++) {
    add_row(op.out_gradient + row * op.dim + first,
            op.table_gradient + batch.tokens[row] * op.dim + first, last - first);
  }
}

static void train_add(const Add& op, const Batch&, int64_t row) {
  const float* x = op.x + row * op.width;
  const float* y = op.y + row * op.width;
  float* out = op.out + row * op.width;
  int64_t i = 0;
  for (; i + kLanes <= op.width; i += kLanes) store(out + i, add(load(x + i), load(y + i)));
  if (i < op.width) {
    const int lanes = lanes_at(i, op.width);
    store_partial(out + i, add(load_partial(x + i, lanes), load_partial(y + i, lanes)), lanes);
  }
}

static void train_scale(const Scale& op, const Batch&, int64_t row) {
  const float* x = op.x + row * op.width;
  float* out = op.out + row * op.width;
  const Floats factor = set(op.factor);
  for (int64_t i = 0; i < op.width; i += kLanes) {
    const int lanes = lanes_at(i, op.width);
    store_partial(out + i, mul(load_partial(x + i, lanes), factor), lanes);
  }
}

static void train_select(const Select& op, const Batch& batch, int64_t output) {
  copy_row(op.x + batch.outputs[output] * op.width, op.out + output * op.width, op.width);
}

static void train_select_gradient(const SelectGradient& op, const Batch& batch, int64_t row) {
  float* x = op.x_gradient + row * op.width;
  int32_t output = batch.first_outputs[row];
  const int32_t last = batch.first_outputs[row + 1];
  if (output == last) {
    for (int64_t i = 0; i < op.width; i += kLanes) store_partial(x + i, zero(), lanes_at(i, op.width));
    return;
  }
  copy_row(op.out_gradient + output * op.width, x, op.width);
  for (output++; output < last; output++) add_row(op.out_gradient + output * op.width, x, op.width);
}

/** (a cos - b sin, a sin + b cos), or with the sine's sign turned; rounded after each product. What
 *  is beyond rotary_dim is copied. */
static void train_rope(const Rope& op, const Batch& batch, int64_t row) {
  const int64_t half = op.rotary_dim / 2;
  const float* cosines = op.table + batch.positions[row] * op.rotary_dim;
  const float* sines = cosines + half;
  const float sign = op.inverse ? -1.0f : 1.0f;
  const float* x = op.x + row * op.heads * op.head_dim;
  float* out = op.out + row * op.heads * op.head_dim;
  for (int64_t head = 0; head < op.heads; head++, x += op.head_dim, out += op.head_dim) {
    copy_row(x + op.rotary_dim, out + op.rotary_dim, op.head_dim - op.rotary_dim);
    if (op.pairing == 0) {  // interleaved
      for (int64_t i = 0; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1], sine = sign * sines[i];
        out[2 * i] = a * cosines[i] - b * sine;
        out[2 * i + 1] = a * sine + b * cosines[i];
      }
      continue;
    }
    for (int64_t i = 0; i < half; i += kLanes) {
      const int lanes = lanes_at(i, half);
      const Floats a = load_partial(x + i, lanes), b = load_partial(x + half + i, lanes);
      const Floats cosine = load_partial(cosines + i, lanes);
      const Floats sine = mul(set(sign), load_partial(sines + i, lanes));
      store_partial(out + i, sub(mul(a, cosine), mul(b, sine)), lanes);
      store_partial(out + half + i, add(mul(a, sine), mul(b, cosine)), lanes);
    }
  }
}

/** 1 / (1 + e^-x). */
TK_INLINE Floats logistic(Floats x) { return div(set(1), add(set(1), exp(sub(zero(), x)))); }

TK_INLINE Floats gated(Floats gate, Floats up) {
  return mul(div(gate, add(set(1), exp(sub(zero(), gate)))), up);
}

static void train_gate(const Gate& op, const Batch&, int64_t row) {
  const float* gate = op.gate + row * op.width;
  const float* up = op.up + row * op.width;
  float* out = op.out + row * op.width;
  int64_t i = 0;
  for (; i + kLanes <= op.width; i += kLanes) store(out + i, gated(load(gate + i), load(up + i)));
  if (i < op.width) {
    const int lanes = lanes_at(i, op.width);
    store_partial(out + i, gated(load_partial(gate + i, lanes), load_partial(up + i, lanes)), lanes);
  }
}

/** With s = logistic(gate): of gate: d up s (1 + gate (1 - s)); of up: d gate s. */
TK_INLINE void gate_gradients(Floats gate, Floats up, Floats d, Floats& of_gate, Floats& of_up) {
  const Floats s = logistic(gate);
  const Floats slope = mul(s, fma(gate, sub(set(1), s), set(1)));
  of_gate = mul(mul(d, up), slope);
  of_up = mul(d, mul(gate, s));
}

static void train_gate_gradient(const GateGradient& op, const Batch&, int64_t row) {
  const int64_t at = row * op.width;
  const float* gate = op.gate + at;
  const float* up = op.up + at;
  const float* d = op.out_gradient + at;
  Floats of_gate, of_up;
  int64_t i = 0;
  for (; i + kLanes <= op.width; i += kLanes) {
    gate_gradients(load(gate + i), load(up + i), load(d + i), of_gate, of_up);
    store(op.gate_gradient + at + i, of_gate);
    store(op.up_gradient + at + i, of_up);
  }
  if (i < op.width) {
    const int lanes = lanes_at(i, op.width);
    gate_gradients(load_partial(gate + i, lanes), load_partial(up + i, lanes),
                   load_partial(d + i, lanes), of_gate, of_up);
    store_partial(op.gate_gradient + at + i, of_gate, lanes);
    store_partial(op.up_gradient + at + i, of_up, lanes);
  }
}

}  // namespace TK_LEVEL
