// SPDX-License-Identifier: Apache-2.0
//
// The host branch of ptx.cuh: CUDA's coordinates, barriers, collectives and atomics, and namespace
// ptx, on the emulator. Documentation of the latter is with the device branch.
//
// What a lane reads and writes is read and written in this file, not in the emulator's core, so
// that sanitizers see it.

#pragma once

#include "emulator.h"
#include "tokamak/block/half.h"

#define threadIdx (emu::current->thread)
#define blockIdx (emu::current->block)
#define blockDim (emu::current->block_size)
#define gridDim (emu::current->grid_size)

#define SHARED(T, name, N)           \
  static const char name##_site = 0; \
  T(&name)[N] = *reinterpret_cast<T(*)[N]>(emu::static_shared(&name##_site, sizeof(T) * (N)))
#define DYN_SMEM(name) unsigned char* const name = emu::dynamic_shared()

// ---- barriers, collectives, atomics --------------------------------------------------------

inline void __syncthreads(emu::Where where = emu::Where::here()) { emu::synchronize_block(where); }
inline void __syncwarp(unsigned mask = ~0u, emu::Where where = emu::Where::here()) {
  emu::synchronize_warp(mask, where);
}

namespace emu {

/** A shuffle of a value of 4 or 8 bytes. */
template <class T>
T shuffle_value(const char* name, unsigned mask, T value, int source, Where where) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint32_t words[sizeof(T) / 4];
  memcpy(words, &value, sizeof value);
  for (uint32_t& word : words) word = shuffle(name, mask, word, source, where);
  memcpy(&value, words, sizeof value);
  return value;
}
/** `source` if it lies in the part of `width` lanes that the calling lane is in, else that lane. */
inline int within(int source, int width) {
  const int first = current->lane & ~(width - 1);
  return source >= first && source < first + width ? source : current->lane;
}

}  // namespace emu

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              emu::Where where = emu::Where::here()) {
  const int lane = (emu::current->lane & ~(width - 1)) | (source & (width - 1));
  return emu::shuffle_value("__shfl_sync", mask, value, lane, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  emu::Where where = emu::Where::here()) {
  const int lane = emu::within(emu::current->lane ^ bits, width);
  return emu::shuffle_value("__shfl_xor_sync", mask, value, lane, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   emu::Where where = emu::Where::here()) {
  const int lane = emu::within(emu::current->lane + static_cast<int>(delta), width);
  return emu::shuffle_value("__shfl_down_sync", mask, value, lane, where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 emu::Where where = emu::Where::here()) {
  const int lane = emu::within(emu::current->lane - static_cast<int>(delta), width);
  return emu::shuffle_value("__shfl_up_sync", mask, value, lane, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, emu::Where where = emu::Where::here()) {
  return emu::ballot("__ballot_sync", mask, predicate != 0, where);
}
inline int __any_sync(unsigned mask, int predicate, emu::Where where = emu::Where::here()) {
  return emu::ballot("__any_sync", mask, predicate != 0, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, emu::Where where = emu::Where::here()) {
  return emu::ballot("__all_sync", mask, predicate != 0, where) == mask;
}

inline void __threadfence() { emu::fence(); }
inline void __threadfence_block() { emu::fence(); }
inline void __nanosleep(unsigned, emu::Where where = emu::Where::here()) { emu::pause(where); }

namespace emu {

/** *address = change(*address), atomically and without an order; the old value. */
template <class T, class Change>
T change_atomically(T* address, Where where, Change change) {
  before_atomic(address, where);
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(address, &old, change(old), true, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
  after_atomic(address);
  return old;
}

}  // namespace emu

template <class T>
T atomicAdd(T* address, T value, emu::Where where = emu::Where::here()) {
  return emu::change_atomically(address, where, [=](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicMin(T* address, T value, emu::Where where = emu::Where::here()) {
  return emu::change_atomically(address, where, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicMax(T* address, T value, emu::Where where = emu::Where::here()) {
  return emu::change_atomically(address, where, [=](T old) { return value > old ? value : old; });
}
template <class T>
T atomicExch(T* address, T value, emu::Where where = emu::Where::here()) {
  return emu::change_atomically(address, where, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, T expected, T value, emu::Where where = emu::Where::here()) {
  return emu::change_atomically(address, where,
                                [=](T old) { return old == expected ? value : old; });
}

namespace ptx {

// ---- asynchronous copies -------------------------------------------------------------------

inline void copy_now(const emu::Copy& copy) {
  if (copy.read > 0) {
    memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
  } else {
    memset(copy.to, 0, static_cast<size_t>(copy.bytes));
  }
}
template <int BYTES>
void copy_async(void* shared, const void* global, bool valid = true,
                emu::Where where = emu::Where::here()) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16);
  const emu::Copy copy{shared, global, BYTES, valid ? BYTES : 0};
  if (emu::start_copy(copy, where)) copy_now(copy);
}
inline void copy_commit() { emu::commit_copies(); }
template <int KEEP>
void copy_wait() {
  for (emu::Copy copy; emu::take_copy(KEEP, &copy);) copy_now(copy);
}

// ---- matrices ------------------------------------------------------------------------------

template <bool TRANSPOSED, int N>
void load_matrix(uint32_t (&r)[N], const void* row, emu::Where where) {
  uint32_t words[4] = {};
  if (emu::current->lane < 8 * N) memcpy(words, row, sizeof words);
  emu::load_matrix(r, N, TRANSPOSED, words, row, where);
}
inline void load_matrix_x4(uint32_t (&r)[4], const void* row,
                           emu::Where where = emu::Where::here()) {
  load_matrix<false>(r, row, where);
}
inline void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row,
                                      emu::Where where = emu::Where::here()) {
  load_matrix<true>(r, row, where);
}
inline void load_matrix_x2(uint32_t (&r)[2], const void* row,
                           emu::Where where = emu::Where::here()) {
  load_matrix<false>(r, row, where);
}
inline void load_matrix_x2_transposed(uint32_t (&r)[2], const void* row,
                                      emu::Where where = emu::Where::here()) {
  load_matrix<true>(r, row, where);
}
inline void mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                     emu::Where where = emu::Where::here()) {
  emu::mma_bf16(c, a, b, where);
}
inline void mma_bf16_from_zero(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                               emu::Where where = emu::Where::here()) {
  for (float& value : c) value = 0;
  emu::mma_bf16(c, a, b, where);
}

// ---- 16-bit numbers ------------------------------------------------------------------------

inline uint32_t round_bf16(float value) {
  const uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
inline uint32_t pack_bf16(float low, float high) {
  return round_bf16(low) | round_bf16(high) << 16;
}
inline uint32_t and_or(uint32_t a, uint32_t mask, uint32_t bits) { return (a & mask) | bits; }
inline uint32_t add_bf16(uint32_t a, uint32_t b) {
  const uint32_t upper = 0xffff0000u;
  return pack_bf16(__uint_as_float(a << 16) + __uint_as_float(b << 16),
                   __uint_as_float(a & upper) + __uint_as_float(b & upper));
}
inline float half_to_float(uint16_t half) { return tk_f16_to_float(half); }
inline uint16_t float_to_half(float value) {
  const uint32_t bits = __float_as_uint(value);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return 0x7fff;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // 65520 and more
  if (magnitude < 0x38800000u) {  // below 2^-14 the step is 2^-24: half of the last place of 1/2
    const float shifted = __uint_as_float(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (__float_as_uint(shifted) - __float_as_uint(0.5f)));
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

// ---- threads, memory and barriers ----------------------------------------------------------

inline int lane() { return emu::current->lane; }
template <int BYTES>
void count_conflicts(const void* shared, emu::Where where = emu::Where::here()) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16);
  emu::count_conflicts(shared, BYTES, where);
}
inline uint4 load_streaming(const uint4* address) { return *address; }
inline void barrier(int id, int threads, emu::Where where = emu::Where::here()) {
  emu::barrier(id, threads, where);
}

}  // namespace ptx
