// SPDX-License-Identifier: Apache-2.0

#include "harness.h"

#include <string.h>

#include <cfloat>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace tokamak::tests {

void fail(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Failure{text};
}

uint64_t Random::bits() {
  uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double Random::normal() {
  return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(2 * M_PI * uniform());
}

const std::string& Case::text(const char* name) const {
  const auto found = fields.find(name);
  if (found == fields.end()) fail("no column %s in %s", name, file.c_str());
  return found->second;
}

int64_t Case::number(const char* name) const { return std::strtoll(text(name).c_str(), nullptr, 10); }
double Case::real(const char* name) const { return std::strtod(text(name).c_str(), nullptr); }

std::string Case::title() const {
  std::string title = text("op");
  for (const auto& [name, value] : fields) {
    if (name != "op" && name != "bound") title += " " + name + "=" + value;
  }
  return title;
}

std::vector<Case> read_cases(const std::string& file) {
  std::ifstream in(file);
  if (!in) fail("cannot read %s", file.c_str());
  std::vector<std::string> columns;
  std::vector<Case> cases;
  std::string text;
  for (int line = 1; std::getline(in, text); line++) {
    std::istringstream words(text);
    std::string word;
    if (!(words >> word)) continue;
    if (word[0] == '#') {
      if (word == "#" && columns.empty()) {
        while (words >> word) columns.push_back(word);
      }
      continue;
    }
    Case one{file, line, {}};
    size_t column = 0;
    do {
      if (column == columns.size()) fail("%s:%d: more words than columns", file.c_str(), line);
      one.fields[columns[column++]] = word;
    } while (words >> word);
    if (column != columns.size()) fail("%s:%d: fewer words than columns", file.c_str(), line);
    cases.push_back(one);
  }
  if (cases.empty()) fail("%s: no cases", file.c_str());
  return cases;
}

std::vector<float> values(const std::string& kind, int64_t rows, int64_t width, Random& random) {
  std::vector<float> made(static_cast<size_t>(rows * width));
  for (float& value : made) value = static_cast<float>(random.normal());
  if (kind == "normal") return made;
  if (kind == "zero") {
    for (float& value : made) value = 0;
  } else if (kind == "denormal") {
    for (float& value : made) value *= 1e-39f;
  } else if (kind == "extreme") {
    for (float& value : made) {
      const int64_t what = random.below(4);
      value = what == 0 ? FLT_MAX : what == 1 ? -FLT_MAX : what == 2 ? value * 1e30f : value;
    }
  } else if (kind == "outlier") {
    const int64_t row = random.below(rows);
    for (int64_t i = 0; i < width; i++) made[static_cast<size_t>(row * width + i)] *= 1000;
    for (int i = 0; i < 3; i++) made[static_cast<size_t>(random.below(rows * width))] *= 1000;
  } else if (kind == "nan") {
    made[static_cast<size_t>(random.below(rows * width))] = std::nanf("");
  } else {
    fail("values=%s is not known", kind.c_str());
  }
  return made;
}

// ---- types --------------------------------------------------------------------------------

Type type_of(const std::string& name) {
#define TK_TYPE(type, number, elements, bytes) \
  if (name == #type) return {number, elements, bytes};
#include "tokamak/quant.def"
#undef TK_TYPE
  fail("type=%s is not in quant.def", name.c_str());
}

float half_to_float(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  double value = exponent == 0    ? std::ldexp(mantissa, -24)
                 : exponent == 31 ? (mantissa == 0 ? INFINITY : NAN)
                                  : std::ldexp(1024 + mantissa, exponent - 25);
  return static_cast<float>(half & 0x8000 ? -value : value);
}

uint16_t float_to_half(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double size = std::fabs(static_cast<double>(value));
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7e00);
  if (size >= 65520) return static_cast<uint16_t>(sign | 0x7c00);
  int exponent = 0;
  std::frexp(size, &exponent);
  const int step = std::max(exponent - 11, -24);  // of the last bit
  const double steps = std::nearbyint(std::ldexp(size, -step));
  // steps: up to 2048; the exponent field makes 2048 the next power of two by itself
  if (step == -24) return static_cast<uint16_t>(sign | static_cast<int>(steps));
  return static_cast<uint16_t>(sign | (((step + 24) << 10) + static_cast<int>(steps)));
}

float bf16_to_float(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

uint16_t float_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

std::vector<uint8_t> random_blocks(const std::string& name, int64_t elements, Random& random,
                                   const std::string& fill) {
  const Type type = type_of(name);
  std::vector<uint8_t> blocks(static_cast<size_t>(elements / type.elements * type.bytes));
  const auto put_half = [&](size_t at, uint16_t half) { memcpy(blocks.data() + at, &half, 2); };
  if (type.elements == 1) {
    for (size_t i = 0; i < blocks.size(); i += static_cast<size_t>(type.bytes)) {
      const float value = static_cast<float>(random.normal());
      if (name == "F32") memcpy(blocks.data() + i, &value, 4);
      if (name == "F16") put_half(i, float_to_half(value));
      if (name == "BF16") put_half(i, float_to_bf16(value));
    }
    return blocks;
  }
  for (uint8_t& byte : blocks) {
    byte = static_cast<uint8_t>(fill == "random" ? random.bits() : std::stoul(fill, nullptr, 16));
  }
  for (size_t at = 0; at < blocks.size(); at += static_cast<size_t>(type.bytes)) {
    const auto scale = [&] { return float_to_half(static_cast<float>(0.001 + 0.05 * random.uniform())); };
    put_half(name == "Q6_K" ? at + 208 : at, scale());
    if (name == "Q4_K" || name == "Q5_K") put_half(at + 2, scale());
  }
  return blocks;
}

namespace {

float half_at(const uint8_t* p) {
  uint16_t half;
  memcpy(&half, p, 2);
  return half_to_float(half);
}

/** Scale and minimum of sub-block i of Q4_K and Q5_K, from their 12 bytes. */
void scale_and_min(const uint8_t* s, int i, int& scale, int& min) {
  if (i < 4) {
    scale = s[i] & 63;
    min = s[i + 4] & 63;
  } else {
    scale = (s[i + 4] & 15) | (s[i - 4] >> 6) << 4;
    min = s[i + 4] >> 4 | (s[i] >> 6) << 4;
  }
}

void decode_block(const std::string& type, const uint8_t* b, float* out) {
  if (type == "F32") {
    memcpy(out, b, 4);
  } else if (type == "F16") {
    *out = half_at(b);
  } else if (type == "BF16") {
    uint16_t half;
    memcpy(&half, b, 2);
    *out = bf16_to_float(half);
  } else if (type == "Q4_0") {
    for (int i = 0; i < 32; i++) {
      const int nibble = i < 16 ? b[2 + i] & 15 : b[2 + i - 16] >> 4;
      out[i] = half_at(b) * static_cast<float>(nibble - 8);
    }
  } else if (type == "Q8_0") {
    for (int i = 0; i < 32; i++) {
      out[i] = half_at(b) * static_cast<float>(static_cast<int8_t>(b[2 + i]));
    }
  } else if (type == "Q4_K" || type == "Q5_K") {
    const uint8_t* nibbles = b + (type == "Q4_K" ? 16 : 48);
    for (int i = 0; i < 256; i++) {
      int scale, min;
      scale_and_min(b + 4, i / 32, scale, min);
      int value = nibbles[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
      if (type == "Q5_K") value += (b[16 + i % 32] >> (i / 32) & 1) * 16;
      out[i] = half_at(b) * static_cast<float>(scale) * static_cast<float>(value) -
               half_at(b + 2) * static_cast<float>(min);
    }
  } else {  // Q6_K
    for (int i = 0; i < 256; i++) {
      const int half = i / 128, quarter = i / 32 % 4, l = i % 32;
      const int low = b[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
      const int high = b[128 + half * 32 + l] >> (quarter * 2) & 3;
      const int scale = static_cast<int8_t>(b[192 + i / 16]);
      out[i] = half_at(b + 208) * static_cast<float>(scale) * static_cast<float>(low + high * 16 - 32);
    }
  }
}

/** The minimum of each value, with its factor. */
void minimums_of_block(const uint8_t* b, float* out) {
  for (int i = 0; i < 256; i++) {
    int scale, min;
    scale_and_min(b + 4, i / 32, scale, min);
    out[i] = half_at(b + 2) * static_cast<float>(min);
  }
}

}  // namespace

std::vector<float> decode(const std::string& name, const uint8_t* blocks, int64_t elements) {
  const Type type = type_of(name);
  std::vector<float> out(static_cast<size_t>(elements));
  for (int64_t i = 0; i < elements / type.elements; i++) {
    decode_block(name, blocks + i * type.bytes, out.data() + i * type.elements);
  }
  return out;
}

std::vector<float> minimums(const std::string& name, const uint8_t* blocks, int64_t elements) {
  const Type type = type_of(name);
  std::vector<float> out(static_cast<size_t>(elements));
  if (name != "Q4_K" && name != "Q5_K") return out;
  for (int64_t i = 0; i < elements / type.elements; i++) {
    minimums_of_block(blocks + i * type.bytes, out.data() + i * type.elements);
  }
  return out;
}

Parts parts_of(const std::string& type) {
  if (type == "F32") return Parts::more;  // 24 bits
  return type == "F16" ? Parts::two : Parts::one;  // 11 bits; BF16 and integers of 8 bits
}

}  // namespace tokamak::tests
