// SPDX-License-Identifier: Apache-2.0
//
// Updates: the norm of all gradients, clipping, AdamW and Muon.
//
// Squares are summed over pieces of 16384 floats, whose sums are added in order, in double. AdamW
// goes over the same pieces. Muon takes one matrix after the other, all threads together: see
// orthogonalize.

#include <algorithm>
#include <cmath>
#include <new>

#include "../../status.h"
#include "gemm_team.h"
#include "tokamak/tokamak_train.h"
#include "train.h"

using namespace tokamak::cpu::train;
using tokamak::cpu::aligned_array;
using tokamak::cpu::AlignedArray;
using tokamak::cpu::Claims;
using tokamak::cpu::Gemm;
using tokamak::cpu::TrainKernels;

namespace {

/** Floats that one claim takes, and that are summed by themselves. */
constexpr int64_t piece = 16384;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Calls f(piece, first, last) for the pieces of `count` floats, each on one thread. */
template <typename F>
void in_pieces(int64_t count, Claims& claims, F f) {
  for (int64_t i; (i = claims.take(1)) * piece < count;) {
    f(i, i * piece, std::min(count, (i + 1) * piece));
  }
}

/** What one rule applies to: floats first .. last-1 of the arrays. */
struct Stretch {
  int64_t first, last;
  bool decays;
};

double sum_of(const double* sums, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += sums[i];
  return sum;
}

/** Jordan's coefficients of the odd polynomial that moves singular values towards 1, for five
 *  steps. */
constexpr float muon_a = 3.4445f, muon_b = -4.7750f, muon_c = 2.0315f;
constexpr int muon_steps = 5;
constexpr double muon_least = 1e-7;  // added to the norm

/** Times the root of the longer side, a step is as large as AdamW's (Liu et al. 2025). */
constexpr double muon_scale = 0.2;

/** Phases of a step of Newton and Schulz: three products of two phases each, and one more. */
constexpr int muon_phases = 2 + muon_steps * 7 + 1;

}  // namespace

/** One matrix [rows, cols] under Muon, and the memory for it. */
struct tk_train::Muon {
  tk_train* tape;
  const Parameter* parameter;
  float factor, momentum, rest, shrink, rate;
  float* pair[2];     // [rows, cols]
  float *a, *square;  // [least, least], least being the smaller of both
  double* sums;       // of pieces
  char* packed;
  std::deque<Claims> claims;  // [muon_phases]

  /**
   * Called on every thread. From x = u / |u|, five times, X being x or its transpose, whichever has
   * no more rows than columns:
   *   A = X X^T;  x = a x + (b A + c A^2) X, where x stands on its side x (b A + c A^2)
   */
  void run(int thread) {
    const int64_t rows = parameter->rows, cols = parameter->cols, count = rows * cols;
    const int64_t least = std::min(rows, cols);
    const bool tall = rows > cols;
    const TrainKernels& kernels = *tape->team->kernels->train;
    float* const own = tape->scratch[static_cast<size_t>(thread)].get();
    float *x = pair[0], *next = pair[1];
    int phase = 0;
    const auto product = [&](Gemm gemm) {
      gemm.arithmetic = tape->arithmetic;
      pack_b(kernels.gemm, gemm, packed, claims[static_cast<size_t>(phase++)]);
      tape->team->barrier();
      multiply_packed(kernels.gemm, gemm, packed, own, claims[static_cast<size_t>(phase++)]);
      tape->team->barrier();
    };
    const auto pieces = [&](int64_t floats, auto f) {
      in_pieces(floats, claims[static_cast<size_t>(phase++)], f);
      tape->team->barrier();
    };

    const State& state = tape->state;
    const Momentum start{state.gradients + parameter->offset, state.first_moments + parameter->offset,
                         x, factor, momentum, rest};
    pieces(count, [&](int64_t i, int64_t first, int64_t last) {
      kernels.momentum(start, first, last);
      sums[i] = kernels.squares(x + first, last - first);
    });
    const double norm = std::sqrt(sum_of(sums, divide_up(count, piece)));
    const auto scale = static_cast<float>(1 / (norm + muon_least));
    pieces(count, [&](int64_t, int64_t first, int64_t last) {
      kernels.combine({x, scale, x, 0, x}, first, last);
    });

    for (int step = 0; step < muon_steps; step++) {
      Gemm outer;  // A = X X^T
      outer.m = outer.n = least;
      outer.k = tall ? rows : cols;
      outer.a = outer.b = x;
      outer.a_stride = outer.b_stride = cols;
      outer.a_transposed = tall;
      outer.b_transposed = !tall;
      outer.c = a;
      outer.c_stride = least;
      product(outer);
      Gemm squared;  // A A
      squared.m = squared.n = squared.k = least;
      squared.a = squared.b = a;
      squared.a_stride = squared.b_stride = squared.c_stride = least;
      squared.c = square;
      product(squared);
      // Pieces of both arrays are one list.
      const int64_t of_square = divide_up(least * least, piece) * piece;
      pieces(of_square + count, [&](int64_t, int64_t first, int64_t last) {
        if (first < of_square) {
          kernels.combine({square, muon_b, a, muon_c, square}, first, std::min(last, least * least));
        } else {
          kernels.combine({next, muon_a, x, 0, x}, first - of_square, last - of_square);
        }
      });
      Gemm turn;
      turn.m = rows;
      turn.n = cols;
      turn.k = least;
      turn.a = tall ? x : square;
      turn.a_stride = tall ? cols : least;
      turn.b = tall ? square : x;
      turn.b_stride = cols;  // least where tall, which is cols
      turn.c = next;
      turn.c_stride = cols;
      turn.accumulate = true;
      product(turn);
      std::swap(x, next);
    }
    pieces(count, [&](int64_t, int64_t first, int64_t last) {
      float* const weights = state.weights + parameter->offset;
      kernels.combine({weights, shrink, weights, -rate, x}, first, last);
    });
  }
};

int tk_train::update(const Update& update, double& norm) {
  finish_plans();  // for the scratch
  failed = -1;
  const TrainKernels& kernels = *team->kernels->train;
  const int64_t pieces = divide_up(state.count, piece);
  std::vector<double> sums(static_cast<size_t>(pieces));
  struct Squares {
    tk_train* tape;
    double* sums;
    Claims claims;
  } squares{this, sums.data(), {}};
  int status = team->run(
      [](void* context, int) {
        Squares& job = *static_cast<Squares*>(context);
        const State& state = job.tape->state;
        in_pieces(state.count, job.claims, [&](int64_t i, int64_t first, int64_t last) {
          job.sums[i] =
              job.tape->team->kernels->train->squares(state.gradients + first, last - first);
        });
      },
      &squares);
  if (status != TK_OK) return status;
  norm = std::sqrt(sum_of(sums.data(), pieces));
  if (!std::isfinite(norm)) {
    for (size_t i = 0; failed < 0 && i < parameters.size(); i++) {
      const Parameter& p = parameters[i];
      if (!team->kernels->finite(state.gradients + p.offset, p.rows * p.cols)) {
        failed = static_cast<int>(i);
      }
    }
    return tokamak::fail(TK_NOT_FINITE, "tk_train_update: the norm of the gradients is %g, first in "
                         "parameter %d", norm, failed);
  }
  const double factor = update.clip > 0 && norm > update.clip ? update.clip / norm : 1;

  // AdamW's stretches: neighbours that decay alike are one, the padding between them with them.
  const bool muon = update.optimizer == TK_OPTIMIZER_MUON;
  std::vector<Stretch> stretches;
  int64_t most = 0, most_least = 0, most_packed = 0;
  for (size_t i = 0; i < parameters.size(); i++) {
    const Parameter& p = parameters[i];
    if (muon && p.role == TK_ROLE_MATRIX) {
      const int64_t least = std::min(p.rows, p.cols), larger = std::max(p.rows, p.cols);
      most = std::max(most, p.rows * p.cols);
      most_least = std::max(most_least, least);
      Gemm packing;  // B is [larger, least], [least, least], or on its side [least, cols]
      packing.arithmetic = arithmetic;
      for (const auto& [n, k] : {std::pair{least, larger}, {least, least}, {p.cols, least}}) {
        packing.n = n;
        packing.k = k;
        most_packed = std::max(most_packed, kernels.gemm.packed_bytes(packing));
      }
      continue;
    }
    const int64_t end = p.offset + p.rows * p.cols;
    const bool decays = p.role != TK_ROLE_VECTOR;
    const bool joins = i > 0 && !stretches.empty() && stretches.back().decays == decays &&
                       !(muon && parameters[i - 1].role == TK_ROLE_MATRIX);
    if (joins) {
      stretches.back().last = end;
    } else {
      stretches.push_back({p.offset, end, decays});
    }
  }

  struct Adam {
    tk_train* tape;
    AdamW rule;
    float shrink;
    const std::vector<Stretch>* stretches;
    std::deque<Claims> claims;
  } adam;
  adam.tape = this;
  adam.shrink = static_cast<float>(1 - update.learning_rate * update.weight_decay);
  const double step = static_cast<double>(update.step);
  adam.rule = {state.weights,
               state.gradients,
               state.first_moments,
               state.second_moments,
               static_cast<float>(factor),
               static_cast<float>(update.beta1),
               static_cast<float>(1 - update.beta1),
               static_cast<float>(update.beta2),
               static_cast<float>(1 - update.beta2),
               1,
               static_cast<float>(update.learning_rate / (1 - std::pow(update.beta1, step))),
               static_cast<float>(1 / std::sqrt(1 - std::pow(update.beta2, step))),
               static_cast<float>(update.epsilon)};
  adam.stretches = &stretches;
  for (size_t i = 0; i < stretches.size(); i++) adam.claims.emplace_back();

  // All memory is there before the first weight changes.
  AlignedArray<float> matrices = aligned_array<float>(2 * most + 2 * most_least * most_least + 1);
  AlignedArray<char> packing = aligned_array<char>(most_packed + 1);
  std::vector<double> muon_sums(static_cast<size_t>(divide_up(most, piece)));

  status = team->run(
      [](void* context, int) {
        Adam& job = *static_cast<Adam*>(context);
        for (size_t i = 0; i < job.stretches->size(); i++) {
          const Stretch& stretch = (*job.stretches)[i];
          AdamW rule = job.rule;
          if (stretch.decays) rule.shrink = job.shrink;
          in_pieces(stretch.last - stretch.first, job.claims[i],
                    [&](int64_t, int64_t first, int64_t last) {
                      job.tape->team->kernels->train->adamw(rule, stretch.first + first,
                                                            stretch.first + last);
                    });
        }
      },
      &adam);
  if (status != TK_OK || !muon) return status;

  for (const Parameter& p : parameters) {
    if (p.role != TK_ROLE_MATRIX) continue;
    const double scale = muon_scale * std::sqrt(static_cast<double>(std::max(p.rows, p.cols)));
    float* const base = matrices.get();
    Muon job{this,
             &p,
             static_cast<float>(factor),
             static_cast<float>(update.momentum),
             static_cast<float>(1 - update.momentum),
             adam.shrink,
             static_cast<float>(update.learning_rate * scale),
             {base, base + most},
             base + 2 * most,
             base + 2 * most + most_least * most_least,
             muon_sums.data(),
             packing.get(),
             std::deque<Claims>(muon_phases)};
    status = team->run(
        [](void* context, int thread) {
          static_cast<Muon*>(context)->run(thread);
        },
        &job);
    if (status != TK_OK) return status;
  }
  return TK_OK;
}
