// SPDX-License-Identifier: Apache-2.0
//
// Sums of segments, added to a gradient in order: the second half of every sum over rows.

#pragma once

#include <stdint.h>

namespace tokamak::cuda {

/** gradient[i] += sums[0][i] + sums[1][i] + ..., sums [segments][count], from the left. */
int launch_fold(void* stream, const float* sums, int64_t segments, int64_t count, float* gradient);

/** Rows whose columns one thread sums, and so of a segment. */
constexpr int64_t column_rows = 128;

}  // namespace tokamak::cuda
