// SPDX-License-Identifier: Apache-2.0
//
// Whole steps of a small model on a CUDA device.

#include <string.h>

#include "../model.h"
#include "scenarios.h"

namespace tokamak::tests {
namespace {

void same_bits(const Array<float>& one, const Array<float>& other, int64_t count,
               const std::string& what) {
  const std::vector<float> a = one.read(count), b = other.read(count);
  for (size_t i = 0; i < a.size(); i++) {
    if (memcmp(&a[i], &b[i], sizeof a[i]) != 0) {
      fail("%s: value %zu is %.9g, but %.9g", what.c_str(), i, static_cast<double>(a[i]),
           static_cast<double>(b[i]));
    }
  }
}

/** Steps of both models: the same bits, and numbers at all. */
void compare_steps(Model& one, Model& other) {
  int position = 0;
  for (const auto& [n, m] : {std::pair{6, 2}, {2, 1}, {4, 0}, {6, 1}, {2, 2}, {5, 2}}) {
    for (Model* model : {&one, &other}) {
      model->fill(n, m, position);
      model->step(n, m);
    }
    const std::string where = "position " + std::to_string(position) + ", " + std::to_string(n) +
                              " rows: ";
    same_bits(one.x, other.x, n * Model::dim, where + "x");
    same_bits(one.attended, other.attended, n * Model::dim, where + "attention");
    same_bits(one.logits, other.logits, m * Model::vocab, where + "logits");
    for (const float value : one.logits.read(m * Model::vocab)) {
      if (!std::isfinite(value)) fail("%sa logit is not finite", where.c_str());
    }
    position += n / 2;
  }
}

void company(const device::Schedule& schedule, uint64_t seed) {
  for (const char* type : {"F32", "Q8_0"}) {
    Cuda machine({schedule});
    Model::Form form;
    form.weights = type;
    company_changes_nothing(machine, seed, form);
  }
}

void joined(const device::Schedule& schedule, uint64_t seed) {
  Cuda machine({schedule});
  Model::Form form;
  form.joined = true;
  Model apart(machine, seed, {}), together(machine, seed, form);
  compare_steps(apart, together);
}

/** A graph that was captured before the first step, made for more rows than any step has. */
void graph(const device::Schedule& schedule, uint64_t seed) {
  for (const char* type : {"F32", "Q4_0"}) {
    Cuda launched({schedule}), captured({schedule, 21, true});
    Model::Form form;
    form.weights = type;
    Model one(launched, seed, form), other(captured, seed, form);
    compare_steps(one, other);
  }
}

/** 24 rows of two sequences in one step, or in steps of 6. */
void chunks(const device::Schedule& schedule, uint64_t seed) {
  Cuda machine({schedule});
  Model::Form form;
  form.rows = 24;
  Model all(machine, seed, form), few(machine, seed, {});
  all.fill(24, 2, 0);
  all.step(24, 2);
  for (int position = 0; position < 12; position += 3) {
    few.fill(6, 2, position);
    few.step(6, 2);
  }
  same_bits(all.logits, few.logits, 2 * Model::vocab, "logits");
}

/** The operation whose output is the first that is not finite. */
void check(const device::Schedule& schedule, uint64_t) {
  Cuda machine({schedule});
  Launches program(machine, 5, 2, 1, 1);
  constexpr int64_t width = 37;
  Array<float> step(machine, std::vector<float>(5 * width, 1)),
      chosen(machine, std::vector<float>(2 * width, 1));
  Array<int32_t> failed(machine, 1);
  program.check(TK_ROWS_STEP, step.data(), width, 7, failed.data());
  program.check(TK_ROWS_OUTPUTS, chosen.data(), width, 3, failed.data());
  const auto expect = [&](const char* what, Array<float>& x, int64_t at, float value, int n, int m,
                          int32_t wanted) {
    std::vector<float> values(static_cast<size_t>(x.count()), 1);
    if (at >= 0) values[static_cast<size_t>(at)] = value;
    x.write(values.data(), x.count());
    const int32_t none = INT32_MAX;
    failed.write(&none, 1);
    program.step(n, m);
    const int32_t found = failed.read()[0];
    if (found != wanted) fail("%s: operation %d is named, not %d", what, found, wanted);
  };
  expect("all finite", step, -1, 0, 5, 2, INT32_MAX);
  expect("the largest float", step, 0, FLT_MAX, 5, 2, INT32_MAX);
  expect("NaN in the last value", step, 5 * width - 1, NAN, 5, 2, 7);
  expect("NaN behind the step's rows", step, 3 * width, NAN, 3, 2, INT32_MAX);
  expect("infinity in the first value", step, 0, -INFINITY, 5, 2, 7);
  expect("both", chosen, width, INFINITY, 5, 2, 3);
  expect("behind the outputs", chosen, width, INFINITY, 5, 1, 7);
  expect("again all finite", step, -1, 0, 5, 0, INT32_MAX);
}

/** Whole groups of rows may be packed one by one. */
void pack_in_pieces(const device::Schedule& schedule, uint64_t seed) {
  constexpr int64_t rows = 37, cols = 512, piece = 32;
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"}) {
    const Type type = type_of(name);
    Random random(seed);
    Cuda machine({schedule});
    const std::vector<uint8_t> bytes = random_blocks(name, rows * cols, random);
    const Array<uint8_t> source(machine, bytes);
    const int64_t size = machine.packed_bytes(type.number, rows, cols);
    const Array<uint8_t> whole(machine, size), pieces(machine, size);
    machine.pack(type.number, rows, cols, source.data(), whole.data());
    machine.pack(type.number, piece, cols, source.data(), pieces.data());
    machine.pack(type.number, rows - piece, cols,
                 source.data() + piece * cols / type.elements * type.bytes,
                 pieces.data() + machine.packed_bytes(type.number, piece, cols));
    if (whole.read() != pieces.read()) fail("%s: pieces differ from the whole", name);
  }
}

}  // namespace

const std::vector<Scenario> model_scenarios = {{"pack: in pieces", pack_in_pieces},
                                               {"check: names the first", check},
                                               {"model: rope and store joined", joined},
                                               {"model: company", company},
                                               {"model: graph", graph},
                                               {"model: chunks", chunks}};

}  // namespace tokamak::tests
