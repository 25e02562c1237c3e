// SPDX-License-Identifier: Apache-2.0
//
// Planning and replay. The ABI's functions, with their checks, are in tape_abi.cc.

#include "tape.h"

#include <algorithm>
#include <atomic>
#include <new>

#include "../status.h"
#include "activations.h"
#include "pack.h"

using namespace tokamak::cpu;

namespace {

/** Activations that an operation reads or writes: row i is `bytes` long, at base + i * bytes. */
struct Span {
  const void* base;
  int64_t bytes;
  bool any_row;  // row i of the operation may touch other rows of it
};

struct Spans {
  Span spans[3];
  int count = 0;
  void add(const float* base, int64_t width, bool any_row = false) {
    spans[count++] = {base, width * static_cast<int64_t>(sizeof(float)), any_row};
  }
};

Spans spans_of(const Operation& operation) {
  Spans spans;
  switch (operation.kind) {
    case Kind::embed:
      spans.add(operation.embed.out, operation.embed.dim);
      break;
    case Kind::norm:
      spans.add(operation.norm.x, operation.norm.width);
      spans.add(operation.norm.out, operation.norm.width);
      break;
    case Kind::matmul:  // seen from the phase before it: what is quantized
      spans.add(operation.matmul.x, operation.matmul.cols);
      break;
    case Kind::rope:
      spans.add(operation.rope.x, operation.rope.heads * operation.rope.head_dim);
      break;
    case Kind::store: {
      const Cache& cache = operation.store.cache;
      const int64_t width = static_cast<int64_t>(cache.kv_heads) * cache.head_dim;
      spans.add(operation.store.k, width);
      spans.add(operation.store.v, width);
      break;
    }
    case Kind::attention: {
      const int64_t width = operation.attention.heads * operation.attention.cache.head_dim;
      spans.add(operation.attention.q, width);
      spans.add(operation.attention.out, width);
      break;
    }
    case Kind::gate:
      spans.add(operation.gate.gate, operation.gate.width);
      spans.add(operation.gate.up, operation.gate.width);
      spans.add(operation.gate.out, operation.gate.width);
      break;
    case Kind::add:
      spans.add(operation.add.x, operation.add.width);
      spans.add(operation.add.y, operation.add.width);
      break;
    case Kind::select:
      spans.add(operation.select.x, operation.select.width, true);
      spans.add(operation.select.out, operation.select.width);
      break;
  }
  return spans;
}

bool overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  const auto* first = static_cast<const char*>(a);
  const auto* second = static_cast<const char*>(b);
  return first < second + b_bytes && second < first + a_bytes;
}

/** Whether row i of both operations touches row i alone of all that they share. */
bool row_local(const Operation& a, const Operation& b, int64_t rows) {
  const Spans of_a = spans_of(a), of_b = spans_of(b);
  for (int i = 0; i < of_a.count; i++) {
    for (int j = 0; j < of_b.count; j++) {
      const Span &s = of_a.spans[i], &t = of_b.spans[j];
      if (!overlap(s.base, s.bytes * rows, t.base, t.bytes * rows)) continue;
      if (s.base != t.base || s.bytes != t.bytes || s.any_row || t.any_row) return false;
    }
  }
  return true;
}

/** The floats that an operation leaves for later ones; null: none (store). */
const float* output_of(const Operation& operation, int64_t& width) {
  switch (operation.kind) {
    case Kind::embed:
      width = operation.embed.dim;
      return operation.embed.out;
    case Kind::norm:
      width = operation.norm.width;
      return operation.norm.out;
    case Kind::matmul:
      width = operation.matmul.out_dim;
      return operation.matmul.out;
    case Kind::rope:
      width = operation.rope.heads * operation.rope.head_dim;
      return operation.rope.x;
    case Kind::store:
      width = 0;
      return nullptr;
    case Kind::attention:
      width = operation.attention.heads * operation.attention.cache.head_dim;
      return operation.attention.out;
    case Kind::gate:
      width = operation.gate.width;
      return operation.gate.out;
    case Kind::add:
      width = operation.add.width;
      return operation.add.x;
    case Kind::select:
      width = operation.select.width;
      return operation.select.out;
  }
  return nullptr;
}

/** Small enough that threads end together, large enough that claiming costs nothing. */
int64_t chunk_of(int64_t total, int threads, int64_t most) {
  return std::clamp<int64_t>(total / (threads * int64_t{8}), 1, most);
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Of attention, for a row at this position. */
int64_t chunks_of(int64_t position) { return position / attention_chunk + 1; }

/** Attention's jobs, row by row and head by head, that are so few that some threads would wait for
 *  the others: they are cut into chunks. */
int64_t most_in_parts(int threads) { return threads * int64_t{4}; }

}  // namespace

/** One replay, as the threads see it. */
struct tk_tape::Run {
  tk_tape* tape;
  int n, m;
  bool alone;                         // run the phases of `alone`, checking each output
  std::atomic<int> failed{-1};        // operation
  std::atomic<bool> not_finite{false};  // in the output being scanned
  std::atomic<bool> stopped{false};     // work was left out
  std::atomic<size_t> leave{SIZE_MAX};  // all threads leave after this phase; thread 0 decides

  int64_t rows(int domain) const { return domain == TK_ROWS_OUTPUTS ? m : n; }

  bool stops() {
    if (tape->stop == nullptr || __atomic_load_n(tape->stop, __ATOMIC_RELAXED) == 0) return false;
    stopped.store(true, std::memory_order_relaxed);
    return true;
  }

  /** The next chunk of a phase; none where the step is to stop, so that the phase ends soon. */
  int64_t take(Claims& claim, int64_t chunk) { return stops() ? INT64_MAX : claim.take(chunk); }
};

// ---- planning -----------------------------------------------------------------------------

bool tk_tape::joins(const Phase& phase, int number) const {
  const Operation& operation = operations[number];
  if (phase.rows != operation.rows) return false;
  const int64_t rows = operation.rows == TK_ROWS_OUTPUTS ? max_outputs : max_rows;
  if (phase.kind == Phase::attention || operation.kind == Kind::attention) return false;
  if (phase.kind == Phase::row_by_row) {
    if (phase.quantize >= 0) return false;
    for (int i = phase.first; i < phase.last; i++) {
      if (!row_local(operations[i], operation, rows)) return false;
    }
    return true;
  }
  if (operation.kind != Kind::matmul) return false;
  const Matmul& next = operation.matmul;
  for (int i = phase.first; i < phase.last; i++) {
    const Matmul& one = operations[i].matmul;
    if (one.x != next.x || one.cols != next.cols || one.format != next.format ||
        overlap(one.out, one.out_dim * rows * 4, next.out, next.out_dim * rows * 4) ||
        overlap(one.out, one.out_dim * rows * 4, next.x, next.cols * rows * 4)) {
      return false;
    }
  }
  return true;
}

void tk_tape::extend_plan(std::vector<Phase>& plan, int number) {
  const Operation& operation = operations[number];
  const bool planned = &plan == &phases;
  if (operation.kind == Kind::attention) {
    plan.push_back({Phase::attention, operation.rows, number, number + 1, -1});
    return;
  }
  if (operation.kind != Kind::matmul) {
    if (planned && !plan.empty() && plan.back().kind == Phase::row_by_row &&
        joins(plan.back(), number)) {
      plan.back().last++;
    } else {
      plan.push_back({Phase::row_by_row, operation.rows, number, number + 1, -1});
    }
    return;
  }
  if (planned && !plan.empty() && plan.back().kind == Phase::matmul && joins(plan.back(), number)) {
    plan.back().last++;
    return;
  }
  if (planned && !plan.empty() && plan.back().kind == Phase::row_by_row &&
      joins(plan.back(), number)) {
    plan.back().quantize = number;
  } else {
    plan.push_back({Phase::row_by_row, operation.rows, number, number, number});
  }
  plan.push_back({Phase::matmul, operation.rows, number, number + 1, -1});
}

void tk_tape::append(const Operation& operation) {
  if (operation.kind == Kind::matmul) {
    const int64_t rows = operation.rows == TK_ROWS_OUTPUTS ? max_outputs : max_rows;
    const int64_t bytes = activation_bytes(operation.matmul.format, rows, operation.matmul.cols);
    if (bytes > activations_size) {
      activations.reset();
      activations_size = 0;
      activations = aligned_array<char>(bytes);
      activations_size = bytes;
    }
  }
  if (operation.kind == Kind::attention) {
    const int64_t floats =
        team->kernels->attention_scratch(operation.attention.cache, operation.attention.heads);
    if (floats > scratch_size) {
      scratch.clear();
      scratch_size = 0;
      for (int thread = 0; thread < team->threads; thread++) {
        scratch.push_back(aligned_array<float>(floats));
      }
      scratch_size = floats;
    }
    const Cache& cache = operation.attention.cache;
    const int64_t chunks = chunks_of(int64_t{batch.pages_per_sequence} * TK_PAGE_TOKENS - 1);
    const int64_t rows = std::min<int64_t>(most_in_parts(team->threads), int64_t{max_rows} * cache.kv_heads);
    const int64_t all = rows * chunks * team->kernels->attention_part(cache, operation.attention.heads);
    if (chunks > 1 && all > parts_size) {
      parts.reset();
      parts_size = 0;
      parts = aligned_array<float>(all);
      parts_size = all;
    }
    while (parts_done.size() < static_cast<size_t>(rows)) parts_done.emplace_back(0);
  }
  // Two phases at most are added to either plan, and when each operation runs alone, a scan.
  phases.reserve(phases.size() + 2);
  alone.reserve(alone.size() + 2);
  while (claims.size() < 3 * (operations.size() + 1) + 1) claims.emplace_back();
  operations.push_back(operation);
  const int number = static_cast<int>(operations.size()) - 1;
  extend_plan(phases, number);
  extend_plan(alone, number);
}

// ---- replay -------------------------------------------------------------------------------

void tk_tape::run_row(const Operation& operation, int64_t row) const {
  const Kernels& kernels = *team->kernels;
  switch (operation.kind) {
    case Kind::embed: {
      const Embed& embed = operation.embed;
      if (!embed.packed) return kernels.embed(embed, batch, row);
      return unpack_row(embed.type, embed.dim, embed.table, batch.tokens[row],
                        embed.out + row * embed.dim);
    }
    case Kind::norm:
      return kernels.norm(operation.norm, row);
    case Kind::rope:
      return kernels.rope(operation.rope, batch, row);
    case Kind::store:
      return kernels.store(operation.store, batch, row);
    case Kind::gate:
      return kernels.gate(operation.gate, row);
    case Kind::add:
      return kernels.add(operation.add, row);
    case Kind::select:
      return kernels.select(operation.select, batch, row);
    case Kind::matmul:
    case Kind::attention:
      return;  // have phases of their own
  }
}

void tk_tape::run_attention(const Attention& attention, int64_t rows, Claims& claim, Run& run,
                            int thread) {
  const Kernels& kernels = *team->kernels;
  const int64_t heads = attention.cache.kv_heads, group = attention.heads / heads;
  const int64_t most_chunks = chunks_of(int64_t{batch.pages_per_sequence} * TK_PAGE_TOKENS - 1);
  float* const memory = scratch[thread].get();
  if (most_chunks > 1 && rows * heads <= most_in_parts(team->threads)) {
    int64_t longest = 0;
    for (int64_t row = 0; row < rows; row++) {
      longest = std::max(longest, chunks_of(batch.positions[row]));
    }
    const int64_t floats = kernels.attention_part(attention.cache, attention.heads);
    for (int64_t job; (job = run.take(claim, 1)) < rows * heads * longest;) {
      const int64_t chunk = job / (rows * heads), which = job % (rows * heads);
      const int64_t row = which / heads, head = which % heads;
      const int64_t chunks = chunks_of(batch.positions[row]);
      if (chunk >= chunks) continue;
      if (chunks == 1) {
        kernels.attention(attention, batch, head, row, row + 1, memory);
        continue;
      }
      float* const parts_of_row = parts.get() + which * most_chunks * floats;
      kernels.attention_of_chunk(attention, batch, head, row, chunk, parts_of_row + chunk * floats,
                                 memory);
      std::atomic<int64_t>& done = parts_done[which];
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 < chunks) continue;
      done.store(0, std::memory_order_relaxed);
      kernels.attention_merge(attention, batch, head, row, parts_of_row);
    }
    return;
  }
  // Jobs of one head follow each other, so that its pages are read from cache.
  const int64_t block = std::clamp<int64_t>(rows * heads / (4 * team->threads), 1,
                                            attention_rows(group));
  const int64_t blocks = divide_up(rows, block);
  for (int64_t job; (job = run.take(claim, 1)) < blocks * heads;) {
    const int64_t first = job % blocks * block;
    kernels.attention(attention, batch, job / blocks, first, std::min(first + block, rows), memory);
  }
}

void tk_tape::run_phase(const Phase& phase, Claims& claim, Run& run, int thread) {
  const Kernels& kernels = *team->kernels;
  const int64_t rows = run.rows(phase.rows);
  switch (phase.kind) {
    case Phase::row_by_row: {
      const int64_t chunk = chunk_of(rows, team->threads, 16);
      for (int64_t first; (first = run.take(claim, chunk)) < rows;) {
        for (int64_t row = first; row < std::min(first + chunk, rows); row++) {
          for (int i = phase.first; i < phase.last; i++) run_row(operations[i], row);
          if (phase.quantize < 0) continue;
          const Matmul& matmul = operations[phase.quantize].matmul;
          kernels.quantize_row(matmul.format, matmul.x + row * matmul.cols, matmul.cols, row,
                               rows, activations.get());
        }
      }
      break;
    }
    case Phase::matmul: {
      int64_t total = 0;
      for (int i = phase.first; i < phase.last; i++) {
        total += row_groups(operations[i].matmul.out_dim);
      }
      const int64_t chunk = chunk_of(total, team->threads, 16);
      for (int64_t first; (first = run.take(claim, chunk)) < total;) {
        int64_t last = std::min(first + chunk, total), base = 0;
        for (int i = phase.first; i < phase.last && base < last; i++) {
          const Matmul& matmul = operations[i].matmul;
          const int64_t groups = row_groups(matmul.out_dim);
          const int64_t from = std::max(first - base, int64_t{0}), to = std::min(last - base, groups);
          if (from < to) kernels.matmul(matmul, rows, activations.get(), from, to);
          base += groups;
        }
      }
      break;
    }
    case Phase::attention:
      run_attention(operations[phase.first].attention, rows, claim, run, thread);
      break;
  }
}

/** The team's job: all phases, then a look at the last output. */
int tk_tape::replay(Run& run) {
  for (Claims& claim : claims) claim.reset();
  for (auto& done : parts_done) done.store(0, std::memory_order_relaxed);  // after a stop, too
  return team->run(
      [](void* context, int thread) {
        Run& run = *static_cast<Run*>(context);
        tk_tape& tape = *run.tape;
        const auto& plan = run.alone ? tape.alone : tape.phases;
        const auto scan = [&](const Operation& operation, Claims& claim) {
          int64_t width;
          const float* output = output_of(operation, width);
          const int64_t total = width * run.rows(operation.rows), chunk = 16384;
          for (int64_t first; (first = claim.take(chunk)) < total;) {
            if (!tape.team->kernels->finite(output + first, std::min(chunk, total - first))) {
              run.not_finite.store(true, std::memory_order_relaxed);
            }
          }
        };
        size_t claim = 0;
        const Operation* last_output = nullptr;
        for (size_t i = 0; i < plan.size(); i++) {
          const Phase& phase = plan[i];
          if (run.rows(phase.rows) == 0) continue;
          tape.run_phase(phase, tape.claims[claim++], run, thread);
          // A thread that is late at the barrier may see what thread 0 says of a later phase.
          if (thread == 0 && run.stops()) run.leave.store(i, std::memory_order_relaxed);
          tape.team->barrier();
          if (run.leave.load(std::memory_order_relaxed) <= i) return;
          // Nothing to look at where rows are only quantized, or stored.
          if (phase.last == phase.first) continue;
          const Operation& last = tape.operations[phase.last - 1];
          if (last.kind == Kind::store) continue;
          last_output = &last;
          if (!run.alone) continue;
          scan(last, tape.claims[claim++]);
          tape.team->barrier();
          if (!run.not_finite.load(std::memory_order_relaxed)) continue;
          if (thread == 0) run.failed.store(phase.first, std::memory_order_relaxed);
          return;
        }
        if (!run.alone && last_output != nullptr) scan(*last_output, tape.claims[claim]);
      },
      &run);
}

int tk_tape::step(int n, int m) {
  failed = -1;
  Run run{this, n, m, false};
  if (const int status = replay(run); status != TK_OK) return status;
  if (run.stopped) return tokamak::fail(TK_STOPPED, "tk_cpu_step: stopped");
  if (!run.not_finite) return TK_OK;

  Run search{this, n, m, true};
  if (const int status = replay(search); status != TK_OK) return status;
  if (search.stopped) return tokamak::fail(TK_STOPPED, "tk_cpu_step: stopped");
  failed = search.failed;
  // An operation that works in place on memory that no earlier one fills may not fail again.
  if (failed < 0) failed = static_cast<int>(operations.size()) - 1;
  return tokamak::fail(TK_NOT_FINITE, "tk_cpu_step: operation %d: output is not finite", failed);
}
