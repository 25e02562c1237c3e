// SPDX-License-Identifier: Apache-2.0
//
// What the tests of single operations share: case tables, values, types, and plain versions.

#pragma once

#include <stdint.h>

#include <cfloat>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tokamak::tests {

/** Ends the present case with a message. */
struct Failure {
  std::string message;
};
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

/** splitmix64 (Steele et al. 2014). */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  /** 0 .. limit-1. */
  int64_t below(int64_t limit) { return static_cast<int64_t>(bits() % static_cast<uint64_t>(limit)); }
  /** [0, 1) */
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double normal();

 private:
  uint64_t state_;
};

/** One line of a table, by the names of its columns. */
struct Case {
  std::string file;
  int line;
  std::map<std::string, std::string> fields;

  const std::string& text(const char* name) const;
  int64_t number(const char* name) const;
  double real(const char* name) const;
  std::string title() const;
};

std::vector<Case> read_cases(const std::string& file);

/** `rows` rows of values: normal, outlier (one row and a few values 1000 times larger), extreme
 *  (up to the largest float), denormal, nan (one value of one row), zero. */
std::vector<float> values(const std::string& kind, int64_t rows, int64_t width, Random& random);

/** GGUF type numbers, block sizes, random blocks, and decoding by the format page. */
struct Type {
  int number;
  int64_t elements, bytes;
};
Type type_of(const std::string& name);
/** fill: of a quantized type, "random" or the value of all bytes but the F16 scales, in hex. */
std::vector<uint8_t> random_blocks(const std::string& type, int64_t elements, Random& random,
                                   const std::string& fill = "random");
std::vector<float> decode(const std::string& type, const uint8_t* blocks, int64_t elements);
/** What decode has subtracted from each value: the minimums of Q4_K and Q5_K. */
std::vector<float> minimums(const std::string& type, const uint8_t* blocks, int64_t elements);
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
float bf16_to_float(uint16_t half);
uint16_t float_to_bf16(float value);

/** What plain loops make of an operation, row by row. */
struct Plain {
  std::vector<double> exact;     // with double sums
  std::vector<float> single;     // in plain float32: the same formats, no care. For bounds like 2x
  std::vector<double> rounding;  // how far float32 may be off. For the bound `rounding`
};

/** The most by which float32 rounds a number of size 1. */
constexpr double rounding_unit = FLT_EPSILON / 2;

/**
 * How far independent roundings move a value together: each counts with the size of the number
 * that is rounded, `squares` is the sum of the squares of those. A rounding is spread over +-unit
 * times the size, a standard deviation of at most unit / sqrt(3) times it: 4 units are 7 standard
 * deviations of their sum, passed once in 10^11 values (Higham and Mary 2019). Where errors have a
 * common cause or are the same each time, sizes are to be added instead.
 */
inline double independent_roundings(double squares) {
  return 4 * rounding_unit * std::sqrt(squares);
}

/** How a machine multiplies in matmul and attention. */
enum class Products {
  float32,    // products are rounded to float32; what is done to activations before, `2x` covers
  bf16_parts  // a factor is a sum of two bfloat16 values; their two low parts are not multiplied
};

/** How many bfloat16 values a factor is the exact sum of. */
enum class Parts { one, two, more };

/**
 * What the rounding of a product of two factors adds to the squares of independent_roundings. Two
 * bfloat16 values of 8 bits leave out 2^-16 of a factor of more bits, and the product of two low
 * parts is as small: each such loss is that of a number 256 times as large rounded to float32.
 */
inline double product_squares(Products products, double product, Parts a, Parts b) {
  if (products == Products::float32) return product * product;
  const int losses = (a == Parts::more) + (b == Parts::more) + (a != Parts::one && b != Parts::one);
  return losses * (256 * product) * (256 * product);
}

/** Below this, bfloat16 parts cannot tell values apart. */
constexpr double least_part = FLT_MIN / 256;

/** How many parts a weight or a cached value of this type is. */
Parts parts_of(const std::string& type);

class Machine;

/** One operation on given data. */
class Problem {
 public:
  virtual ~Problem() = default;
  /** Runs all rows in steps of at most `chunk` rows; what the operation wrote, row by row. */
  virtual std::vector<float> run(Machine& machine, int chunk) const = 0;
  /** Appends to `exact`, and to what the bounds of the operation's table need. */
  virtual void plain(Plain& out, Products products) const = 0;
  int64_t rows = 0;
  int64_t products = 0;  // roughly how many multiplications it is, where they are many
};

using Make = std::unique_ptr<Problem> (*)(const Case&, Random&);

std::unique_ptr<Problem> make_add(const Case&, Random&);
std::unique_ptr<Problem> make_attention(const Case&, Random&);
std::unique_ptr<Problem> make_embed(const Case&, Random&);
std::unique_ptr<Problem> make_gate(const Case&, Random&);
std::unique_ptr<Problem> make_matmul(const Case&, Random&);
std::unique_ptr<Problem> make_norm(const Case&, Random&);
std::unique_ptr<Problem> make_rope(const Case&, Random&);
std::unique_ptr<Problem> make_select(const Case&, Random&);

/** Calls f(first row, rows) for each step of at most `chunk` rows. */
inline void in_steps(int64_t rows, int64_t chunk, const std::function<void(int64_t, int)>& f) {
  for (int64_t first = 0; first < rows; first += chunk) {
    f(first, static_cast<int>(rows - first < chunk ? rows - first : chunk));
  }
}

}  // namespace tokamak::tests
