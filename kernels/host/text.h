// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <string>

#include "emulator.h"

namespace emu {

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
const char* file_name(Where where);  // without folders
std::string text(Where where);       // "norm.cu:80"
std::string text(const uint3& index);

}  // namespace emu
