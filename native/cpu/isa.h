// SPDX-License-Identifier: Apache-2.0
//
// What this processor can run, and the kernels compiled for it.

#pragma once

#include "kernels.h"

namespace tokamak::cpu {

/** The kernels of a tk_level; null, with the error text set, where the level does not exist, was
 *  not compiled in, or is above what the processor and the operating system can run. */
const Kernels* kernels_of(int level);

}  // namespace tokamak::cpu
