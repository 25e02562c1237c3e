// SPDX-License-Identifier: Apache-2.0
//
// Fibers: functions with a stack of their own that give each other the processor by hand, all
// within one OS thread. A fiber runs one CUDA thread.
//
// ThreadSanitizer and AddressSanitizer are told of each switch where the program is linked with
// them; what is in this folder is itself to be compiled without.

#pragma once

#include <stddef.h>

#include <memory>
#include <vector>

#if !defined(__x86_64__) && !defined(TK_EMULATOR_UCONTEXT)
#define TK_EMULATOR_UCONTEXT 1  // the C library's own switch: right everywhere, and slower
#endif
#if defined(TK_EMULATOR_UCONTEXT)
#include <ucontext.h>
#endif

namespace emu {

struct Stack {
  char* low = nullptr;
  size_t bytes = 0;
  void* race_detector = nullptr;  // ThreadSanitizer's idea of the fiber that has this stack
};

/** Stacks, kept from launch to launch. Below each lies memory that nobody may touch, so that a
 *  stack too small ends the program and overwrites nothing. */
class Stacks {
 public:
  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  /** Stack number `index`; throws std::bad_alloc. */
  const Stack& at(size_t index);

 private:
  static constexpr size_t slab_stacks = 64;
  struct Slab {
    char* memory;
    Stack stacks[slab_stacks];
  };
  std::vector<Slab> slabs_;
};

struct Fiber {
#if defined(TK_EMULATOR_UCONTEXT)
  ucontext_t context;
#else
  void* stack_pointer = nullptr;
#endif
  Stack stack;
  void* fake_stack = nullptr;  // AddressSanitizer's

  /** Makes this the fiber that runs already: the caller of the first switch. */
  void adopt_current();
  /** The next switch to this fiber calls entry(), which must never return. */
  void prepare(const Stack& stack, void (*entry)());
  /** For ThreadSanitizer's reports. */
  void name(const char* name);
  /** After the last switch, from another fiber: release(order) in the name of this one. */
  void publish(void* order);
};

/** Runs `to` until something switches to `from` again. */
void switch_fiber(Fiber& from, Fiber& to);
/** The same, when nothing will switch back. */
[[noreturn]] void leave_fiber(Fiber& from, Fiber& to);
/** First thing in a fiber's entry. */
void entered_fiber();

/** What the program is linked with. */
bool thread_sanitizer();
bool address_sanitizer();

/** What a fiber did before release(x) is seen by who does acquire(x) later. For ThreadSanitizer
 *  only; nothing without it. */
void release(void* address);
void acquire(void* address);

}  // namespace emu
