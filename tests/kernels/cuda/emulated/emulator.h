// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <stdint.h>

#include <vector>

namespace tokamak::tests {

/** A test of the emulator itself. It sets orders and copies as it needs them. */
struct EmulatorScenario {
  const char* name;
  void (*run)(uint64_t seed);
};

/** emulator_faults.cc: what a wrong kernel is told. emulator.cc: all else. */
extern const std::vector<EmulatorScenario> emulator_scenarios, emulator_fault_scenarios;

}  // namespace tokamak::tests
