// SPDX-License-Identifier: Apache-2.0
//
// What the levels pack, byte by byte: against the plain version, and a matrix in pieces against it
// as a whole.

#include <algorithm>

#include "cpu/pack.h"
#include "machine.h"

namespace tokamak::tests {
namespace {

constexpr uint8_t untouched = 0xa5;

/** Room for a packed matrix, with some behind it. */
std::vector<uint8_t> room(int type, int64_t rows, int64_t cols) {
  return std::vector<uint8_t>(static_cast<size_t>(tk_cpu_packed_bytes(type, rows, cols) + 64),
                              untouched);
}

/** What the team makes of a room. */
std::vector<uint8_t> packed_by(const Team& team, int type, int64_t rows, int64_t cols,
                               const std::vector<uint8_t>& source, int64_t rows_a_piece) {
  std::vector<uint8_t> packed = room(type, rows, cols);
  const size_t row_bytes = source.size() / static_cast<size_t>(rows);
  for (int64_t row = 0; row < rows; row += rows_a_piece) {
    const int64_t before = row == 0 ? 0 : tk_cpu_packed_bytes(type, row, cols);
    expect_status(tk_cpu_pack(team.handle, type, std::min(rows_a_piece, rows - row), cols,
                              source.data() + static_cast<size_t>(row) * row_bytes,
                              packed.data() + before),
                  TK_OK, "pack");
  }
  return packed;
}

void same_bytes(int level, uint64_t seed) {
  const Team team(level, 2);
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"}) {
    const Type type = type_of(name);
    for (int64_t rows : {1, 15, 16, 17, 31, 100}) {
      for (int64_t blocks : {1, 2, 3, 4, 5, 6, 7, 15, 16, 17, 31, 32, 33, 63}) {
        const int64_t cols = blocks * type.elements;
        if (rows * cols > 200'000) continue;
        Random random(seed++);
        std::vector<uint8_t> source(static_cast<size_t>(rows * blocks * type.bytes));
        for (uint8_t& byte : source) byte = static_cast<uint8_t>(random.bits());
        std::vector<uint8_t> expected = room(type.number, rows, cols);
        cpu::pack_groups(type.number, rows, cols, source.data(), 0, cpu::row_groups(rows),
                         expected.data());
        for (int64_t piece : {rows, int64_t{32}}) {
          const auto packed = packed_by(team, type.number, rows, cols, source, piece);
          if (packed == expected) continue;
          const auto wrong = std::mismatch(packed.begin(), packed.end(), expected.begin());
          fail("%s [%lld, %lld] in pieces of %lld rows: byte %lld is %d, expected %d", name,
               static_cast<long long>(rows), static_cast<long long>(cols),
               static_cast<long long>(piece),
               static_cast<long long>(wrong.first - packed.begin()), *wrong.first, *wrong.second);
        }
      }
    }
  }
}

}  // namespace

const std::vector<Scenario> pack_scenarios = {{"pack: same bytes", same_bytes}};

}  // namespace tokamak::tests
