// SPDX-License-Identifier: Apache-2.0
//
// The tape: wrong arguments, wrong batches, outputs that are not finite, and that operations
// which share a phase compute what they compute alone.

#include <string.h>

#include "machine.h"

namespace tokamak::tests {
namespace {

void expect_message(int status, const char* part) {
  if (status == TK_OK) fail("accepted what should be refused with '%s'", part);
  if (strstr(tk_last_error(), part) == nullptr) {
    fail("message '%s' does not say '%s'", tk_last_error(), part);
  }
}

void wrong_arguments(int level, uint64_t) {
  const Team team(level, 1);
  Tape tape(team, 4, 2);
  std::vector<float> a(64), b(64), c(64);
  float *x = a.data(), *y = b.data(), *z = c.data();
  float* const odd = reinterpret_cast<float*>(reinterpret_cast<char*>(x) + 1);
  tk_tape* t = tape.handle;

  expect_message(tk_cpu_step(t, 1, 0), "empty");
  expect_message(tk_cpu_store(t, 0, x, y), "tk_cpu_store: the tape has no cache");
  expect_message(tk_cpu_attention(t, 0, x, 1, 1, y), "tk_cpu_attention: the tape has no cache");
  std::vector<uint64_t> memory(static_cast<size_t>(tk_cpu_cache_bytes(0, 1, 2, 4, 1) / 8));
  expect_message(tk_cpu_cache(t, 8, 1, 2, 4, 1, memory.data()), "head_dim=4");
  expect_message(tk_cpu_cache(t, 2, 1, 2, 32, 1, memory.data()), "type");
  expect_message(tk_cpu_cache(t, 0, 0, 2, 4, 1, memory.data()), "layers=0");
  expect_message(tk_cpu_cache(t, 0, 1, 2, 4, 1, nullptr), "memory is null");
  expect_status(tk_cpu_cache(t, 0, 1, 2, 4, 1, memory.data()), TK_OK, "cache");
  expect_message(tk_cpu_cache(t, 0, 1, 2, 4, 1, memory.data()), "already");
  if (tk_cpu_cache_bytes(0, 1 << 20, 1 << 20, 1 << 20, INT32_MAX) != -1) fail("overflow accepted");

  expect_message(tk_cpu_embed(nullptr, 0, 1, 1, x, y), "tk_cpu_embed: tape is null");
  expect_message(tk_cpu_embed(t, 77, 1, 1, x, y), "tk_cpu_embed: type");
  expect_message(tk_cpu_embed(t, 8, 1, 31, x, y), "dim=31");
  expect_message(tk_cpu_embed(t, 0, 0, 1, x, y), "vocab=0");
  expect_message(tk_cpu_norm(t, 2, x, 8, y, 8, 0, z), "rows=2");
  expect_message(tk_cpu_norm(t, 0, x, 8, y, 3, 0, z), "width=8, must be a multiple of dim=3");
  expect_message(tk_cpu_norm(t, 0, x, 8, y, 0, 0, z), "dim=0");
  expect_message(tk_cpu_norm(t, 0, x, 8, y, 8, NAN, z), "epsilon");
  expect_message(tk_cpu_norm(t, 0, nullptr, 8, y, 8, 0, z), "tk_cpu_norm: x is null");
  expect_message(tk_cpu_norm(t, 0, odd, 8, y, 8, 0, z), "must be a multiple of 4");
  expect_message(tk_cpu_norm(t, 0, x, INT64_MAX, y, INT64_MAX, 0, z), "width=");
  expect_message(tk_cpu_matmul(t, 0, x, 4, 0, y, 4, nullptr, x), "out overlaps x");
  expect_message(tk_cpu_matmul(t, 0, x, 4, 5, y, 4, nullptr, z), "type=5");
  expect_message(tk_cpu_matmul(t, 0, x, 31, 8, y, 4, nullptr, z), "cols=31");
  expect_message(tk_cpu_matmul(t, 0, x, 4, 0, nullptr, 4, nullptr, z), "packed is null");
  expect_message(tk_cpu_rope(t, x, 1, 8, 10, 0, y, 1), "rotary_dim=10");
  expect_message(tk_cpu_rope(t, x, 1, 8, 3, 0, y, 1), "rotary_dim=3");
  expect_message(tk_cpu_rope(t, x, 1, 8, 8, 2, y, 1), "pairing=2");
  expect_message(tk_cpu_rope(t, x, 1, 8, 8, 0, y, 0), "table_rows=0");
  expect_message(tk_cpu_store(t, 1, x, y), "layer=1");
  expect_message(tk_cpu_attention(t, 0, x, 3, 1, y), "heads=3, must be a multiple of kv_heads=2");
  expect_message(tk_cpu_attention(t, 0, x, 2, INFINITY, y), "scale");
  expect_message(tk_cpu_gate(t, 0, x, nullptr, 4, z), "tk_cpu_gate: up is null");
  expect_message(tk_cpu_add(t, 0, x, y, -1), "width=-1");
  expect_message(tk_cpu_select(t, x, 4, x), "out overlaps x");
  expect_message(tk_cpu_step(t, 1, 0), "empty");  // nothing of all this was recorded
  if (tk_cpu_packed_bytes(0, INT64_MAX, INT64_MAX) != -1) fail("overflow accepted");
  expect_message(tk_cpu_pack(team.handle, 0, 4, 4, nullptr, x), "source is null");

  const int32_t* batch = tape.tokens.data();
  const auto refused = [&](tk_tape* made, const char* part) {
    if (made != nullptr) fail("made a tape in spite of '%s'", part);
    expect_message(TK_BAD_ARGUMENT, part);
  };
  refused(tk_cpu_tape_create(nullptr, 1, 1, batch, batch, batch, batch, batch, 1, 1), "team");
  refused(tk_cpu_tape_create(team.handle, 0, 1, batch, batch, batch, batch, batch, 1, 1),
          "max_rows=0");
  refused(tk_cpu_tape_create(team.handle, 1, 2, batch, batch, batch, batch, batch, 1, 1),
          "max_outputs=2");
  refused(tk_cpu_tape_create(team.handle, 1, 1, batch, nullptr, batch, batch, batch, 1, 1),
          "positions is null");
}

/** A small model of one layer, whose operations use every part of the batch. */
struct Model {
  static constexpr int64_t vocab = 11, dim = 32, heads = 4, kv_heads = 2, head_dim = 8, hidden = 48;
  static constexpr int max_rows = 6, max_outputs = 2, sequences = 2, pages = 2, table_rows = 40;
  using Floats = std::vector<float>;

  Model(const Team& team, uint64_t seed, bool one_tape) : team_(team), one_tape_(one_tape) {
    Random random(seed);
    const auto make = [&](int64_t rows, int64_t cols) { return values("normal", rows, cols, random); };
    table = make(vocab, dim);
    norm_weight = make(1, dim);
    angles = make(table_rows, head_dim);
    bias = make(1, dim);
    q_weight = pack(make(dim, dim));
    k_weight = pack(make(16, dim));
    v_weight = pack(make(16, dim));
    o_weight = pack(make(dim, dim));
    gate_weight = pack(make(hidden, dim));
    up_weight = pack(make(hidden, dim));
    down_weight = pack(make(dim, hidden), hidden);
    head_weight = pack(make(vocab, dim));
    const auto buffer = [](int64_t width) { return Floats(static_cast<size_t>(max_rows * width)); };
    x = buffer(dim), y = buffer(dim), q = buffer(dim), attended = buffer(dim), projected = buffer(dim);
    k = buffer(16), v = buffer(16), gate = buffer(hidden), up = buffer(hidden);
    chosen = buffer(dim), logits = buffer(vocab);
    cache.resize(static_cast<size_t>(tk_cpu_cache_bytes(0, 1, kv_heads, head_dim, sequences * pages) / 8));
    build();
  }

  Floats pack(const Floats& w, int64_t cols = dim) {
    const int64_t rows = static_cast<int64_t>(w.size()) / cols;
    Floats packed(static_cast<size_t>(tk_cpu_packed_bytes(0, rows, cols) / 4));
    expect_status(tk_cpu_pack(team_.handle, 0, rows, cols, w.data(), packed.data()), TK_OK, "pack");
    return packed;
  }

  /** The tape that the next operation goes on. */
  tk_tape* next() {
    if (tapes.empty() || !one_tape_) {
      tapes.push_back(std::make_unique<Tape>(team_, max_rows, max_outputs, sequences, pages));
      expect_status(tk_cpu_cache(tapes.back()->handle, 0, 1, kv_heads, head_dim, sequences * pages,
                                 cache.data()),
                    TK_OK, "cache");
    }
    return tapes.back()->handle;
  }

  void matmul(int rows, Floats& in, int64_t cols, Floats& weight, int64_t out_dim, Floats& out,
              const float* with_bias = nullptr) {
    expect_status(tk_cpu_matmul(next(), rows, in.data(), cols, 0, weight.data(), out_dim, with_bias,
                                out.data()),
                  TK_OK, "matmul");
  }
  void norm(int rows, Floats& in, Floats& out) {
    expect_status(tk_cpu_norm(next(), rows, in.data(), dim, norm_weight.data(), dim, 1e-5f, out.data()),
                  TK_OK, "norm");
  }

  void build() {
    expect_status(tk_cpu_embed(next(), 0, vocab, dim, table.data(), x.data()), TK_OK, "embed");
    norm(0, x, y);                                     // 1
    matmul(0, y, dim, q_weight, dim, q, bias.data());  // 2
    matmul(0, y, dim, k_weight, 16, k);                // 3
    matmul(0, y, dim, v_weight, 16, v);                // 4
    expect_status(tk_cpu_rope(next(), q.data(), heads, head_dim, head_dim, TK_PAIRING_HALF_SPLIT,
                              angles.data(), table_rows), TK_OK, "rope");
    expect_status(tk_cpu_rope(next(), k.data(), kv_heads, head_dim, head_dim,
                              TK_PAIRING_INTERLEAVED, angles.data(), table_rows), TK_OK, "rope");
    expect_status(tk_cpu_store(next(), 0, k.data(), v.data()), TK_OK, "store");
    expect_status(tk_cpu_attention(next(), 0, q.data(), heads, 0.3f, attended.data()), TK_OK,
                  "attention");                                // 8
    matmul(0, attended, dim, o_weight, dim, projected);        // 9
    expect_status(tk_cpu_add(next(), 0, x.data(), projected.data(), dim), TK_OK, "add");
    norm(0, x, y);                                             // 11
    matmul(0, y, dim, gate_weight, hidden, gate);              // 12
    matmul(0, y, dim, up_weight, hidden, up);                  // 13
    expect_status(tk_cpu_gate(next(), 0, gate.data(), up.data(), hidden, gate.data()), TK_OK, "gate");
    matmul(0, gate, hidden, down_weight, dim, projected);      // 15
    expect_status(tk_cpu_add(next(), 0, x.data(), projected.data(), dim), TK_OK, "add");
    expect_status(tk_cpu_select(next(), x.data(), dim, chosen.data()), TK_OK, "select");
    norm(1, chosen, chosen);                                   // 18
    matmul(1, chosen, dim, head_weight, vocab, logits);        // 19
  }

  /** Two sequences: rows of the first at positions from `position` on, of the second elsewhere. */
  void fill(int n, int m, int position) {
    for (auto& tape : tapes) {
      for (int i = 0; i < n; i++) {
        const auto row = static_cast<size_t>(i);
        tape->tokens[row] = (7 * i + position) % static_cast<int>(vocab);
        tape->sequences[row] = i % 2;
        tape->positions[row] = position + i / 2;
      }
      for (int i = 0; i < m; i++) tape->outputs[static_cast<size_t>(i)] = n - 1 - i;
    }
  }

  int step(int n, int m) {
    for (auto& tape : tapes) {
      // one operation on a tape of its own may be of the outputs alone: fine
      if (const int status = tk_cpu_step(tape->handle, n, m); status != TK_OK) return status;
    }
    return TK_OK;
  }

  Tape& tape() { return *tapes.front(); }

  const Team& team_;
  const bool one_tape_;
  std::vector<std::unique_ptr<Tape>> tapes;
  Floats table, norm_weight, angles, bias, q_weight, k_weight, v_weight, o_weight, gate_weight,
      up_weight, down_weight, head_weight;
  Floats x, y, q, k, v, attended, projected, gate, up, chosen, logits;
  std::vector<uint64_t> cache;
};

void fused_as_alone(int level, uint64_t seed) {
  for (int threads : {1, 2, 3}) {
    const Team team(level, threads);
    Model fused(team, seed, true), alone(team, seed, false);
    for (int position = 0; position < 20; position += 3) {
      for (Model* model : {&fused, &alone}) {
        model->fill(6, 2, position);
        expect_status(model->step(6, 2), TK_OK, "step");
      }
      const struct {
        const char* name;
        const Model::Floats &a, &b;
      } results[] = {{"logits", fused.logits, alone.logits}, {"x", fused.x, alone.x},
                     {"k", fused.k, alone.k},                {"attention", fused.attended, alone.attended}};
      for (const auto& result : results) {
        if (memcmp(result.a.data(), result.b.data(), result.a.size() * 4) != 0) {
          fail("%d threads, position %d: %s differs", threads, position, result.name);
        }
      }
    }
  }
}

void same_in_company(int level, uint64_t seed) {
  // Sequence 1 alone, a row a step, and then both sequences in steps of six rows.
  const Team team(level, 2);
  Model alone(team, seed, true), company(team, seed, true);
  for (int position = 0; position < 18; position += 3) {
    company.fill(6, 2, position);
    expect_status(company.step(6, 2), TK_OK, "step");
    for (int i = 0; i < 3; i++) {
      Tape &one = alone.tape(), &all = company.tape();
      const auto row = static_cast<size_t>(2 * i + 1);
      one.tokens[0] = all.tokens[row];
      one.sequences[0] = 1;
      one.positions[0] = all.positions[row];
      one.outputs[0] = 0;
      expect_status(alone.step(1, 1), TK_OK, "step");
      if (memcmp(alone.x.data(), company.x.data() + row * Model::dim, Model::dim * 4) != 0) {
        fail("position %d: x differs", position + i);
      }
    }
    if (memcmp(alone.logits.data(), company.logits.data(), Model::vocab * 4) != 0) {
      fail("position %d: logits differ", position + 2);
    }
  }
}

void wrong_batches(int level, uint64_t seed) {
  const Team team(level, 2);
  Model model(team, seed, true);
  Tape& tape = model.tape();
  model.fill(6, 2, 3);
  expect_status(model.step(6, 2), TK_OK, "step");
  expect_status(model.step(6, 0), TK_OK, "step without outputs");
  expect_message(model.step(0, 0), "n=0, must be 1 to 6");
  expect_message(model.step(7, 0), "n=7");
  expect_message(model.step(6, 3), "m=3");
  expect_message(model.step(6, -1), "m=-1");
  const auto with = [&](std::vector<int32_t>& values, size_t i, int32_t value, const char* part) {
    const int32_t before = values[i];
    values[i] = value;
    expect_message(model.step(6, 2), part);
    values[i] = before;
  };
  with(tape.tokens, 2, 11, "tokens[2]=11, must be 0 to 10 (vocabulary)");
  with(tape.tokens, 0, -1, "tokens[0]=-1");
  with(tape.positions, 1, 32, "positions[1]=32, must be 0 to 31 (pages of a sequence)");
  with(tape.positions, 5, 40, "positions[5]=40, must be 0 to 39 (rotary table)");
  with(tape.positions, 5, -7, "positions[5]=-7");
  with(tape.sequences, 3, 2, "sequences[3]=2, must be 0 to 1");
  with(tape.outputs, 1, 6, "outputs[1]=6, must be 0 to 5");
  with(tape.pages, 0, 4, "page_table[0][0]=4, must be 0 to 3");
  with(tape.pages, 2, -1, "page_table[1][0]=-1");
  tape.pages[1] = 1000;  // beyond every row's position: not looked at
  expect_status(model.step(6, 2), TK_OK, "step");
  tape.positions[4] = 16;
  expect_message(model.step(6, 2), "page_table[0][1]=1000");
}

void names_the_culprit(int level, uint64_t seed) {
  const Team team(level, 2);
  const struct {
    int operation;
    Model::Floats Model::*weight;
  } culprits[] = {{0, &Model::table},     {1, &Model::norm_weight},  {2, &Model::q_weight},
                  {4, &Model::v_weight},  {5, &Model::angles},       {9, &Model::o_weight},
                  {13, &Model::up_weight}, {15, &Model::down_weight}, {19, &Model::head_weight}};
  for (const auto& culprit : culprits) {
    Model model(team, seed, true);
    model.fill(6, 2, 0);
    expect_status(model.step(6, 2), TK_OK, "step");
    if (tk_cpu_tape_failed(model.tape().handle) != -1) fail("failed without a failure");
    for (float& value : model.*culprit.weight) value = INFINITY;
    expect_status(model.step(6, 2), TK_NOT_FINITE, "step");
    const int failed = tk_cpu_tape_failed(model.tape().handle);
    if (failed != culprit.operation) fail("operation %d named, not %d", failed, culprit.operation);
  }
}

/** A store has no output to look at, and here there is none before it either. */
void culprit_after_a_store(int level, uint64_t) {
  const Team team(level, 2);
  Tape tape(team, 1, 1);
  std::vector<float> q(8, 1), k(8, 1), v(8, NAN), out(8);
  std::vector<uint64_t> cache(static_cast<size_t>(tk_cpu_cache_bytes(0, 1, 1, 8, 1) / 8));
  expect_status(tk_cpu_cache(tape.handle, 0, 1, 1, 8, 1, cache.data()), TK_OK, "cache");
  expect_status(tk_cpu_store(tape.handle, 0, k.data(), v.data()), TK_OK, "store");
  expect_status(tk_cpu_attention(tape.handle, 0, q.data(), 1, 1, out.data()), TK_OK, "attention");
  expect_status(tk_cpu_step(tape.handle, 1, 0), TK_NOT_FINITE, "step");
  const int failed = tk_cpu_tape_failed(tape.handle);
  if (failed != 1) fail("operation %d named, not 1", failed);
}

void memory(int, uint64_t) {
  for (int64_t bytes : {int64_t{1}, int64_t{4097}, (int64_t{2} << 20) - 1, (int64_t{5} << 20) + 3}) {
    auto* const memory = static_cast<char*>(tk_memory_allocate(bytes));
    if (memory == nullptr) fail("%lld bytes: %s", static_cast<long long>(bytes), tk_last_error());
    if (reinterpret_cast<uintptr_t>(memory) % 64 != 0) fail("not aligned");
    for (int64_t i = 0; i < bytes; i += 61) {
      if (memory[i] != 0) fail("not zero");
      memory[i] = 1;
    }
    memory[bytes - 1] = 1;
    tk_memory_free(memory, bytes);
  }
  if (tk_memory_allocate(0) != nullptr || tk_memory_allocate(-5) != nullptr) fail("made of nothing");
  if (tk_memory_allocate(int64_t{1} << 60) != nullptr) fail("an exabyte was had");
  expect_message(TK_OUT_OF_MEMORY, "1152921504606846976 bytes");
  tk_memory_free(nullptr, 100);
}

}  // namespace

const std::vector<Scenario> tape_scenarios = {{"memory: zeroed, aligned, refused", memory},
                                              {"tape: wrong arguments", wrong_arguments},
                                              {"tape: wrong batches", wrong_batches},
                                              {"tape: names the culprit", names_the_culprit},
                                              {"tape: culprit after a store", culprit_after_a_store},
                                              {"tape: fused as alone", fused_as_alone},
                                              {"tape: same in company", same_in_company}};

}  // namespace tokamak::tests
