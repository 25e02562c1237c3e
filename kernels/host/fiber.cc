// SPDX-License-Identifier: Apache-2.0

#include "fiber.h"

#include <stdint.h>
#include <sys/mman.h>

#include <new>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#error "kernels/host is compiled without sanitizers: it moves stacks under their feet"
#endif

// Weak: null where the program is not linked with the sanitizer.
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_set_fiber_name(void* fiber, const char* name);
[[gnu::weak]] void __tsan_acquire(void* address);
[[gnu::weak]] void __tsan_release(void* address);
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* low, size_t bytes);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** low,
                                                   size_t* bytes);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, size_t bytes);
}

#if !defined(TK_EMULATOR_UCONTEXT)
// Saves what a call must keep (System V ABI), changes the stack, takes the same from there. A
// return and not a jump: where fibers do the same in turn, the processor predicts the returns of
// one by the calls of the one before.
asm(R"(
  .text
  .p2align 4
  .hidden tk_emulator_switch
  .globl tk_emulator_switch
  .type tk_emulator_switch, @function
tk_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size tk_emulator_switch, .-tk_emulator_switch
)");
extern "C" void tk_emulator_switch(void** save, void* stack_pointer);
#endif

namespace emu {
namespace {

// Kernels keep their tiles in registers, which are arrays on the stack here; sanitizers make
// frames larger. Pages that are never touched cost nothing.
constexpr size_t stack_bytes = size_t{256} << 10;
constexpr size_t guard_bytes = size_t{64} << 10;  // a multiple of any page; larger than a frame
// Equal addresses modulo 4096 share a set of the first-level cache: stacks begin at different ones.
constexpr size_t colours = 32, colour_bytes = 128;

thread_local Fiber* came_from = nullptr;

/** After each switch; also tells the bounds of the stack that was left, which for the caller of the
 *  first switch nobody else knows. */
void arrived(void* fake_stack) {
  if (!address_sanitizer()) return;
  const void* low;
  size_t bytes;
  __sanitizer_finish_switch_fiber(fake_stack, &low, &bytes);
  came_from->stack.low = static_cast<char*>(const_cast<void*>(low));
  came_from->stack.bytes = bytes;
}

void change(Fiber& from, Fiber& to) {
#if defined(TK_EMULATOR_UCONTEXT)
  swapcontext(&from.context, &to.context);
#else
  tk_emulator_switch(&from.stack_pointer, to.stack_pointer);
#endif
}

/** Tells the sanitizers; `fake_stack` null: the present fiber ends. */
void announce(Fiber& from, Fiber& to, void** fake_stack) {
  if (address_sanitizer()) {
    came_from = &from;
    __sanitizer_start_switch_fiber(fake_stack, to.stack.low, to.stack.bytes);
  }
  if (thread_sanitizer()) __tsan_switch_to_fiber(to.stack.race_detector, 1);  // 1: orders nothing
}

}  // namespace

Stacks::~Stacks() {
  for (Slab& slab : slabs_) {
    for (const Stack& stack : slab.stacks) {
      if (stack.race_detector != nullptr) __tsan_destroy_fiber(stack.race_detector);
    }
    munmap(slab.memory, slab_stacks * (stack_bytes + guard_bytes));
  }
}

const Stack& Stacks::at(size_t index) {
  const size_t stride = stack_bytes + guard_bytes;
  while (slabs_.size() * slab_stacks <= index) {
    slabs_.reserve(slabs_.size() + 1);
    void* memory = mmap(nullptr, slab_stacks * stride, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    Slab& slab = slabs_.emplace_back();
    slab.memory = static_cast<char*>(memory);
    for (size_t i = 0; i < slab_stacks; i++) {
      char* guard = slab.memory + i * stride;
      if (mprotect(guard, guard_bytes, PROT_NONE) != 0) throw std::bad_alloc();
      slab.stacks[i].low = guard + guard_bytes;
      slab.stacks[i].bytes = stack_bytes - i % colours * colour_bytes;
    }
  }
  Stack& stack = slabs_[index / slab_stacks].stacks[index % slab_stacks];
  // these cost a millisecond each
  if (thread_sanitizer() && stack.race_detector == nullptr) {
    stack.race_detector = __tsan_create_fiber(0);
  }
  return stack;
}

void Fiber::adopt_current() {
  if (thread_sanitizer()) stack.race_detector = __tsan_get_current_fiber();
}

void Fiber::prepare(const Stack& given, void (*entry)()) {
  stack = given;
  fake_stack = nullptr;
  // frames that an earlier fiber left without returning are still marked
  if (address_sanitizer()) __asan_unpoison_memory_region(stack.low, stack.bytes);
#if defined(TK_EMULATOR_UCONTEXT)
  getcontext(&context);
  context.uc_stack.ss_sp = stack.low;
  context.uc_stack.ss_size = stack.bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
#else
  // As if entry() had been called: the stack pointer is 8 below a multiple of 16.
  void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack.low) + stack.bytes) &
                                        ~uintptr_t{15});
  *--top = nullptr;  // entry's return address
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; saved++) *--top = nullptr;
  stack_pointer = top;
#endif
}

void Fiber::name(const char* name) { __tsan_set_fiber_name(stack.race_detector, name); }

void Fiber::publish(void* order) {
  if (!thread_sanitizer()) return;
  void* present = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(stack.race_detector, 1);
  __tsan_release(order);
  __tsan_switch_to_fiber(present, 1);
}

void switch_fiber(Fiber& from, Fiber& to) {
  announce(from, to, &from.fake_stack);
  change(from, to);
  arrived(from.fake_stack);
}

void leave_fiber(Fiber& from, Fiber& to) {
  announce(from, to, nullptr);
  change(from, to);
  __builtin_unreachable();
}

void entered_fiber() { arrived(nullptr); }

bool address_sanitizer() { return __asan_unpoison_memory_region != nullptr; }
bool thread_sanitizer() { return __tsan_switch_to_fiber != nullptr; }
void release(void* address) {
  if (thread_sanitizer()) __tsan_release(address);
}
void acquire(void* address) {
  if (thread_sanitizer()) __tsan_acquire(address);
}

}  // namespace emu
