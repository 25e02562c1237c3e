// SPDX-License-Identifier: Apache-2.0
//
// tokamak_train_bench [--layers N] [--dim N] [--heads N] [--kv-heads N] [--hidden N] [--vocab N]
//                     [--sequences N] [--tokens N] [--steps N] [--threads N] [--level N] [--bf16 1]
//                     [--muon 1]
//
// Speed of training steps of a llama-family model with tied embeddings, on random tokens, and where
// the time goes: for each kind of phase its processor time in a step, its share, and the speed of
// its products against the peak that tk_cpu_roofline measures before (or --peak GFLOP/s). `tokamak bench train` times the
// same through Java.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cpu/train/train.h"
#include "tokamak/tokamak_train.h"

namespace {

/** Of all threads of this process. */
double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void check(int status) {
  if (status == TK_OK) return;
  std::fprintf(stderr, "%s\n", tk_last_error());
  std::exit(1);
}

struct Options {
  std::map<std::string, int> values{{"layers", 8},    {"dim", 256},   {"heads", 8},
                                    {"kv-heads", 4},  {"hidden", 704}, {"vocab", 4096},
                                    {"sequences", 8}, {"tokens", 256}, {"steps", 10},
                                    {"threads", 2},   {"level", -1},   {"bf16", 0},
                                    {"muon", 0},      {"peak", 0}};
  int operator[](const char* name) const { return values.at(name); }
};

/** Values of steps. Those that are let go are given out again, the last first. */
class Memory {
 public:
  float* take(int64_t floats) {
    std::vector<float*>& free = free_[floats];
    if (!free.empty()) {
      float* const last = free.back();
      free.pop_back();
      return last;
    }
    auto* made = static_cast<float*>(tk_memory_allocate(floats * 4));
    if (made == nullptr) check(TK_OUT_OF_MEMORY);
    sizes_[made] = floats;
    return made;
  }
  void give(float* memory) { free_[sizes_.at(memory)].push_back(memory); }

 private:
  std::map<int64_t, std::vector<float*>> free_;
  std::map<float*, int64_t> sizes_;
};

struct Parameter {
  int64_t offset;
  int rows, cols, role;
};

/** A model, its tape and its batch. */
struct Training {
  int layers, dim, heads, kv_heads, hidden, vocab, head_dim, kv_dim, n;
  std::vector<Parameter> parameters;
  int64_t floats = 0;
  float *weights, *gradients, *first, *second;
  std::vector<int32_t> tokens, positions, starts, outputs, targets;
  std::vector<float> coefficients, log_probabilities;
  std::vector<float> angles;
  tk_train* tape;
  Memory memory;

  Parameter parameter(int rows, int cols, int role) {
    parameters.push_back({floats, rows, cols, role});
    floats += (static_cast<int64_t>(rows) * cols + 15) / 16 * 16;
    return parameters.back();
  }
  float* w(const Parameter& p) const { return weights + p.offset; }
  float* g(const Parameter& p) const { return gradients + p.offset; }
  float* value(int width) { return memory.take(static_cast<int64_t>(n) * width); }

  float* matmul(float* x, const Parameter& p) {
    float* const out = value(p.rows);
    check(tk_train_matmul(tape, TK_ROWS_STEP, x, p.cols, w(p), p.rows, nullptr, out));
    return out;
  }
  float* norm(float* x, const Parameter& p) {
    float* const out = value(dim);
    check(tk_train_norm(tape, TK_ROWS_STEP, x, dim, w(p), dim, 1e-5f, out));
    return out;
  }
  void gradient(float* out_gradient, float* x, const Parameter& p, float*& x_gradient) {
    check(tk_train_weight_gradient(tape, TK_ROWS_STEP, out_gradient, p.rows, x, p.cols, g(p)));
    const bool accumulate = x_gradient != nullptr;
    if (!accumulate) x_gradient = value(p.cols);
    check(tk_train_input_gradient(tape, TK_ROWS_STEP, out_gradient, p.rows, w(p), p.cols,
                                  accumulate, x_gradient));
  }
  float* rope(float* x, int width, bool inverse) {
    float* const out = value(width);
    check(tk_train_rope(tape, x, width / head_dim, head_dim, head_dim, TK_PAIRING_HALF_SPLIT,
                        angles.data(), static_cast<int64_t>(angles.size()) / head_dim, inverse,
                        out));
    return out;
  }

  Training(const Options& o, tk_team* team)
      : layers(o["layers"]), dim(o["dim"]), heads(o["heads"]), kv_heads(o["kv-heads"]),
        hidden(o["hidden"]), vocab(o["vocab"]), head_dim(dim / heads), kv_dim(kv_heads * head_dim),
        n(o["sequences"] * o["tokens"]) {
    struct Block {
      Parameter norm, q, k, v, o, second_norm, gate, up, down;
    };
    std::vector<Block> blocks;
    const Parameter table = parameter(vocab, dim, TK_ROLE_TABLE);
    for (int i = 0; i < layers; i++) {
      const auto matrix = [&](int rows, int cols) { return parameter(rows, cols, TK_ROLE_MATRIX); };
      const auto vector = [&] { return parameter(1, dim, TK_ROLE_VECTOR); };
      blocks.push_back({vector(), matrix(dim, dim), matrix(kv_dim, dim), matrix(kv_dim, dim),
                        matrix(dim, dim), vector(), matrix(hidden, dim), matrix(hidden, dim),
                        matrix(dim, hidden)});
    }
    const Parameter last_norm = parameter(1, dim, TK_ROLE_VECTOR);
    for (float** array : {&weights, &gradients, &first, &second}) *array = memory.take(floats);
    srand(1);
    for (const Parameter& p : parameters) {
      for (int64_t i = 0; i < static_cast<int64_t>(p.rows) * p.cols; i++) {
        w(p)[i] = p.role == TK_ROLE_VECTOR
                      ? 1
                      : 0.02f * 3.46f * (static_cast<float>(rand()) / static_cast<float>(RAND_MAX) - 0.5f);
      }
    }
    for (int position = 0; position < o["tokens"]; position++) {
      for (int i = 0; i < head_dim; i++) {
        const double angle = position * std::pow(10000.0, -2.0 * (i % (head_dim / 2)) / head_dim);
        angles.push_back(static_cast<float>(i < head_dim / 2 ? std::cos(angle) : std::sin(angle)));
      }
    }
    for (int row = 0; row < n; row++) {
      positions.push_back(row % o["tokens"]);
      starts.push_back(row - row % o["tokens"]);
      outputs.push_back(row);
      coefficients.push_back(-1.0f / static_cast<float>(n));
    }
    tokens.resize(static_cast<size_t>(n));
    targets.resize(static_cast<size_t>(n));
    log_probabilities.resize(static_cast<size_t>(n));
    tape = tk_train_create(team, n, n, o["bf16"], tokens.data(), positions.data(), starts.data(),
                           outputs.data(), targets.data(), coefficients.data(),
                           log_probabilities.data());
    if (tape == nullptr) check(TK_BAD_ARGUMENT);
    check(tk_train_state(tape, weights, gradients, first, second, floats));
    for (const Parameter& p : parameters) {
      check(tk_train_parameter(tape, p.role, p.rows, p.cols, p.offset));
    }

    struct Kept {
      float *x, *normed, *q, *k, *v, *attended, *log_sums, *second, *second_normed, *gate, *up, *gated;
    };
    std::vector<Kept> kept;
    const float scale = 1 / std::sqrt(static_cast<float>(head_dim));
    float* x = value(dim);
    check(tk_train_embed(tape, w(table), vocab, dim, x));
    for (const Block& b : blocks) {
      Kept a{};
      a.x = x;
      a.normed = norm(x, b.norm);
      float* const q = matmul(a.normed, b.q);
      float* const k = matmul(a.normed, b.k);
      a.v = matmul(a.normed, b.v);
      a.q = rope(q, dim, false);
      a.k = rope(k, kv_dim, false);
      memory.give(q);
      memory.give(k);
      a.attended = value(dim);
      a.log_sums = value(heads);
      check(tk_train_attention(tape, a.q, a.k, a.v, heads, kv_heads, head_dim, scale, a.attended,
                               a.log_sums));
      float* branch = matmul(a.attended, b.o);
      a.second = value(dim);
      check(tk_train_add(tape, TK_ROWS_STEP, x, branch, dim, a.second));
      memory.give(branch);
      a.second_normed = norm(a.second, b.second_norm);
      a.gate = matmul(a.second_normed, b.gate);
      a.up = matmul(a.second_normed, b.up);
      a.gated = value(hidden);
      check(tk_train_gate(tape, TK_ROWS_STEP, a.gate, a.up, hidden, a.gated));
      branch = matmul(a.gated, b.down);
      x = value(dim);
      check(tk_train_add(tape, TK_ROWS_STEP, a.second, branch, dim, x));
      memory.give(branch);
      kept.push_back(a);
    }
    float* const last = value(dim);
    check(tk_train_select(tape, x, dim, last));
    float* const normed = value(dim);
    check(tk_train_norm(tape, TK_ROWS_OUTPUTS, last, dim, w(last_norm), dim, 1e-5f, normed));
    float* const logits = value(vocab);
    check(tk_train_matmul(tape, TK_ROWS_OUTPUTS, normed, dim, w(table), vocab, nullptr, logits));
    float* const log_sums = value(1);
    check(tk_train_log_probability(tape, logits, vocab, log_sums));

    check(tk_train_begin_backward(tape));
    check(tk_train_log_probability_gradient(tape, logits, vocab, log_sums));
    float* d_normed = value(dim);
    check(tk_train_weight_gradient(tape, TK_ROWS_OUTPUTS, logits, vocab, normed, dim, g(table)));
    check(tk_train_input_gradient(tape, TK_ROWS_OUTPUTS, logits, vocab, w(table), dim, 0, d_normed));
    float* const d_last = value(dim);
    check(tk_train_norm_gradient(tape, TK_ROWS_OUTPUTS, last, dim, w(last_norm), dim, 1e-5f,
                                 d_normed, d_last, g(last_norm)));
    memory.give(d_normed);
    float* dx = value(dim);
    check(tk_train_select_gradient(tape, d_last, dim, dx));
    memory.give(d_last);
    const auto through_norm = [&](float* normed_gradient, float* of, const Parameter& p) {
      float* const contribution = value(dim);
      check(tk_train_norm_gradient(tape, TK_ROWS_STEP, of, dim, w(p), dim, 1e-5f, normed_gradient,
                                   contribution, g(p)));
      memory.give(normed_gradient);
      float* const sum = value(dim);
      check(tk_train_add(tape, TK_ROWS_STEP, dx, contribution, dim, sum));
      memory.give(contribution);
      memory.give(dx);
      dx = sum;
    };
    for (int i = layers; i-- > 0;) {
      const Block& b = blocks[static_cast<size_t>(i)];
      const Kept& a = kept[static_cast<size_t>(i)];
      float* d_gated = nullptr;
      gradient(dx, a.gated, b.down, d_gated);
      float *d_gate = value(hidden), *d_up = value(hidden);
      check(tk_train_gate_gradient(tape, TK_ROWS_STEP, a.gate, a.up, hidden, d_gated, d_gate, d_up));
      memory.give(d_gated);
      float* d_second = nullptr;
      gradient(d_up, a.second_normed, b.up, d_second);
      gradient(d_gate, a.second_normed, b.gate, d_second);
      memory.give(d_gate);
      memory.give(d_up);
      through_norm(d_second, a.second, b.second_norm);
      float* d_attended = nullptr;
      gradient(dx, a.attended, b.o, d_attended);
      float *dq = value(dim), *dk = value(kv_dim), *dv = value(kv_dim);
      check(tk_train_attention_gradient(tape, a.q, a.k, a.v, a.attended, a.log_sums, heads,
                                        kv_heads, head_dim, scale, d_attended, dq, dk, dv));
      memory.give(d_attended);
      float* const dk_before = rope(dk, kv_dim, true);
      float* const dq_before = rope(dq, dim, true);
      memory.give(dq);
      memory.give(dk);
      float* d_first = nullptr;
      gradient(dv, a.normed, b.v, d_first);
      gradient(dk_before, a.normed, b.k, d_first);
      gradient(dq_before, a.normed, b.q, d_first);
      for (float* done : {dq_before, dk_before, dv}) memory.give(done);
      through_norm(d_first, a.x, b.norm);
    }
    check(tk_train_embed_gradient(tape, dx, vocab, dim, g(table)));
  }

  double step(int number, bool muon) {
    for (int32_t& token : tokens) token = rand() % vocab;
    for (size_t i = 0; i < tokens.size(); i++) targets[i] = tokens[(i + 1) % tokens.size()];
    check(tk_train_forward(tape, n, n));
    check(tk_train_backward(tape, n, n));
    double norm;
    check(tk_train_update(tape, muon ? TK_OPTIMIZER_MUON : TK_OPTIMIZER_ADAMW, number, 1e-3, 0.1, 1,
                          0.9, 0.95, 1e-8, 0.95, &norm));
    double loss = 0;
    for (float l : log_probabilities) loss -= static_cast<double>(l) / n;
    return loss;
  }
};

/** Seconds and multiplications and additions of like phases. */
struct Kind {
  double seconds = 0, flops = 0;
  int phases = 0;
};

void collect(const tokamak::cpu::train::Pass& pass, int n, std::map<std::string, Kind>& kinds) {
  for (const auto& phase : pass.phases) {
    std::map<std::string, int> names;
    double flops = 0;
    for (int i = phase.first; i < phase.last; i++) {
      const auto& operation = pass.operations[static_cast<size_t>(i)];
      names[name_of(operation)]++;
      if (const auto* product = std::get_if<tokamak::cpu::train::Product>(&operation.work)) {
        const auto& gemm = product->gemm;
        flops += 2.0 * static_cast<double>(product->sums_rows ? gemm.m * gemm.n * n
                                                              : gemm.n * gemm.k * n);
      }
    }
    std::string name;
    for (const auto& [one, count] : names) {
      if (!name.empty()) name += ", ";
      name += count > 1 ? std::to_string(count) + " " + one : one;
    }
    if (names.empty()) name = "pack";
    Kind& kind = kinds[name];
    kind.seconds += phase.seconds;
    kind.flops += flops;
    kind.phases++;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto found = options.values.find(argv[i] + (std::strncmp(argv[i], "--", 2) == 0 ? 2 : 0));
    if (found == options.values.end()) {
      std::fprintf(stderr, "%s is no option\n", argv[i]);
      return 1;
    }
    found->second = std::atoi(argv[i + 1]);
  }
  const int level = options["level"] < 0 ? tk_cpu_level() : options["level"];
  tk_team* const team = tk_cpu_team_create(level, options["threads"], nullptr);
  if (team == nullptr) check(TK_BAD_ARGUMENT);
  double peaks[4];
  check(tk_cpu_roofline(team, peaks));
  double peak = options["bf16"] != 0 && peaks[3] > 0 ? peaks[3] : peaks[1];
  if (options["peak"] > 0) peak = 1e9 * options["peak"];
  std::printf("%s, %d threads: %.1f GB/s, peak %.1f GFLOP/s\n", tk_cpu_level_name(level),
              options["threads"], peaks[0] / 1e9, peak / 1e9);

  Training training(options, team);
  const bool muon = options["muon"] != 0;
  for (int step = 1; step <= 2; step++) training.step(step, muon);
  for (auto* pass : {&training.tape->forward, &training.tape->backward}) {
    for (auto& phase : pass->phases) phase.seconds = 0;
  }
  std::vector<double> times;
  double loss = 0;
  const double before = processor_seconds();
  for (int step = 0; step < options["steps"]; step++) {
    const double start = now();
    loss = training.step(step + 3, muon);
    times.push_back(now() - start);
  }
  // A thread's share: on a shared machine, processor time tells more than a clock.
  const double all = (processor_seconds() - before) / options["threads"];
  std::map<std::string, Kind> kinds;
  collect(training.tape->forward, training.n, kinds);
  collect(training.tape->backward, training.n, kinds);
  double phases = 0;
  for (const auto& [name, kind] : kinds) phases += kind.seconds;
  kinds["update, and what is between"].seconds = all - phases;
  std::vector<std::pair<std::string, Kind>> sorted(kinds.begin(), kinds.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  for (const auto& [name, kind] : sorted) {
    const double flops_per_second = kind.flops * options["steps"] / kind.seconds;
    std::printf("%8.2f ms %5.1f %%  %5.1f %% of peak  %3d x %s\n",
                kind.seconds / options["steps"] * 1e3, kind.seconds / all * 100,
                flops_per_second / peak * 100, kind.phases, name.c_str());
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  int64_t size = 0;
  for (const Parameter& p : training.parameters) size += static_cast<int64_t>(p.rows) * p.cols;
  const double flops = 6.0 * static_cast<double>(size) * training.n / median;
  std::printf("parameters %lld, step %.1f ms (best %.1f, processor time of a thread %.1f), %.0f tokens/s, "
              "%.1f GFLOP/s, %.1f %% of peak, loss %.4f\n",
              static_cast<long long>(size), median * 1e3, times[0] * 1e3,
              all / options["steps"] * 1e3, training.n / median, flops / 1e9, flops / peak * 100, loss);
  tk_train_free(training.tape);
  tk_cpu_team_free(team);
}
