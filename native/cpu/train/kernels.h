// SPDX-License-Identifier: Apache-2.0
//
// The table of training kernels that one instruction-set level supplies. The rules of
// ../kernels.h hold: kernels.cc of this folder is compiled once per level.

#pragma once

#include "gemm.h"

namespace tokamak::cpu {

struct TrainKernels {
  GemmKernels gemm;
};

}  // namespace tokamak::cpu
