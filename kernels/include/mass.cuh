// SPDX-License-Identifier: Apache-2.0
//
// Probability mass as whole numbers of 2^-80. A sum of integers has no rounding: threads may add in
// any order, with atomics too, and the bits are always the same. One weight (0 to 1) is cut off at
// 2^-80, far below what a double sum of weights, the largest of them 1, can tell.

#pragma once

#include "ptx.cuh"

namespace tokamak::cuda {

__extension__ using Mass = unsigned __int128;

constexpr int mass_half = 40;  // bits below 2^-40; those above leave room for 2^22 weights and more

/** Of a weight or a sum of weights, rounded down; *rest (0 to 1) is what was cut off. */
FN Mass mass_of(double value, double* rest) {
  const double high = value * 0x1p40;
  const auto whole = static_cast<unsigned long long>(high);
  const double low = (high - static_cast<double>(whole)) * 0x1p40;
  const auto part = static_cast<unsigned long long>(low);
  *rest = low - static_cast<double>(part);
  return static_cast<Mass>(whole) << mass_half | part;
}

FN Mass mass_of(double weight) {
  double rest;
  return mass_of(weight, &rest);
}

/** The least mass that is not below `value`. */
FN Mass mass_reaching(double value) {
  double rest;
  const Mass floor = mass_of(value, &rest);
  return rest > 0 ? floor + 1 : floor;
}

/** The least mass that is above `value`. */
FN Mass mass_above(double value) { return mass_of(value) + 1; }

FN unsigned long long low_half(Mass mass) {
  return static_cast<unsigned long long>(mass) & ((1ull << mass_half) - 1);
}
FN unsigned long long high_half(Mass mass) {
  return static_cast<unsigned long long>(mass >> mass_half);
}

FN double double_of(Mass mass) {
  return static_cast<double>(high_half(mass)) * 0x1p-40 +
         static_cast<double>(low_half(mass)) * 0x1p-80;
}

FN Mass shuffle(Mass mass, int lane) {
  const auto low = static_cast<unsigned long long>(mass);
  const auto high = static_cast<unsigned long long>(mass >> 64);
  return static_cast<Mass>(__shfl_sync(~0u, high, lane)) << 64 | __shfl_sync(~0u, low, lane);
}

}  // namespace tokamak::cuda
