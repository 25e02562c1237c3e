// SPDX-License-Identifier: Apache-2.0
//
// Tests of the CUDA kernels that no table describes.

#pragma once

#include <vector>

#include "machine.h"

namespace tokamak::tests {

struct Scenario {
  const char* name;
  void (*run)(const device::Schedule& schedule, uint64_t seed);
};

/** model.cc: whole steps. sample.cc: the next token. roofline.cc: what a device does at best.
 *  refusals.cc: arguments that launchers do not take. */
extern const std::vector<Scenario> model_scenarios, sample_scenarios, roofline_scenarios,
    refusal_scenarios;

}  // namespace tokamak::tests
