// SPDX-License-Identifier: Apache-2.0
//
// Planning and replay. The ABI's functions, with their checks, are in train_abi.cc; updates in
// update.cc.

#include "train.h"

#include <time.h>

#include <algorithm>
#include <new>

#include "../../status.h"

// Not all of tokamak::cpu: it has operations of the same names.
using namespace tokamak::cpu::train;
using tokamak::cpu::aligned_array;
using tokamak::cpu::Claims;
using tokamak::cpu::Gemm;
using tokamak::cpu::GemmKernels;
using tokamak::cpu::TrainKernels;

namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

/** Columns of a job that sums rows. */
constexpr int64_t column_job = 64;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Memory that an operation uses. */
struct Span {
  const float* base;
  int64_t width;   // of a row; of all, where the memory has no rows
  int rows;        // tk_rows, or none
  bool row_by_row; // row i of the operation uses row i alone
  bool written;
};
constexpr int no_rows = -1;

/** Of this thread: what other programs take away does not count. */
double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Spans {
  Span spans[10];
  int count = 0;
  void add(const float* base, int64_t width, int rows, bool row_by_row, bool written) {
    if (base != nullptr) spans[count++] = {base, width, rows, row_by_row, written};
  }
};

/** What passes hand on: values, and gradients of parameters. Weights are only read in both. */
Spans spans_of(const Operation& operation) {
  Spans s;
  const int domain = operation.rows;
  const auto reads = [&](const float* base, int64_t width) {
    s.add(base, width, domain, true, false);
  };
  const auto writes = [&](const float* base, int64_t width) {
    s.add(base, width, domain, true, true);
  };
  const auto sums = [&](const float* base, int64_t count) {
    s.add(base, count, no_rows, false, true);
  };
  const auto attention = [&](const Attention& op, bool write) {
    const int64_t kv = op.kv_heads * op.head_dim, width = op.heads * op.head_dim;
    s.add(op.q, width, domain, false, false);
    s.add(op.k, kv, domain, false, false);
    s.add(op.v, kv, domain, false, false);
    s.add(op.out, width, domain, false, write);
    s.add(op.log_sums, op.heads, domain, false, write);
  };
  std::visit(
      Overloaded{
          [&](const Embed& op) { writes(op.out, op.dim); },
          [&](const EmbedGradient& op) {
            reads(op.out_gradient, op.dim);
            sums(op.table_gradient, op.vocab * op.dim);
          },
          [&](const Norm& op) {
            reads(op.x, op.width);
            writes(op.out, op.width);
          },
          [&](const NormGradient& op) {
            reads(op.x, op.width);
            reads(op.out_gradient, op.width);
            writes(op.x_gradient, op.width);
          },
          [&](const NormPartials& op) { sums(op.gradient.weight_gradient, op.gradient.dim); },
          [&](const Product& op) {
            const Gemm& g = op.gemm;
            reads(g.a, g.a_stride);
            if (op.sums_rows) {
              reads(g.b, g.b_stride);
              sums(g.c, g.m * g.n);
            } else {
              writes(g.c, g.n);
            }
          },
          [&](const BiasGradient& op) {
            reads(op.out_gradient, op.width);
            sums(op.bias_gradient, op.width);
          },
          [&](const Rope& op) {
            reads(op.x, op.heads * op.head_dim);
            writes(op.out, op.heads * op.head_dim);
          },
          [&](const Attention& op) { attention(op, true); },
          [&](const AttentionGradient& op) {
            const int64_t kv = op.forward.kv_heads * op.forward.head_dim;
            const int64_t width = op.forward.heads * op.forward.head_dim;
            attention(op.forward, false);
            s.add(op.out_gradient, width, domain, false, false);
            s.add(op.q_gradient, width, domain, false, true);
            s.add(op.k_gradient, kv, domain, false, true);
            s.add(op.v_gradient, kv, domain, false, true);
          },
          [&](const Gate& op) {
            reads(op.gate, op.width);
            reads(op.up, op.width);
            writes(op.out, op.width);
          },
          [&](const GateGradient& op) {
            reads(op.gate, op.width);
            reads(op.up, op.width);
            reads(op.out_gradient, op.width);
            writes(op.gate_gradient, op.width);
            writes(op.up_gradient, op.width);
          },
          [&](const Add& op) {
            reads(op.x, op.width);
            reads(op.y, op.width);
            writes(op.out, op.width);
          },
          [&](const Scale& op) {
            reads(op.x, op.width);
            writes(op.out, op.width);
          },
          [&](const Select& op) {
            s.add(op.x, op.width, TK_ROWS_STEP, false, false);
            writes(op.out, op.width);
          },
          [&](const SelectGradient& op) {
            s.add(op.out_gradient, op.width, TK_ROWS_OUTPUTS, false, false);
            writes(op.x_gradient, op.width);
          },
          [&](const LogProbability& op) {
            reads(op.logits, op.vocab);
            writes(op.log_sums, 1);
          },
          [&](const LogProbabilityGradient& op) {
            reads(op.log_sums, 1);
            writes(op.logits, op.vocab);
          },
      },
      operation.work);
  return s;
}

bool works_row_by_row(const Operation& operation) {
  return std::visit(
      [](const auto& work) {
        using T = std::decay_t<decltype(work)>;
        return !(std::is_same_v<T, Product> || std::is_same_v<T, Attention> ||
                 std::is_same_v<T, AttentionGradient> || std::is_same_v<T, EmbedGradient> ||
                 std::is_same_v<T, BiasGradient> || std::is_same_v<T, NormPartials>);
      },
      operation.work);
}

struct Limits {
  int64_t rows, outputs;
  int64_t floats(const Span& span) const {
    return span.rows == no_rows ? span.width
                                : span.width * (span.rows == TK_ROWS_OUTPUTS ? outputs : rows);
  }
  bool overlap(const Span& a, const Span& b) const {
    return a.base < b.base + floats(b) && b.base < a.base + floats(a);
  }
};

/** Whether both may run in one phase: of rows, or of jobs. */
bool may_share(const Operation& a, const Operation& b, const Limits& limits, bool by_row) {
  const Spans of_a = spans_of(a), of_b = spans_of(b);
  for (int i = 0; i < of_a.count; i++) {
    for (int j = 0; j < of_b.count; j++) {
      const Span &s = of_a.spans[i], &t = of_b.spans[j];
      if (!(s.written || t.written) || !limits.overlap(s, t)) continue;
      const bool same_row = by_row && s.base == t.base && s.width == t.width && s.rows == t.rows &&
                            s.row_by_row && t.row_by_row;
      if (!same_row) return false;
    }
  }
  return true;
}

const Product* product_of(const Operation& operation) {
  return std::get_if<Product>(&operation.work);
}

/** Whether packing B of both gives the same bytes. */
bool same_pack(const Product& a, const Product& b) {
  return a.gemm.b == b.gemm.b && a.gemm.b_stride == b.gemm.b_stride &&
         a.gemm.b_transposed == b.gemm.b_transposed && a.gemm.n == b.gemm.n &&
         a.gemm.k == b.gemm.k && a.sums_rows == b.sums_rows;
}

}  // namespace

const char* tokamak::cpu::train::name_of(const Operation& operation) {
  return std::visit(
      Overloaded{[](const Embed&) { return "embed"; },
                 [](const EmbedGradient&) { return "embed gradient"; },
                 [](const Norm&) { return "norm"; },
                 [](const NormGradient&) { return "norm gradient"; },
                 [](const NormPartials&) { return "norm partials"; },
                 [](const Product& op) {
                   return op.sums_rows                ? "weight gradient"
                          : op.gemm.b_transposed ? "matmul"
                                                 : "input gradient";
                 },
                 [](const BiasGradient&) { return "bias gradient"; },
                 [](const Rope&) { return "rope"; },
                 [](const Attention&) { return "attention"; },
                 [](const AttentionGradient&) { return "attention gradient"; },
                 [](const Gate&) { return "gate"; },
                 [](const GateGradient&) { return "gate gradient"; },
                 [](const Add&) { return "add"; },
                 [](const Scale&) { return "scale"; },
                 [](const Select&) { return "select"; },
                 [](const SelectGradient&) { return "select gradient"; },
                 [](const LogProbability&) { return "log probability"; },
                 [](const LogProbabilityGradient&) { return "log probability gradient"; }},
      operation.work);
}

// ---- planning -----------------------------------------------------------------------------

void tk_train::prepare() {
  first_outputs.resize(static_cast<size_t>(max_rows) + 1);
  sequences.reserve(static_cast<size_t>(max_rows));
  batch.first_outputs = first_outputs.data();
}

void tk_train::append(Work work, int rows) {
  if (auto* gradient = std::get_if<NormGradient>(&work)) {
    const int64_t blocks =
        gradient->weight_gradient == nullptr ? 0 : divide_up(most_rows_of(rows), norm_block);
    partials.push_back(aligned_array<float>(blocks * gradient->dim + 1));
    gradient->partials = partials.back().get();
  }
  (in_backward ? backward : forward).operations.push_back({std::move(work), rows, operations});
  operations++;
  planned = false;
}

void tk_train::plan(Pass& pass, bool alone) {
  pass.phases.clear();
  const Limits limits{max_rows, max_outputs};
  for (int i = 0; i < static_cast<int>(pass.operations.size()); i++) {
    const Operation& operation = pass.operations[static_cast<size_t>(i)];
    const bool by_row = works_row_by_row(operation);
    bool joins = !alone && !pass.phases.empty() && pass.phases.back().by_row == by_row &&
                 (!by_row || pass.phases.back().rows == operation.rows);
    if (joins) {
      const Phase& last = pass.phases.back();
      for (int j = last.first; joins && j < last.last; j++) {
        joins = may_share(pass.operations[static_cast<size_t>(j)], operation, limits, by_row);
      }
    }
    if (joins) {
      pass.phases.back().last++;
    } else {
      pass.phases.push_back({by_row, operation.rows, i, i + 1, {}});
    }
  }
  place_packs(pass, alone);
}

void tk_train::place_packs(Pass& pass, bool alone) {
  const Limits limits{max_rows, max_outputs};
  const GemmKernels& gemm = team->kernels->train->gemm;
  std::vector<Phase> phases;
  int piece = 0;
  for (Phase& phase : pass.phases) {
    std::vector<int> packs;
    int64_t bytes = 0;
    for (int i = phase.first; i < phase.last; i++) {
      Operation& operation = pass.operations[static_cast<size_t>(i)];
      const Product* product = product_of(operation);
      if (product == nullptr) continue;
      operation.packed_in = piece;
      const auto same = std::find_if(packs.begin(), packs.end(), [&](int other) {
        return same_pack(*product, *product_of(pass.operations[static_cast<size_t>(other)]));
      });
      if (same != packs.end()) {
        operation.packed_at = pass.operations[static_cast<size_t>(*same)].packed_at;
        continue;
      }
      Gemm most = product->gemm;
      if (product->sums_rows) most.k = most_rows_of(operation.rows);
      operation.packed_at = bytes;
      bytes += divide_up(gemm.packed_bytes(most), 64) * 64;
      packs.push_back(i);
    }
    if (!packs.empty()) {
      if (bytes > packed_bytes[piece]) {
        packed[piece].reset();
        packed_bytes[piece] = 0;
        packed[piece] = aligned_array<char>(bytes);
        packed_bytes[piece] = bytes;
      }
      piece ^= 1;
      const auto is_written_before = [&](int i) {
        const Product& product = *product_of(pass.operations[static_cast<size_t>(i)]);
        const int rows = pass.operations[static_cast<size_t>(i)].rows;
        if (!product.sums_rows) return false;  // a weight
        const Span b{product.gemm.b, product.gemm.b_stride, rows, false, false};
        for (int j = phases.back().first; j < phases.back().last; j++) {
          const Spans spans = spans_of(pass.operations[static_cast<size_t>(j)]);
          for (int s = 0; s < spans.count; s++) {
            if (spans.spans[s].written && limits.overlap(spans.spans[s], b)) return true;
          }
        }
        return false;
      };
      std::vector<int> late;
      for (int i : packs) {
        if (alone || phases.empty() || is_written_before(i)) {
          late.push_back(i);
        } else {
          phases.back().packs.push_back(i);
        }
      }
      if (!late.empty()) phases.push_back({false, phase.rows, phase.first, phase.first, late});
    }
    phases.push_back(phase);
  }
  pass.phases = std::move(phases);
}

void tk_train::finish_plans() {
  if (planned) return;
  std::vector<Operation>& list = backward.operations;
  std::erase_if(list, [](const Operation& o) { return std::holds_alternative<NormPartials>(o.work); });
  const size_t appended = list.size();
  for (size_t i = 0; i < appended; i++) {
    const auto* gradient = std::get_if<NormGradient>(&list[i].work);
    if (gradient != nullptr && gradient->weight_gradient != nullptr) {
      list.push_back({NormPartials{*gradient}, list[i].rows, list[i].number});
    }
  }
  plan(forward, false);
  plan(backward, false);

  int64_t floats = divide_up(team->kernels->train->gemm.own_bytes, 4);
  for (const Pass* pass : {&forward, &backward}) {
    for (const Operation& operation : pass->operations) {
      const auto* attention = std::get_if<Attention>(&operation.work);
      if (attention == nullptr) continue;
      floats = std::max(floats,
                        team->kernels->train->attention_scratch(attention->head_dim, max_rows));
    }
  }
  scratch.clear();
  for (int thread = 0; thread < team->threads; thread++) {
    scratch.push_back(aligned_array<float>(floats));
  }
  planned = true;
}

// ---- replay -------------------------------------------------------------------------------

void tk_train::run_row(const Operation& operation, int64_t row) const {
  const TrainKernels& kernels = *team->kernels->train;
  std::visit(
      Overloaded{[&](const Embed& op) { kernels.embed(op, batch, row); },
                 [&](const Norm& op) { kernels.norm(op, batch, row); },
                 [&](const NormGradient& op) { kernels.norm_gradient(op, batch, row); },
                 [&](const Rope& op) { kernels.rope(op, batch, row); },
                 [&](const Gate& op) { kernels.gate(op, batch, row); },
                 [&](const GateGradient& op) { kernels.gate_gradient(op, batch, row); },
                 [&](const Add& op) { kernels.add(op, batch, row); },
                 [&](const Scale& op) { kernels.scale(op, batch, row); },
                 [&](const Select& op) { kernels.select(op, batch, row); },
                 [&](const SelectGradient& op) { kernels.select_gradient(op, batch, row); },
                 [&](const LogProbability& op) { kernels.log_probability(op, batch, row); },
                 [&](const LogProbabilityGradient& op) {
                   kernels.log_probability_gradient(op, batch, row);
                 },
                 [](const auto&) {}},  // have jobs
      operation.work);
}

Gemm tk_train::gemm_of(const Operation& operation) const {
  const Product& product = *product_of(operation);
  Gemm gemm = product.gemm;
  (product.sums_rows ? gemm.k : gemm.m) = rows_of(operation.rows);
  gemm.threads = team->threads;
  return gemm;
}

int64_t tk_train::jobs_of(const Operation& operation) const {
  return std::visit(
      Overloaded{[&](const Product&) {
                   return team->kernels->train->gemm.multiply_jobs(gemm_of(operation));
                 },
                 [&](const Attention& op) {
                   return static_cast<int64_t>(sequences.size()) * op.kv_heads;
                 },
                 [&](const AttentionGradient& op) {
                   return static_cast<int64_t>(sequences.size()) * op.forward.kv_heads;
                 },
                 [](const EmbedGradient& op) { return divide_up(op.dim, column_job); },
                 [](const BiasGradient& op) { return divide_up(op.width, column_job); },
                 [](const NormPartials& op) { return divide_up(op.gradient.dim, column_job); },
                 [](const auto&) { return int64_t{0}; }},
      operation.work);
}

void tk_train::run_job(const Operation& operation, int64_t job, int thread) {
  const TrainKernels& kernels = *team->kernels->train;
  float* const own = scratch[static_cast<size_t>(thread)].get();
  const int64_t column = job * column_job;
  std::visit(
      Overloaded{[&](const Product&) {
                   kernels.gemm.multiply(gemm_of(operation),
                                         packed[operation.packed_in].get() + operation.packed_at,
                                         own, job);
                 },
                 [&](const Attention& op) {
                   const auto [first, last] = sequences[static_cast<size_t>(job / op.kv_heads)];
                   kernels.attention(op, first, last, job % op.kv_heads, own);
                 },
                 [&](const AttentionGradient& op) {
                   const int64_t heads = op.forward.kv_heads;
                   const auto [first, last] = sequences[static_cast<size_t>(job / heads)];
                   kernels.attention_gradient(op, first, last, job % heads, own);
                 },
                 [&](const EmbedGradient& op) {
                   kernels.embed_gradient(op, batch, column, std::min(column + column_job, op.dim));
                 },
                 [&](const BiasGradient& op) {
                   kernels.gemm.column_sums(op.out_gradient + column, rows_of(operation.rows),
                                            std::min(column_job, op.width - column), op.width, true,
                                            op.bias_gradient + column);
                 },
                 [&](const NormPartials& op) {
                   kernels.norm_partials(op.gradient, rows_of(operation.rows), column,
                                         std::min(column + column_job, op.gradient.dim));
                 },
                 [](const auto&) {}},  // go row by row
      operation.work);
}

void tk_train::run_phase(const Pass& pass, const Phase& phase, Claims& claim, int thread) {
  const GemmKernels& gemm = team->kernels->train->gemm;
  const auto at = [&](int i) -> const Operation& {
    return pass.operations[static_cast<size_t>(i)];
  };
  const int64_t rows = rows_of(phase.rows);
  int64_t total = 0;  // blocks of rows, or jobs; then packing
  if (phase.by_row) {
    total = divide_up(rows, norm_block);
  } else {
    for (int i = phase.first; i < phase.last; i++) total += jobs_of(at(i));
  }
  const int64_t before_packing = total;
  for (int i : phase.packs) total += gemm.pack_jobs(gemm_of(at(i)));

  for (int64_t job; (job = claim.take(1)) < total;) {
    if (job >= before_packing) {
      int64_t rest = job - before_packing;
      for (int i : phase.packs) {
        const Gemm packing = gemm_of(at(i));
        const int64_t jobs = gemm.pack_jobs(packing);
        if (rest < jobs) {
          gemm.pack(packing, packed[at(i).packed_in].get() + at(i).packed_at, rest);
          break;
        }
        rest -= jobs;
      }
    } else if (phase.by_row) {
      const int64_t last = std::min(rows, (job + 1) * norm_block);
      for (int64_t row = job * norm_block; row < last; row++) {
        for (int i = phase.first; i < phase.last; i++) run_row(at(i), row);
      }
    } else {
      int64_t rest = job;
      for (int i = phase.first; i < phase.last; i++) {
        const int64_t jobs = jobs_of(at(i));
        if (rest < jobs) {
          run_job(at(i), rest, thread);
          break;
        }
        rest -= jobs;
      }
    }
  }
}

/** A replay that looks at each output. */
struct tk_train::Run {
  int culprit = -1;
  std::atomic<bool> not_finite{false};
};

int tk_train::replay(Pass& pass, Run* search) {
  const size_t needed = pass.phases.size() * (search == nullptr ? 1 : 2);
  while (claims.size() < needed) claims.emplace_back();
  for (Claims& claim : claims) claim.reset();
  struct Job {
    tk_train* tape;
    Pass* pass;
    Run* search;
  } job{this, &pass, search};
  return team->run(
      [](void* context, int thread) {
        const Job& job = *static_cast<Job*>(context);
        tk_train& tape = *job.tape;
        const Limits now{tape.batch.n, tape.batch.m};
        size_t claim = 0;
        for (Phase& phase : job.pass->phases) {
          const double start = thread == 0 ? processor_seconds() : 0;
          tape.run_phase(*job.pass, phase, tape.claims[claim++], thread);
          tape.team->barrier();
          if (thread == 0) phase.seconds += processor_seconds() - start;
          if (job.search == nullptr) continue;
          Claims& scan = tape.claims[claim++];
          if (phase.first == phase.last) continue;
          const Operation& operation = job.pass->operations[static_cast<size_t>(phase.first)];
          const Spans spans = spans_of(operation);
          for (int64_t s; (s = scan.take(1)) < spans.count;) {
            const Span& span = spans.spans[s];
            if (span.written && !tape.team->kernels->finite(span.base, now.floats(span))) {
              job.search->not_finite.store(true, std::memory_order_relaxed);
            }
          }
          tape.team->barrier();
          if (!job.search->not_finite.load(std::memory_order_relaxed)) continue;
          if (thread == 0) job.search->culprit = operation.number;
          return;
        }
      },
      &job);
}

int tk_train::find_culprit(bool backward_too) {
  Pass passes[2] = {{forward.operations, {}}, {backward.operations, {}}};
  Run search;
  for (int i = 0; i < (backward_too ? 2 : 1) && search.culprit < 0; i++) {
    plan(passes[i], true);
    if (const int status = replay(passes[i], &search); status != TK_OK) return status;
  }
  failed = search.culprit;
  // What is not finite may be the log probabilities themselves.
  if (failed < 0) failed = (backward_too ? backward : forward).operations.back().number;
  return tokamak::fail(TK_NOT_FINITE, "tk_train_%s: operation %d: output is not finite",
                       backward_too ? "backward" : "forward", failed);
}

int tk_train::run_forward() {
  finish_plans();
  if (const int status = replay(forward, nullptr); status != TK_OK) return status;
  if (team->kernels->finite(batch.log_probabilities, batch.m)) return TK_OK;
  return find_culprit(false);
}

int tk_train::run_backward() {
  finish_plans();
  if (const int status = replay(backward, nullptr); status != TK_OK) return status;
  const Limits now{batch.n, batch.m};
  for (size_t i = backward.operations.size(); i > 0; i--) {
    const Spans spans = spans_of(backward.operations[i - 1]);
    for (int s = 0; s < spans.count; s++) {
      const Span& span = spans.spans[s];
      if (!span.written || span.rows == no_rows) continue;
      if (!team->kernels->finite(span.base, now.floats(span))) return find_culprit(true);
      return TK_OK;
    }
  }
  return TK_OK;
}
