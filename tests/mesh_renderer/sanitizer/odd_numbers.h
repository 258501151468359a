// Random numbers of all kinds, including infinity and NaN.
#ifndef TESTS_SANITIZER_ODD_NUMBERS_H_
#define TESTS_SANITIZER_ODD_NUMBERS_H_

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace odd_numbers {

inline std::mt19937& Generator() {
  static std::mt19937 generator;
  return generator;
}

inline int64_t Below(int64_t limit) {
  return std::uniform_int_distribution<int64_t>(0, limit - 1)(Generator());
}

inline float OddFloat() {
  static const float kOdd[] = {0.0f,
                               -0.0f,
                               1.0f,
                               -1.0f,
                               1e-45f,
                               1e-38f,
                               1e-20f,
                               1e20f,
                               -1e20f,
                               3e38f,
                               -3e38f,
                               16777216.0f,
                               2147483648.0f,
                               -2147483648.0f,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN()};
  return kOdd[Below(sizeof(kOdd) / sizeof(kOdd[0]))];
}

// Heap memory of the exact size, so that the sanitizer sees every access beyond the end.
inline std::vector<float> Floats(int64_t count, int odd_percent) {
  std::normal_distribution<float> normal(0, 1);
  std::vector<float> values(count);
  for (float& value : values) value = Below(100) < odd_percent ? OddFloat() : normal(Generator());
  values.shrink_to_fit();
  return values;
}

// Random bytes.
template <typename Value>
std::vector<Value> Bytes(int64_t count) {
  std::vector<Value> values(count);
  for (Value& value : values) value = static_cast<Value>(Below(256));
  values.shrink_to_fit();
  return values;
}

}  // namespace odd_numbers

#endif  // TESTS_SANITIZER_ODD_NUMBERS_H_
