// SPDX-License-Identifier: Apache-2.0
//
// The loops of the roofline do all the work that they report: each number they leave is known.

#include <numeric>

#include "scenarios.h"

namespace tokamak::tests {
namespace {

constexpr int threads = 256, warps = threads / 32;

void expect_work(double bytes, double operations, const char* what) {
  double work[2] = {-1, -1};
  expect_status(tk_cuda_work(work), TK_OK, "work");
  if (work[0] != bytes || work[1] != operations) {
    fail("%s reports %g bytes and %g operations, must be %g and %g", what, work[0], work[1], bytes,
         operations);
  }
}

void read_once(const device::Schedule& schedule, uint64_t seed) {
  Cuda machine({schedule});
  const device::Stream stream;
  // less than a load a thread; one more than all threads; two rounds of 8 loads, and some
  for (const auto& [blocks, loads] : {std::pair{1, 1}, {2, 513}, {3, 3 * threads * 17 + 5}}) {
    std::vector<uint32_t> words(static_cast<size_t>(loads) * 4);
    uint64_t state = seed;
    for (uint32_t& word : words) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      word = static_cast<uint32_t>(state >> 32);
    }
    const auto bytes = static_cast<int64_t>(words.size() * sizeof words[0]);
    Array<uint32_t> memory(machine, words);
    Array<int32_t> sums(machine, blocks);
    expect_status(tk_cuda_read(stream.handle, blocks, memory.data(), bytes, sums.data()), TK_OK,
                  "read");
    expect_work(static_cast<double>(bytes), 0, "read");
    device::synchronize(stream.handle);
    uint32_t found = 0;
    for (const int32_t sum : sums.read()) found += static_cast<uint32_t>(sum);
    const uint32_t right = std::accumulate(words.begin(), words.end(), uint32_t{0});
    if (found != right) fail("%d loads: the words' sum is %u, must be %u", loads, found, right);
  }
}

void expect_sums(const Array<float>& sums, double right, const char* what) {
  for (const float sum : sums.read()) {
    if (static_cast<double>(sum) != right) {
      fail("%s: a block's sum is %g, must be %g", what, static_cast<double>(sum), right);
    }
  }
}

void floats(const device::Schedule& schedule, uint64_t) {
  Cuda machine({schedule});
  const device::Stream stream;
  Array<float> sums(machine, 2);
  for (const int rounds : {1, 8, 19}) {
    expect_status(tk_cuda_multiply_floats(stream.handle, 2, rounds, sums.data()), TK_OK, "floats");
    expect_work(0, 2.0 * threads * rounds * 16 * 2, "floats");
    device::synchronize(stream.handle);
    double right = 0;
    for (int lane = 0; lane < 32; lane++) {
      for (int i = 1; i <= 16; i++) right += warps * (lane + i + rounds);
    }
    expect_sums(sums, right, "floats");
  }
}

void bf16(const device::Schedule& schedule, uint64_t) {
  Cuda machine({schedule});
  const device::Stream stream;
  Array<float> sums(machine, 2);
  double products = 0;  // of 2 x 4 pairs of operands
  for (int m = 0; m < 2; m++) {
    for (int n = 0; n < 4; n++) {
      for (int row = 0; row < 16; row++) {
        for (int col = 0; col < 8; col++) {
          for (int k = 0; k < 16; k++) {
            const double a = (row * 5 + k * 3 + m * 7) % 13 - 6.5;
            const double b = (k * 7 + col * 4 + n * 5) % 11 - 5.5;
            products += a * b;
          }
        }
      }
    }
  }
  if (products == 0) fail("the operands show nothing");
  for (const int rounds : {1, 4, 7}) {
    expect_status(tk_cuda_multiply_bf16(stream.handle, 2, rounds, sums.data()), TK_OK, "bf16");
    expect_work(0, 2.0 * warps * rounds * 8 * (2 * 16 * 8 * 16), "bf16");
    device::synchronize(stream.handle);
    expect_sums(sums, warps * rounds * products, "bf16");
  }
}

}  // namespace

const std::vector<Scenario> roofline_scenarios = {{"roofline: each word is read once", read_once},
                                                  {"roofline: float32 products", floats},
                                                  {"roofline: bfloat16 products", bf16}};

}  // namespace tokamak::tests
