// Numbers are formatted by integer arithmetic, which is faster than printf.
#include "encode/obj_text.h"

#include <cmath>
#include <cstdio>
#include <cstring>

namespace {

constexpr int kMostDigits = 20;          // digits of a 64-bit number
constexpr double kLargestScaled = 9e15;  // larger doubles skip integers: left to printf
constexpr int kLongestReal = 400;        // printf's text of the largest double, with room to spare
constexpr double kPowers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

// Writes the digits of `value`, at least `least` of them, and returns the end.
char* WriteDigits(uint64_t value, int least, char* out) {
  char digits[kMostDigits];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value > 0 || count < least);
  while (count > 0) *out++ = digits[--count];
  return out;
}

// Writes `value` with `decimals` digits after the point, and returns the end.
char* WriteReal(double value, int decimals, char* out) {
  const double scaled = std::nearbyint(std::fabs(value) * kPowers[decimals]);
  if (!(scaled < kLargestScaled)) {
    return out + std::snprintf(out, kLongestReal, "%.*f", decimals, value);
  }

  if (std::signbit(value)) *out++ = '-';
  out = WriteDigits(static_cast<uint64_t>(scaled), decimals + 1, out);
  if (decimals == 0) return out;

  // Insert the point.
  std::memmove(out - decimals + 1, out - decimals, decimals);
  out[-decimals] = '.';
  return out + 1;
}

}  // namespace

int64_t mesh_renderer_format_rows(const char* prefix, const double* values, int64_t rows,
                                  int columns, const int* decimals, int64_t room, char* out) {
  const size_t prefix_length = std::strlen(prefix);
  const int64_t longest_line =
      static_cast<int64_t>(prefix_length) + int64_t{columns} * (kLongestReal + 1) + 1;
  char* end = out;
  for (int64_t row = 0; row < rows; ++row) {
    if (room - (end - out) < longest_line) return -1;
    std::memcpy(end, prefix, prefix_length);
    end += prefix_length;
    for (int column = 0; column < columns; ++column) {
      *end++ = ' ';
      end = WriteReal(*values++, decimals[column], end);
    }
    *end++ = '\n';
  }
  return end - out;
}

int64_t mesh_renderer_format_triangles(const int32_t* triangles, int64_t triangle_count,
                                       int64_t room, char* out) {
  constexpr int64_t kLongestLine = 3 * (kMostDigits + 1) + 2;
  char* end = out;
  for (int64_t triangle = 0; triangle < triangle_count; ++triangle) {
    if (room - (end - out) < kLongestLine) return -1;
    *end++ = 'f';
    for (int corner = 0; corner < 3; ++corner) {
      *end++ = ' ';
      end = WriteDigits(static_cast<uint64_t>(*triangles++) + 1, 1, end);
    }
    *end++ = '\n';
  }
  return end - out;
}
