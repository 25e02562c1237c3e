// SPDX-License-Identifier: Apache-2.0
//
// What a thread can ask after a call: why it failed, and how much work its last launch is. Plain
// C++, so that everything from a launcher to the emulator may report through it.

#pragma once

#include "tokamak/tokamak_cuda.h"

namespace tokamak::cuda {

/** Keeps the text for tk_cuda_last_error() of this thread and returns `status`, a tk_status. A text
 *  that does not fit is cut. */
int refuse(int status, const char* format, ...) __attribute__((format(printf, 2, 3)));

/** The same where CUDA failed: `code` (cudaError_t) is kept for tk_cuda_error_code(). Returns
 *  TK_OUT_OF_MEMORY for CUDA's code of that, else TK_DEVICE. */
int refuse_device(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));

/** Keeps what a launch reads, writes and computes for tk_cuda_work() of this thread. */
void report_work(double bytes, double operations);

}  // namespace tokamak::cuda
