// SPDX-License-Identifier: Apache-2.0
//
// How a function of the ABI reports that it cannot do what was asked: it returns a tk_status (or
// null), and the thread's last error text says why in one line.

#pragma once

#include "tokamak/tokamak.h"

namespace tokamak {

/** Keeps the text for tk_last_error() of this thread and returns `status`. A text that does not
 *  fit is cut. */
int fail(tk_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace tokamak
