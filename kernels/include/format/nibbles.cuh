// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "place.cuh"

namespace tokamak::cuda {

/** 4 bits of every number: [step / 2][lane][step % 2], in a word bits 4 * pair + 16 * side. */
struct Nibbles {
  static constexpr int bytes = 512;
  FN static int offset(int step, int lane) { return step / 2 * 256 + lane * 8 + step % 2 * 4; }

  /** Of half a part. */
  FN static uint2 hold(const uint8_t* plane, int lane, int half) {
    return at_once<uint2>(plane, offset(half * 2, lane));
  }

  /** 128 + the nibble, both sides of a pair. */
  FN static uint32_t biased(const uint2& held, int step, int pair) {
    return ptx::and_or((step == 0 ? held.x : held.y) >> 4 * pair, both(15), bf16_128);
  }

  FN static int value(const uint8_t* plane, const Place& p) {
    return at<uint32_t>(plane, offset(p.step, p.lane)) >> (4 * p.pair + 16 * p.side) & 15;
  }

  /** number(place): its lower 4 bits count. */
  template <class Number>
  FN static void pack(uint8_t* plane, int lane, Number number) {
    for (int step = 0; step < part_steps; step++) {
      uint32_t word = 0;
      for (int pair = 0; pair < 4; pair++) {
        for (int side = 0; side < 2; side++) {
          const uint32_t bits = number(Place{lane, step, pair, side});
          word |= (bits & 15) << (4 * pair + 16 * side);
        }
      }
      put(plane, offset(step, lane), word);
    }
  }
};

}  // namespace tokamak::cuda
