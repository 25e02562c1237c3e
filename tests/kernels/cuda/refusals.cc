// SPDX-License-Identifier: Apache-2.0
//
// Arguments that launchers do not take: the status, a message that names the function and the
// argument, and nothing that runs.

#include <string.h>

#include <array>
#include <cmath>

#include "scenarios.h"
#include "tokamak/tokamak_cuda_train.h"

namespace tokamak::tests {
namespace {

void expect_message(int status, int wanted, const char* part) {
  if (status != wanted) {
    fail("status %d, expected %d and '%s' (message: %s)", status, wanted, part, tk_cuda_last_error());
  }
  if (strstr(tk_cuda_last_error(), part) == nullptr) {
    fail("message '%s' does not say '%s'", tk_cuda_last_error(), part);
  }
}
void refused(int status, const char* part) { expect_message(status, TK_BAD_ARGUMENT, part); }
void unsupported(int status, const char* part) { expect_message(status, TK_UNSUPPORTED, part); }

/** A step of 4 rows and 2 outputs, and memory that launchers could write to. */
struct Fixture {
  explicit Fixture(const device::Schedule& schedule)
      : machine({schedule}), program(machine, 4, 2, 2, 1), a(machine, 4096), b(machine, 4096), c(machine, 4096) {}

  /** Nothing may have run. */
  void expect_untouched() {
    device::synchronize(program.stream());
    for (const Array<float>* memory : {&a, &b, &c}) {
      for (const float value : memory->read()) {
        if (!std::isnan(value)) fail("a refused launch wrote %g", static_cast<double>(value));
      }
    }
  }

  Cuda machine;
  Launches program;
  const Array<float> a, b, c;
};

float* odd(float* address) {
  return reinterpret_cast<float*>(reinterpret_cast<char*>(address) + 1);
}

void row_operations(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  tk_cuda_step* const s = fixture.program.handle();
  float *const x = fixture.a.data(), *const y = fixture.b.data(), *const z = fixture.c.data();
  int32_t* const word = reinterpret_cast<int32_t*>(z);

  refused(tk_cuda_embed(nullptr, 0, 1, 1, x, y), "tk_cuda_embed: step is null");
  unsupported(tk_cuda_embed(s, 77, 1, 1, x, y), "tk_cuda_embed: type");
  refused(tk_cuda_embed(s, 8, 1, 31, x, y), "tk_cuda_embed: dim=31");
  refused(tk_cuda_embed(s, 0, 0, 1, x, y), "tk_cuda_embed: vocab=0");
  refused(tk_cuda_embed(s, 0, 1, -1, x, y), "tk_cuda_embed: dim=-1");
  refused(tk_cuda_embed(s, 0, INT64_MAX, INT64_MAX, x, y), "tk_cuda_embed: ");
  refused(tk_cuda_embed(s, 0, 1, 1, nullptr, y), "tk_cuda_embed: table is null");
  refused(tk_cuda_embed(s, 0, 1, 1, x, nullptr), "tk_cuda_embed: out is null");

  refused(tk_cuda_norm(nullptr, 0, x, 8, y, 8, 0, z), "tk_cuda_norm: step is null");
  refused(tk_cuda_norm(s, 2, x, 8, y, 8, 0, z), "tk_cuda_norm: rows=2");
  refused(tk_cuda_norm(s, 0, x, 8, y, 3, 0, z), "width=8, must be a multiple of dim=3");
  refused(tk_cuda_norm(s, 0, x, 8, y, 0, 0, z), "tk_cuda_norm: dim=0");
  refused(tk_cuda_norm(s, 0, x, 0, y, 8, 0, z), "tk_cuda_norm: width=0");
  refused(tk_cuda_norm(s, 0, x, 8, y, 8, NAN, z), "tk_cuda_norm: epsilon");
  refused(tk_cuda_norm(s, 0, x, 8, y, 8, -1, z), "tk_cuda_norm: epsilon");
  refused(tk_cuda_norm(s, 0, nullptr, 8, y, 8, 0, z), "tk_cuda_norm: x is null");
  refused(tk_cuda_norm(s, 0, x, 8, nullptr, 8, 0, z), "tk_cuda_norm: weight is null");
  refused(tk_cuda_norm(s, 0, x, 8, y, 8, 0, nullptr), "tk_cuda_norm: out is null");
  refused(tk_cuda_norm(s, 0, odd(x), 8, y, 8, 0, z), "must be a multiple of 4");
  refused(tk_cuda_norm(s, 0, x, INT64_MAX, y, INT64_MAX, 0, z), "tk_cuda_norm: width=");

  refused(tk_cuda_gate(nullptr, 0, x, y, 4, z), "tk_cuda_gate: step is null");
  refused(tk_cuda_gate(s, -1, x, y, 4, z), "tk_cuda_gate: rows=-1");
  refused(tk_cuda_gate(s, 0, nullptr, y, 4, z), "tk_cuda_gate: gate is null");
  refused(tk_cuda_gate(s, 0, x, nullptr, 4, z), "tk_cuda_gate: up is null");
  refused(tk_cuda_gate(s, 0, x, y, 0, z), "tk_cuda_gate: width=0");
  refused(tk_cuda_gate(s, 0, x, y, 4, nullptr), "tk_cuda_gate: out is null");

  refused(tk_cuda_add(nullptr, 0, x, y, 4), "tk_cuda_add: step is null");
  refused(tk_cuda_add(s, 5, x, y, 4), "tk_cuda_add: rows=5");
  refused(tk_cuda_add(s, 0, x, y, -1), "tk_cuda_add: width=-1");
  refused(tk_cuda_add(s, 0, nullptr, y, 4), "tk_cuda_add: x is null");
  refused(tk_cuda_add(s, 0, x, nullptr, 4), "tk_cuda_add: y is null");

  refused(tk_cuda_select(nullptr, x, 4, z), "tk_cuda_select: step is null");
  refused(tk_cuda_select(s, nullptr, 4, z), "tk_cuda_select: x is null");
  refused(tk_cuda_select(s, x, 0, z), "tk_cuda_select: width=0");
  refused(tk_cuda_select(s, x, 4, nullptr), "tk_cuda_select: out is null");

  refused(tk_cuda_check(nullptr, 0, x, 4, 1, word), "tk_cuda_check: step is null");
  refused(tk_cuda_check(s, 3, x, 4, 1, word), "tk_cuda_check: rows=3");
  refused(tk_cuda_check(s, 0, nullptr, 4, 1, word), "tk_cuda_check: x is null");
  refused(tk_cuda_check(s, 0, x, 0, 1, word), "tk_cuda_check: width=0");
  refused(tk_cuda_check(s, 0, x, 4, 1, nullptr), "tk_cuda_check: failed is null");
  fixture.expect_untouched();
}

void weights(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  tk_cuda_step* const s = fixture.program.handle();
  void* const stream = fixture.program.stream();
  float *const x = fixture.a.data(), *const y = fixture.b.data(), *const z = fixture.c.data();

  for (const auto [type, rows, cols] :
       {std::array<int64_t, 3>{77, 16, 256}, {0, INT64_MAX, INT64_MAX}, {8, 16, 33}, {12, 16, 128},
        {0, -1, 16}, {0, 16, 0}}) {
    if (tk_cuda_packed_bytes(static_cast<int>(type), rows, cols) != -1) {
      fail("packed_bytes takes type %d, [%lld, %lld]", static_cast<int>(type),
           static_cast<long long>(rows), static_cast<long long>(cols));
    }
  }
  unsupported(tk_cuda_pack(stream, 5, 4, 4, x, y), "tk_cuda_pack: type");
  refused(tk_cuda_pack(stream, 0, 0, 4, x, y), "tk_cuda_pack: rows=0");
  refused(tk_cuda_pack(stream, 8, 4, 31, x, y), "tk_cuda_pack: cols=31");
  refused(tk_cuda_pack(stream, 0, 4, 4, nullptr, y), "tk_cuda_pack: source is null");
  refused(tk_cuda_pack(stream, 0, 4, 4, x, nullptr), "tk_cuda_pack: packed is null");

  refused(tk_cuda_embed_packed(nullptr, 0, 1, 1, x, y), "tk_cuda_embed_packed: step is null");
  unsupported(tk_cuda_embed_packed(s, 77, 1, 1, x, y), "tk_cuda_embed_packed: type");
  refused(tk_cuda_embed_packed(s, 8, 1, 31, x, y), "tk_cuda_embed_packed: dim=31");
  refused(tk_cuda_embed_packed(s, 0, 0, 1, x, y), "tk_cuda_embed_packed: vocab=0");
  refused(tk_cuda_embed_packed(s, 0, 1, 1, nullptr, y), "tk_cuda_embed_packed: packed is null");
  refused(tk_cuda_embed_packed(s, 0, 1, 1, x, nullptr), "tk_cuda_embed_packed: out is null");

  refused(tk_cuda_matmul(nullptr, 0, x, 4, 0, y, 4, nullptr, z), "tk_cuda_matmul: step is null");
  refused(tk_cuda_matmul(s, 7, x, 4, 0, y, 4, nullptr, z), "tk_cuda_matmul: rows=7");
  unsupported(tk_cuda_matmul(s, 0, x, 4, 5, y, 4, nullptr, z), "tk_cuda_matmul: type");
  refused(tk_cuda_matmul(s, 0, x, 31, 8, y, 4, nullptr, z), "tk_cuda_matmul: cols=31");
  refused(tk_cuda_matmul(s, 0, x, 0, 0, y, 4, nullptr, z), "tk_cuda_matmul: cols=0");
  refused(tk_cuda_matmul(s, 0, x, 4, 0, y, -4, nullptr, z), "tk_cuda_matmul: out_dim=-4");
  refused(tk_cuda_matmul(s, 0, nullptr, 4, 0, y, 4, nullptr, z), "tk_cuda_matmul: x is null");
  refused(tk_cuda_matmul(s, 0, x, 4, 0, nullptr, 4, nullptr, z), "tk_cuda_matmul: packed is null");
  refused(tk_cuda_matmul(s, 0, x, 4, 0, y, 4, nullptr, nullptr), "tk_cuda_matmul: out is null");
  refused(tk_cuda_matmul(s, 0, x, 4, 0, y, 4, odd(x), z), "must be a multiple of 4");
  fixture.expect_untouched();
}

void attention(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  tk_cuda_step* const s = fixture.program.handle();
  float *const x = fixture.a.data(), *const y = fixture.b.data(), *const z = fixture.c.data();
  refused(tk_cuda_store(s, 0, x, y), "tk_cuda_store: the step has no cache");
  refused(tk_cuda_attention(s, 0, x, 1, 1, z, y), "tk_cuda_attention: the step has no cache");
  refused(tk_cuda_rope_store(s, 0, x, 2, y, z, 8, 0, x, 1), "tk_cuda_rope_store: the step has no cache");

  for (const auto [type, layers, kv_heads, head_dim, pages] :
       {std::array<int, 5>{2, 1, 2, 32, 1}, {8, 1, 2, 4, 1}, {0, 0, 2, 4, 1}, {0, 1, -1, 4, 1},
        {0, 1, 2, 0, 1}, {0, 1, 2, 4, 0}, {0, 1 << 20, 1 << 20, 1 << 20, INT32_MAX}}) {
    if (tk_cuda_cache_bytes(type, layers, kv_heads, head_dim, pages) != -1) {
      fail("cache_bytes takes type %d, layers %d, kv_heads %d, head_dim %d, pages %d", type, layers,
           kv_heads, head_dim, pages);
    }
  }
  Array<uint8_t> memory(fixture.machine, fixture.machine.cache_bytes(0, 1, 2, 8, 2));
  refused(tk_cuda_cache(nullptr, 0, 1, 2, 8, 2, memory.data()), "tk_cuda_cache: step is null");
  refused(tk_cuda_cache(s, 8, 1, 2, 8, 2, memory.data()), "head_dim=8");
  refused(tk_cuda_cache(s, 2, 1, 2, 32, 2, memory.data()), "no cache of this type");
  refused(tk_cuda_cache(s, 0, 0, 2, 8, 2, memory.data()), "layers=0");
  refused(tk_cuda_cache(s, 0, 1, 2, 8, 2, nullptr), "tk_cuda_cache: memory is null");
  expect_status(tk_cuda_cache(s, 0, 1, 2, 8, 2, memory.data()), TK_OK, "cache");

  refused(tk_cuda_rope(nullptr, x, 1, 8, 8, 0, y, 1), "tk_cuda_rope: step is null");
  refused(tk_cuda_rope(s, nullptr, 1, 8, 8, 0, y, 1), "tk_cuda_rope: x is null");
  refused(tk_cuda_rope(s, x, 0, 8, 8, 0, y, 1), "tk_cuda_rope: heads=0");
  refused(tk_cuda_rope(s, x, INT64_MAX, INT64_MAX, 8, 0, y, 1), "tk_cuda_rope: heads=");
  refused(tk_cuda_rope(s, x, 1, 8, 10, 0, y, 1), "tk_cuda_rope: rotary_dim=10");
  refused(tk_cuda_rope(s, x, 1, 8, 3, 0, y, 1), "tk_cuda_rope: rotary_dim=3");
  refused(tk_cuda_rope(s, x, 1, 8, 8, 2, y, 1), "tk_cuda_rope: pairing=2");
  refused(tk_cuda_rope(s, x, 1, 8, 8, 0, nullptr, 1), "tk_cuda_rope: table is null");
  refused(tk_cuda_rope(s, x, 1, 8, 8, 0, y, 0), "tk_cuda_rope: table_rows=0");

  refused(tk_cuda_store(nullptr, 0, x, y), "tk_cuda_store: step is null");
  refused(tk_cuda_store(s, 1, x, y), "tk_cuda_store: layer=1");
  refused(tk_cuda_store(s, -1, x, y), "tk_cuda_store: layer=-1");
  refused(tk_cuda_store(s, 0, nullptr, y), "tk_cuda_store: k is null");
  refused(tk_cuda_store(s, 0, x, nullptr), "tk_cuda_store: v is null");

  refused(tk_cuda_rope_store(nullptr, 0, x, 2, y, z, 8, 0, x, 1), "tk_cuda_rope_store: step is null");
  refused(tk_cuda_rope_store(s, 1, x, 2, y, z, 8, 0, x, 1), "tk_cuda_rope_store: layer=1");
  refused(tk_cuda_rope_store(s, 0, nullptr, 2, y, z, 8, 0, x, 1), "tk_cuda_rope_store: q is null");
  refused(tk_cuda_rope_store(s, 0, x, 0, y, z, 8, 0, x, 1), "tk_cuda_rope_store: heads=0");
  refused(tk_cuda_rope_store(s, 0, x, 2, nullptr, z, 8, 0, x, 1), "tk_cuda_rope_store: k is null");
  refused(tk_cuda_rope_store(s, 0, x, 2, y, nullptr, 8, 0, x, 1), "tk_cuda_rope_store: v is null");
  refused(tk_cuda_rope_store(s, 0, x, 2, y, z, 9, 0, x, 1), "rotary_dim=9");
  refused(tk_cuda_rope_store(s, 0, x, 2, y, z, 8, 3, x, 1), "tk_cuda_rope_store: pairing=3");
  refused(tk_cuda_rope_store(s, 0, x, 2, y, z, 8, 0, nullptr, 1), "tk_cuda_rope_store: table is null");

  refused(tk_cuda_attention(nullptr, 0, x, 2, 1, z, y), "tk_cuda_attention: step is null");
  refused(tk_cuda_attention(s, 1, x, 2, 1, z, y), "tk_cuda_attention: layer=1");
  refused(tk_cuda_attention(s, 0, nullptr, 2, 1, z, y), "tk_cuda_attention: q is null");
  refused(tk_cuda_attention(s, 0, x, 3, 1, z, y), "heads=3, must be a multiple of kv_heads=2");
  refused(tk_cuda_attention(s, 0, x, 2, INFINITY, z, y), "tk_cuda_attention: scale");
  refused(tk_cuda_attention(s, 0, x, 2, 1, z, nullptr), "tk_cuda_attention: out is null");
  if (tk_cuda_attention_bytes(0, 2, 8, 16) != -1) fail("attention_bytes takes rows=0");
  if (tk_cuda_attention_bytes(4, 0, 8, 16) != -1) fail("attention_bytes takes heads=0");
  if (tk_cuda_attention_bytes(4, 2, 8, -1) != -1) fail("attention_bytes takes positions=-1");
  fixture.expect_untouched();
}

void sampling(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  tk_cuda_step* const s = fixture.program.handle();
  float *const x = fixture.a.data(), *const y = fixture.b.data();
  const auto* with = reinterpret_cast<const tk_cuda_sampler*>(x);
  auto* const id = reinterpret_cast<int32_t*>(fixture.c.data());
  auto* const chosen = reinterpret_cast<double*>(fixture.c.data());
  if (tk_cuda_sample_bytes(0, 7) != -1) fail("sample_bytes takes outputs=0");
  if (tk_cuda_sample_bytes(1, 0) != -1) fail("sample_bytes takes vocab=0");
  if (tk_cuda_sample_bytes(1, INT64_MAX) != -1) fail("sample_bytes takes a vocab of 2^63");

  refused(tk_cuda_sample(nullptr, x, 7, with, id, 1, y, id), "tk_cuda_sample: step is null");
  refused(tk_cuda_sample(s, nullptr, 7, with, id, 1, y, id), "tk_cuda_sample: logits is null");
  refused(tk_cuda_sample(s, x, 0, with, id, 1, y, id), "tk_cuda_sample: vocab=0");
  refused(tk_cuda_sample(s, x, INT64_MAX, with, id, 1, y, id), "tk_cuda_sample: vocab=");
  refused(tk_cuda_sample(s, x, 7, nullptr, id, 1, y, id), "tk_cuda_sample: samplers is null");
  refused(tk_cuda_sample(s, x, 7, with, nullptr, 1, y, id), "tk_cuda_sample: recent is null");
  refused(tk_cuda_sample(s, x, 7, with, id, -1, y, id), "tk_cuda_sample: most_recent=-1");
  refused(tk_cuda_sample(s, x, 7, with, id, 1, nullptr, id), "tk_cuda_sample: scratch is null");
  refused(tk_cuda_sample(s, x, 7, with, id, 1, odd(y), id), "must be a multiple of 8");
  refused(tk_cuda_sample(s, x, 7, with, id, 1, y, nullptr), "tk_cuda_sample: tokens is null");

  refused(tk_cuda_logprobs(nullptr, x, 7, id, 0, y, chosen, nullptr, nullptr),
          "tk_cuda_logprobs: step is null");
  refused(tk_cuda_logprobs(s, x, 7, nullptr, 0, y, chosen, nullptr, nullptr),
          "tk_cuda_logprobs: tokens is null");
  refused(tk_cuda_logprobs(s, x, 7, id, 8, y, chosen, id, chosen), "top=8, must be 0 to 7");
  refused(tk_cuda_logprobs(s, x, 999, id, 257, y, chosen, id, chosen), "top=257, must be 0 to 256");
  refused(tk_cuda_logprobs(s, x, 7, id, 1, y, nullptr, id, chosen), "chosen is null");
  refused(tk_cuda_logprobs(s, x, 7, id, 1, y, chosen, nullptr, chosen), "top_tokens is null");
  refused(tk_cuda_logprobs(s, x, 7, id, 1, y, chosen, id, nullptr), "top_logprobs is null");
  fixture.expect_untouched();
}

void roofline(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  void* const stream = fixture.program.stream();
  float *const x = fixture.a.data(), *const y = fixture.b.data();
  auto* const words = reinterpret_cast<int32_t*>(y);
  refused(tk_cuda_read(stream, 0, x, 16, words), "tk_cuda_read: blocks=0");
  refused(tk_cuda_read(stream, 1, nullptr, 16, words), "tk_cuda_read: memory is null");
  refused(tk_cuda_read(stream, 1, odd(x), 16, words), "must be a multiple of 16");
  refused(tk_cuda_read(stream, 1, x, 0, words), "tk_cuda_read: bytes=0");
  refused(tk_cuda_read(stream, 1, x, 24, words), "bytes=24, must be a multiple of a load=16");
  refused(tk_cuda_read(stream, 1, x, INT64_MAX, words), "tk_cuda_read: bytes=");
  refused(tk_cuda_read(stream, 1, x, 16, nullptr), "tk_cuda_read: sums is null");
  refused(tk_cuda_multiply_floats(stream, -1, 1, x), "tk_cuda_multiply_floats: blocks=-1");
  refused(tk_cuda_multiply_floats(stream, 1, 0, x), "tk_cuda_multiply_floats: rounds=0");
  refused(tk_cuda_multiply_floats(stream, 1, 1, nullptr), "sums is null");
  refused(tk_cuda_multiply_bf16(stream, 1 << 20, 1, x), "tk_cuda_multiply_bf16: blocks=1048576");
  refused(tk_cuda_multiply_bf16(stream, 1, 1 << 30, x), "rounds=1073741824, must be 1 to 1048576");
  refused(tk_cuda_multiply_bf16(stream, 1, 1, odd(x)), "must be a multiple of 4");
  fixture.expect_untouched();
}

void steps(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  void* const stream = fixture.program.stream();
  const auto* p = reinterpret_cast<const int32_t*>(fixture.a.data());
  const auto none = [&](tk_cuda_step* made, const char* part) {
    if (made != nullptr) fail("made a step in spite of '%s'", part);
    refused(TK_BAD_ARGUMENT, part);
  };
  none(tk_cuda_step_create(stream, 0, 1, p, p, p, p, p, p, 1, 1), "tk_cuda_step_create: rows=0");
  none(tk_cuda_step_create(stream, 1, 2, p, p, p, p, p, p, 1, 1), "outputs=2");
  none(tk_cuda_step_create(stream, 1, 1, nullptr, p, p, p, p, p, 1, 1), "counts is null");
  none(tk_cuda_step_create(stream, 1, 1, p, nullptr, p, p, p, p, 1, 1), "tokens is null");
  none(tk_cuda_step_create(stream, 1, 1, p, p, nullptr, p, p, p, 1, 1), "positions is null");
  none(tk_cuda_step_create(stream, 1, 1, p, p, p, nullptr, p, p, 1, 1), "sequences is null");
  none(tk_cuda_step_create(stream, 1, 1, p, p, p, p, nullptr, p, 1, 1), "output_rows is null");
  none(tk_cuda_step_create(stream, 1, 1, p, p, p, p, p, nullptr, 1, 1), "page_table is null");
  none(tk_cuda_step_create(stream, 1, 1, p, p, p, p, p, p, 0, 1), "max_sequences=0");
  none(tk_cuda_step_create(stream, 1, 1, p, p, p, p, p, p, 1, 0), "pages_per_sequence=0");
  tk_cuda_step_free(nullptr);
}

void training_products(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  void* const stream = fixture.program.stream();
  float *const x = fixture.a.data(), *const y = fixture.b.data(), *const z = fixture.c.data();

  if (tk_cuda_train_packed_bytes(2, 1, 1) != -1) fail("packed bytes of arithmetic 2");
  refused(TK_BAD_ARGUMENT, "tk_cuda_train_packed_bytes: arithmetic=2, must be 0 to 1");
  if (tk_cuda_train_packed_bytes(1, 0, 1) != -1) fail("packed bytes of no rows");
  refused(TK_BAD_ARGUMENT, "tk_cuda_train_packed_bytes: rows=0");
  refused(tk_cuda_train_pack(stream, -1, 1, 1, x, y), "tk_cuda_train_pack: arithmetic=-1");
  refused(tk_cuda_train_pack(stream, 1, INT64_MAX, INT64_MAX, x, y), "tk_cuda_train_pack: rows=");
  refused(tk_cuda_train_pack(stream, 1, 1, 1, nullptr, y), "tk_cuda_train_pack: x is null");
  refused(tk_cuda_train_pack(stream, 1, 1, 1, x, y + 1), "packed=");

  refused(tk_cuda_train_matmul(stream, 1, 0, x, 1, y, 1, nullptr, z), "train_matmul: rows=0");
  refused(tk_cuda_train_matmul(stream, 1, 1, nullptr, 1, y, 1, nullptr, z), "x is null");
  refused(tk_cuda_train_matmul(stream, 1, 1, x + 1, 1, y, 1, nullptr, z), "a multiple of 16");
  refused(tk_cuda_train_matmul(stream, 1, 1, x, 0, y, 1, nullptr, z), "cols=0");
  refused(tk_cuda_train_matmul(stream, 1, 1, x, 1, nullptr, 1, nullptr, z), "weight is null");
  refused(tk_cuda_train_matmul(stream, 1, 1, x, 1, y, -1, nullptr, z), "out_dim=-1");
  refused(tk_cuda_train_matmul(stream, 1, 1, x, 1, y, 1, odd(x), z), "bias=");
  refused(tk_cuda_train_matmul(stream, 1, 1, x, 1, y, 1, nullptr, nullptr), "out is null");
  refused(tk_cuda_train_input_gradient(stream, 1, 1, nullptr, 1, y, 1, 0, z),
          "tk_cuda_train_input_gradient: out_gradient is null");
  refused(tk_cuda_train_input_gradient(stream, 1, 1, x, 1, y, 1, 2, z), "accumulate=2");
  refused(tk_cuda_train_input_gradient(stream, 1, 1, x, 1, y, 1, 0, nullptr), "x_gradient is null");
  refused(tk_cuda_train_weight_gradient(stream, 1, 1, x, 1, nullptr, 1, nullptr, z),
          "tk_cuda_train_weight_gradient: x is null");
  refused(tk_cuda_train_weight_gradient(stream, 1, 1024, x, 1, y, 1, nullptr, z),
          "scratch is null");
  refused(tk_cuda_train_weight_gradient(stream, 1, 1, x, 1, y, 1, nullptr, nullptr),
          "gradient is null");
  refused(tk_cuda_train_bias_gradient(stream, 1, x, 1, nullptr, z), "scratch is null");
  refused(tk_cuda_train_bias_gradient(stream, 1, x, 0, y, z), "cols=0");
  fixture.expect_untouched();
}

void training_rows(const device::Schedule& schedule, uint64_t) {
  Fixture fixture(schedule);
  void* const stream = fixture.program.stream();
  tk_cuda_step* const s = fixture.program.handle();
  float *const x = fixture.a.data(), *const y = fixture.b.data(), *const z = fixture.c.data();
  const auto* word = reinterpret_cast<const int32_t*>(y);

  if (tk_cuda_train_step(stream, 1, 2, word, word, word, word, word) != nullptr) fail("a step");
  refused(TK_BAD_ARGUMENT, "tk_cuda_train_step: outputs=2, must be 0 to 1");
  if (tk_cuda_train_step(stream, 1, 1, word, word, word, nullptr, word) != nullptr) fail("a step");
  refused(TK_BAD_ARGUMENT, "tk_cuda_train_step: starts is null");

  refused(tk_cuda_train_norm_gradient(stream, 1, x, 8, y, 3, 0, x, z, z, z), "dim=3");
  refused(tk_cuda_train_norm_gradient(stream, 1, x, 8, y, 8, NAN, x, z, z, z), "epsilon");
  refused(tk_cuda_train_norm_gradient(stream, 1, x, 8, y, 8, 0, nullptr, z, z, z),
          "tk_cuda_train_norm_gradient: out_gradient is null");
  refused(tk_cuda_train_norm_gradient(stream, 1, x, 8, y, 8, 0, x, z, nullptr, z),
          "scratch is null");
  refused(tk_cuda_train_rope(nullptr, x, 1, 4, 4, 0, y, 9, 0, z), "tk_cuda_train_rope: step");
  refused(tk_cuda_train_rope(s, x, 1, 4, 6, 0, y, 9, 0, z), "rotary_dim=6, must be 2 to 4");
  refused(tk_cuda_train_rope(s, x, 1, 4, 3, 0, y, 9, 0, z), "rotary_dim=3");
  refused(tk_cuda_train_rope(s, x, 1, 4, 4, 7, y, 9, 0, z), "pairing=7");
  refused(tk_cuda_train_rope(s, x, 1, 4, 4, 0, y, 9, 2, z), "inverse=2");
  refused(tk_cuda_train_rope(s, x, 1, 4, 4, 0, y, 9, 0, x), "out must not be x");
  refused(tk_cuda_train_gate_gradient(stream, 1, x, y, 4, x, nullptr, z), "gate_gradient is null");
  refused(tk_cuda_train_add(stream, 0, x, y, 4, z), "tk_cuda_train_add: rows=0");
  refused(tk_cuda_train_scale(stream, 1, x, 2, 0, z), "tk_cuda_train_scale: width=0");
  refused(tk_cuda_train_select_gradient(s, x, 4, nullptr), "x_gradient is null");
  refused(tk_cuda_train_embed_gradient(s, x, 0, z), "tk_cuda_train_embed_gradient: dim=0");
  refused(tk_cuda_train_log_probability(s, x, 4, nullptr, y, z), "targets is null");
  refused(tk_cuda_train_log_probability_gradient(s, z, 4, word, x, nullptr),
          "coefficients is null");

  refused(tk_cuda_train_attention(s, 2, x, x, x, 1, 1, 4, 1, z, z), "arithmetic=2");
  refused(tk_cuda_train_attention(s, 1, x, x, x, 3, 2, 4, 1, z, z), "heads=3, must be a multiple");
  refused(tk_cuda_train_attention(s, 1, x, x, x, 1, 1, 257, 1, z, z), "head_dim=257");
  refused(tk_cuda_train_attention(s, 1, x, x, x, 1, 1, 4, INFINITY, z, z), "scale");
  refused(tk_cuda_train_attention(s, 1, x, x, x, 1, 1, 4, 1, z, nullptr), "log_sums is null");
  refused(tk_cuda_train_attention_gradient(s, 1, x, x, x, 1, 1, 4, 1, x, y, x, nullptr, z, z, z),
          "tk_cuda_train_attention_gradient: scratch is null");

  refused(tk_cuda_train_squares(stream, 0, x, y, reinterpret_cast<double*>(z)), "count=0");
  refused(tk_cuda_train_adamw(stream, 1, nullptr, z, z, z, z), "update is null");
  refused(tk_cuda_train_muon(stream, 0, 1, 1, 1, 1, 1, 1, nullptr, z, z, z), "scratch is null");
  refused(tk_cuda_train_muon(stream, 0, 0, 1, 1, 1, 1, 1, y, z, z, z), "tk_cuda_train_muon: rows=0");
  fixture.expect_untouched();
}

}  // namespace

const std::vector<Scenario> refusal_scenarios = {{"refusals: steps", steps},
                                                 {"refusals: row operations", row_operations},
                                                 {"refusals: weights", weights},
                                                 {"refusals: attention", attention},
                                                 {"refusals: sampling", sampling},
                                                 {"refusals: roofline", roofline},
                                                 {"refusals: products of training", training_products},
                                                 {"refusals: training", training_rows}};

}  // namespace tokamak::tests
