// SPDX-License-Identifier: Apache-2.0

#include "machine.h"

namespace tokamak::tests {

Program::Program(int row_count, int output_count, int sequence_count, int page_count)
    : tokens(static_cast<size_t>(row_count)),
      positions(static_cast<size_t>(row_count)),
      sequences(static_cast<size_t>(row_count)),
      outputs(static_cast<size_t>(output_count)),
      pages(static_cast<size_t>(sequence_count * page_count)) {
  // Page i of sequence s, from the far end and interleaved: nothing lies where a kernel may guess.
  const int total = sequence_count * page_count;
  for (int s = 0; s < sequence_count; s++) {
    for (int i = 0; i < page_count; i++) {
      pages[static_cast<size_t>(s * page_count + i)] = total - 1 - (i * sequence_count + s);
    }
  }
}

}  // namespace tokamak::tests
