// SPDX-License-Identifier: Apache-2.0
//
// The tape: wrong arguments, wrong batches, outputs that are not finite, steps that are stopped,
// and that operations which share a phase compute what they compute alone.

#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "../model.h"
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
  const int32_t word = 0;
  expect_message(tk_cpu_watch(nullptr, &word), "tk_cpu_watch: tape is null");
  expect_message(tk_cpu_watch(t, nullptr), "tk_cpu_watch: stop is null");
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

tk_tape* tape_of(Model& model) { return static_cast<Tape&>(model.program()).handle; }

void same_bits(const Array<float>& a, const Array<float>& b, const std::string& what) {
  if (memcmp(a.data(), b.data(), static_cast<size_t>(a.count()) * 4) != 0) {
    fail("%s differs", what.c_str());
  }
}

void fused_as_alone(int level, uint64_t seed) {
  for (int threads : {1, 2, 3}) {
    Cpu cpu(level, threads);
    Model::Form alone_form;
    alone_form.apart = true;
    Model fused(cpu, seed, {}), alone(cpu, seed, alone_form);
    for (int position = 0; position < 20; position += 3) {
      for (Model* model : {&fused, &alone}) {
        model->fill(6, 2, position);
        model->step(6, 2);
      }
      const std::string where =
          std::to_string(threads) + " threads, position " + std::to_string(position) + ": ";
      same_bits(fused.logits, alone.logits, where + "logits");
      same_bits(fused.x, alone.x, where + "x");
      same_bits(fused.k, alone.k, where + "k");
      same_bits(fused.attended, alone.attended, where + "attention");
    }
  }
}

void same_in_company(int level, uint64_t seed) {
  Cpu cpu(level, 2);
  company_changes_nothing(cpu, seed, {});
}

/**
 * Long sequences and few rows: their positions are shared out to the threads. Each row must be what
 * it is with one thread and alone.
 */
void attention_in_parts(int level, uint64_t seed) {
  constexpr int heads = 9, kv_heads = 3, dim = 32, pages = 40, most = 17;
  constexpr int64_t q_width = heads * dim, kv_width = kv_heads * dim;
  Random random(seed);
  for (const int type : {0, 1, 30, 8}) {
    Cpu alone(level, 1);
    const int64_t bytes = tk_cpu_cache_bytes(type, 1, kv_heads, dim, 2 * pages);
    const Array<uint8_t> cache(alone, bytes);
    const int fill = 16 * pages;
    const Array<float> k(alone, values("normal", fill, kv_width, random));
    const Array<float> v(alone, values("outlier", fill, kv_width, random));
    const auto program = [&](Cpu& cpu, int rows) {
      auto made = cpu.program(rows, 1, 2, pages);
      made->cache(type, 1, kv_heads, dim, 2 * pages, cache.data());
      return made;
    };
    const auto filling = program(alone, fill);
    filling->store(0, k.data(), v.data());
    for (int sequence : {0, 1}) {
      for (int i = 0; i < fill; i++) {
        filling->positions[static_cast<size_t>(i)] = i;
        filling->sequences[static_cast<size_t>(i)] = sequence;
      }
      filling->step(fill, 0);
    }

    const std::vector<float> q = values("normal", most, q_width, random);
    const auto run = [&](Cpu& cpu, int first, int rows) {
      const auto made = program(cpu, rows);
      const Array<float> in(cpu, std::vector<float>(q.data() + first * q_width,
                                                    q.data() + (first + rows) * q_width));
      const Array<float> out(cpu, rows * q_width);
      made->attention(0, in.data(), heads, 0.2f, out.data());
      for (int i = 0; i < rows; i++) {
        const int row = first + i;
        made->sequences[static_cast<size_t>(i)] = row % 2;
        made->positions[static_cast<size_t>(i)] = row % 2 == 0 ? 599 - row : 240 + row;
      }
      made->step(rows, 0);
      made->step(rows, 0);  // what the first leaves behind must not matter
      return out.read();
    };
    std::vector<float> expected;
    for (int row = 0; row < most; row++) {
      const std::vector<float> one = run(alone, row, 1);
      expected.insert(expected.end(), one.begin(), one.end());
    }
    for (int threads : {1, 2, 3, 7}) {
      Cpu cpu(level, threads);
      for (int rows : {1, 2, 5, most}) {
        const std::vector<float> out = run(cpu, 0, rows);
        if (memcmp(out.data(), expected.data(), out.size() * sizeof(float)) != 0) {
          fail("type %d, %d threads, %d rows: not what each row is alone", type, threads, rows);
        }
      }
    }
  }
}

void wrong_batches(int level, uint64_t seed) {
  Cpu cpu(level, 2);
  Model model(cpu, seed, {});
  Program& batch = model.program();
  tk_tape* tape = tape_of(model);
  model.fill(6, 2, 3);
  model.step(6, 2);
  model.step(6, 0);
  expect_message(tk_cpu_step(tape, 0, 0), "n=0, must be 1 to 6");
  expect_message(tk_cpu_step(tape, 7, 0), "n=7");
  expect_message(tk_cpu_step(tape, 6, 3), "m=3");
  expect_message(tk_cpu_step(tape, 6, -1), "m=-1");
  const auto with = [&](std::vector<int32_t>& values, size_t i, int32_t value, const char* part) {
    const int32_t before = values[i];
    values[i] = value;
    expect_message(tk_cpu_step(tape, 6, 2), part);
    values[i] = before;
  };
  with(batch.tokens, 2, 11, "tokens[2]=11, must be 0 to 10 (vocabulary)");
  with(batch.tokens, 0, -1, "tokens[0]=-1");
  with(batch.positions, 1, 32, "positions[1]=32, must be 0 to 31 (pages of a sequence)");
  with(batch.positions, 5, 40, "positions[5]=40, must be 0 to 39 (rotary table)");
  with(batch.positions, 5, -7, "positions[5]=-7");
  with(batch.sequences, 3, 2, "sequences[3]=2, must be 0 to 1");
  with(batch.outputs, 1, 6, "outputs[1]=6, must be 0 to 5");
  with(batch.pages, 0, 4, "page_table[0][0]=4, must be 0 to 3");
  with(batch.pages, 2, -1, "page_table[1][0]=-1");
  batch.pages[1] = 1000;  // beyond every row's position: not looked at
  model.step(6, 2);
  batch.positions[4] = 16;
  expect_message(tk_cpu_step(tape, 6, 2), "page_table[0][1]=1000");
}

void names_the_culprit(int level, uint64_t seed) {
  Cpu cpu(level, 2);
  const struct {
    int operation;
    Array<float> Model::*weight;
  } culprits[] = {{0, &Model::table},      {1, &Model::norm_weight},  {2, &Model::q_weight},
                  {4, &Model::v_weight},   {5, &Model::angles},       {9, &Model::o_weight},
                  {13, &Model::up_weight}, {15, &Model::down_weight}, {35, &Model::head_weight}};
  for (const auto& culprit : culprits) {
    Model model(cpu, seed, {});
    tk_tape* const tape = tape_of(model);
    model.fill(6, 2, 0);
    expect_status(tk_cpu_step(tape, 6, 2), TK_OK, "step");
    if (tk_cpu_tape_failed(tape) != -1) fail("failed without a failure");
    Array<float>& weight = model.*culprit.weight;
    std::fill(weight.data(), weight.data() + weight.count(), INFINITY);
    expect_status(tk_cpu_step(tape, 6, 2), TK_NOT_FINITE, "step");
    const int failed = tk_cpu_tape_failed(tape);
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

/** Stopped at any moment, a step can be run again as if nothing had been. */
void stopped_and_again(int level, uint64_t seed) {
  for (int threads : {1, 2, 3}) {
    Cpu cpu(level, threads);
    Model undisturbed(cpu, seed, {}), model(cpu, seed, {});
    undisturbed.fill(6, 2, 0);
    undisturbed.step(6, 2);
    tk_tape* const tape = tape_of(model);
    std::atomic<int32_t> stop{1};
    expect_status(tk_cpu_watch(tape, reinterpret_cast<const int32_t*>(&stop)), TK_OK, "watch");
    model.fill(6, 2, 0);
    expect_status(tk_cpu_step(tape, 6, 2), TK_STOPPED, "a step that was stopped before");
    std::atomic<bool> over{false};
    std::thread stopper([&] {
      for (Random moments(seed); !over;) {
        std::this_thread::sleep_for(std::chrono::microseconds(moments.below(100)));
        stop = 1;
      }
    });
    int early = 0;
    for (int i = 0; i < 100'000 && early < 20; i++) {
      stop = 0;
      const int status = tk_cpu_step(tape, 6, 2);
      if (status != TK_OK) expect_status(status, TK_STOPPED, "step");
      early += status != TK_OK;
    }
    over = true;
    stopper.join();
    if (early < 20) fail("of 100000 steps %d ended early", early);
    stop = 0;
    model.step(6, 2);
    const std::string where = std::to_string(threads) + " threads: ";
    same_bits(undisturbed.logits, model.logits, where + "logits");
    same_bits(undisturbed.x, model.x, where + "x");
  }
}

/** A long step ends soon after it was told to. */
void stops_soon(int level, uint64_t) {
  using Clock = std::chrono::steady_clock;
  constexpr int rows = 32, width = 256, products = 300;
  const Team team(level, 2);
  Tape tape(team, rows, 1);
  const int64_t bytes = tk_cpu_packed_bytes(0, width, width);
  void* const weights = tk_memory_allocate(bytes);
  std::vector<float> x(rows * width, 1), y(rows * width, 1);
  for (int i = 0; i < products; i++) {
    expect_status(tk_cpu_matmul(tape.handle, TK_ROWS_STEP, i % 2 == 0 ? x.data() : y.data(), width,
                                0, weights, width, nullptr, i % 2 == 0 ? y.data() : x.data()),
                  TK_OK, "matmul");
  }
  std::atomic<int32_t> stop{0};
  expect_status(tk_cpu_watch(tape.handle, reinterpret_cast<const int32_t*>(&stop)), TK_OK, "watch");
  const auto time = [&](int wanted) {
    const auto start = Clock::now();
    expect_status(tk_cpu_step(tape.handle, rows, 0), wanted, "step");
    return Clock::now() - start;
  };
  auto whole = time(TK_OK);
  for (int i = 0; i < 4; i++) whole = std::min(whole, time(TK_OK));
  // On a busy machine a thread may wait for a core: the best of a few counts.
  auto best = Clock::duration::max();
  for (int i = 0; i < 20 && best > whole / 2; i++) {
    std::thread stopper([&] {
      std::this_thread::sleep_for(whole / 10);
      stop = 1;
    });
    const auto start = Clock::now();
    const int status = tk_cpu_step(tape.handle, rows, 0);
    if (status == TK_STOPPED) best = std::min(best, Clock::now() - start);
    stopper.join();
    stop = 0;
  }
  time(TK_OK);
  tk_memory_free(weights, bytes);
  if (best > whole / 2) fail("a step told to stop at its tenth part went beyond its half");
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
                                              {"tape: attention in parts", attention_in_parts},
                                              {"tape: same in company", same_in_company},
                                              {"tape: stopped, and again", stopped_and_again},
                                              {"tape: stops soon", stops_soon}};

}  // namespace tokamak::tests
