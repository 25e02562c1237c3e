// SPDX-License-Identifier: Apache-2.0
// Stands in until the library is there.

#include <tokamak/tokamak.h>

__attribute__((weak)) int tk_abi_version(void) { return TK_ABI_VERSION; }
