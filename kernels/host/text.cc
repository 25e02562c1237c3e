// SPDX-License-Identifier: Apache-2.0

#include "text.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace emu {

std::string format(const char* pattern, ...) {
  char buffer[400];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(buffer, sizeof buffer, pattern, arguments);
  va_end(arguments);
  return buffer;
}

const char* file_name(Where where) {
  const char* slash = std::strrchr(where.file, '/');
  return slash == nullptr ? where.file : slash + 1;
}

std::string text(Where where) { return format("%s:%d", file_name(where), where.line); }

std::string text(const uint3& index) { return format("(%u,%u,%u)", index.x, index.y, index.z); }

}  // namespace emu
