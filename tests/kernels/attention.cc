// SPDX-License-Identifier: Apache-2.0
//
// store and attention together: the rows are the positions of sequences that take turns. The cache
// is full of NaN before: nothing that a row does not see may reach it.

#include "machine.h"
#include "tokamak/tokamak.h"

namespace tokamak::tests {
namespace {

struct Attention : Problem {
  std::string type;
  int64_t sequences, heads, kv_heads, head_dim;
  float scale;
  std::vector<float> q, k, v;  // [rows, heads or kv_heads, head_dim]

  std::vector<float> run(Machine& machine, int chunk) const override {
    const int64_t longest = (rows + sequences - 1) / sequences;
    const int pages = static_cast<int>((longest + TK_PAGE_TOKENS - 1) / TK_PAGE_TOKENS);
    const int all_pages = static_cast<int>(sequences) * pages;
    const int number = type_of(type).number, layers = 2, layer = 1;
    const int groups = static_cast<int>(kv_heads), dim = static_cast<int>(head_dim);
    const int64_t q_width = heads * head_dim, kv_width = kv_heads * head_dim;
    const auto program = machine.program(chunk, 1, static_cast<int>(sequences), pages);
    const int64_t cache_bytes = machine.cache_bytes(number, layers, groups, dim, all_pages);
    const Array<uint8_t> cache(machine, cache_bytes);
    Array<float> step_q(machine, chunk * q_width), step_k(machine, chunk * kv_width),
        step_v(machine, chunk * kv_width);
    const Array<float> result(machine, chunk * q_width);
    program->cache(number, layers, groups, dim, all_pages, cache.data());
    program->store(layer, step_k.data(), step_v.data());
    program->attention(layer, step_q.data(), heads, scale, result.data());
    std::vector<float> out;
    in_steps(rows, chunk, [&](int64_t first, int n) {
      step_q.write(q.data() + first * q_width, n * q_width);
      step_k.write(k.data() + first * kv_width, n * kv_width);
      step_v.write(v.data() + first * kv_width, n * kv_width);
      for (int i = 0; i < n; i++) {
        program->positions[static_cast<size_t>(i)] = static_cast<int32_t>((first + i) / sequences);
        program->sequences[static_cast<size_t>(i)] = static_cast<int32_t>((first + i) % sequences);
      }
      program->step(n, 0);
      const std::vector<float> step = result.read(n * q_width);
      out.insert(out.end(), step.begin(), step.end());
    });
    return out;
  }

  /** What the cache keeps of values. */
  std::vector<float> cached(const std::vector<float>& x) const {
    std::vector<float> kept = x;
    if (type == "F16") {
      for (float& value : kept) value = half_to_float(float_to_half(value));
    } else if (type == "BF16") {
      for (float& value : kept) value = bf16_to_float(float_to_bf16(value));
    } else if (type == "Q8_0") {
      for (size_t block = 0; block < kept.size(); block += 32) {
        float largest = 0;
        for (size_t i = 0; i < 32; i++) largest = std::max(largest, std::fabs(kept[block + i]));
        const float step = half_to_float(float_to_half(largest / 127));
        for (size_t i = 0; i < 32; i++) {
          kept[block + i] = step > 0 ? std::nearbyint(kept[block + i] * (1 / step)) * step : 0;
        }
      }
    }
    return kept;
  }

  /**
   * One query over the first `seen` positions of a sequence that begins at keys and in. The sizes
   * that are rounded are those of exact arithmetic in the order of d and t; other orders pass
   * through sums of about the same size.
   */
  void attend(const float* query, const float* keys, const float* in, int64_t seen,
              Products products, Plain& out) const {
    const int64_t stride = sequences * kv_heads * head_dim;
    const Parts parts = type == "Q8_0" ? Parts::more : parts_of(type);  // scaled before the product
    const auto pages = static_cast<double>((seen + TK_PAGE_TOKENS - 1) / TK_PAGE_TOKENS);
    // A score that is off by its slack makes its weight e^slack times as large.
    std::vector<double> scores, slack, weights;
    double highest = -INFINITY, sum = 0, least_sum = 0;
    for (int64_t t = 0; t < seen; t++) {
      double score = 0, squares = 0;
      for (int64_t d = 0; d < head_dim; d++) {
        const double term = static_cast<double>(query[d]) * scale * keys[t * stride + d];
        score += term;
        // query * scale, its product with the key, the sum
        squares += term * term + product_squares(products, term, Parts::more, parts) +
                   score * score;
      }
      scores.push_back(score);
      slack.push_back(independent_roundings(squares));
      highest = std::max(highest, score);
    }
    for (int64_t t = 0; t < seen; t++) {
      const auto i = static_cast<size_t>(t);
      // score - highest, in as many steps as the highest has had; e^x is good to 2 units, each page
      slack[i] += rounding_unit * (highest - scores[i]) + 2 * rounding_unit * (1 + pages);
      weights.push_back(std::exp(scores[i] - highest));
      sum += weights[i];
      least_sum += weights[i] * std::exp(-slack[i]);
    }
    for (int64_t d = 0; d < head_dim; d++) {
      double value = 0, squares = 0, shift = 0;
      for (int64_t t = 0; t < seen; t++) {
        const double term = weights[static_cast<size_t>(t)] / sum * in[t * stride + d];
        value += term;
        // the product, the sum, a new highest score
        squares += product_squares(products, term, Parts::more, parts) + 2 * value * value;
      }
      squares += value * value * (2 * pages + 5);  // the sum of the weights, the division
      for (int64_t t = 0; t < seen; t++) {
        const auto i = static_cast<size_t>(t);
        // A weight below the least normal float may be lost.
        const double weight = weights[i] * std::expm1(slack[i]) + FLT_MIN;
        shift += weight * std::fabs(in[t * stride + d] - value);
      }
      out.exact.push_back(value);
      out.rounding.push_back(shift / least_sum + independent_roundings(squares) + FLT_MIN);
    }
  }

  void plain(Plain& out, Products products) const override {
    const std::vector<float> keys = cached(k), in = cached(v);
    for (int64_t row = 0; row < rows; row++) {
      for (int64_t head = 0; head < heads; head++) {
        const int64_t begin =
            (row % sequences * kv_heads + head / (heads / kv_heads)) * head_dim;
        attend(q.data() + (row * heads + head) * head_dim, keys.data() + begin, in.data() + begin,
               row / sequences + 1, products, out);
      }
    }
  }
};

}  // namespace

std::unique_ptr<Problem> make_attention(const Case& c, Random& random) {
  auto attention = std::make_unique<Attention>();
  attention->rows = c.number("rows");
  attention->sequences = c.number("sequences");
  attention->heads = c.number("heads");
  attention->kv_heads = c.number("kv_heads");
  attention->head_dim = c.number("head_dim");
  attention->products =
      attention->rows * attention->rows / attention->sequences * attention->heads *
      attention->head_dim;
  attention->type = c.text("type");
  attention->scale = static_cast<float>(1 / std::sqrt(static_cast<double>(attention->head_dim)));
  const int64_t kv_width = attention->kv_heads * attention->head_dim;
  attention->q =
      values("normal", attention->rows, attention->heads * attention->head_dim, random);
  attention->k = values(c.text("values"), attention->rows, kv_width, random);
  attention->v = values(c.text("values"), attention->rows, kv_width, random);
  return attention;
}

}  // namespace tokamak::tests
