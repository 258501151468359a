// Sums whose addends arrive in any order, and which are the same for every order.
//
// Threads of a GPU add to a vertex in an order that nobody decides, and floats rounded in another order
// give another sum. Whole numbers do not: so the largest addend of each sum is found first, then all are
// added as whole multiples of a unit, which follows from the largest. The error is at most half a unit
// an addend: less than that of adding floats one by one.
#ifndef MESH_RENDERER_FIXED_POINT_SUM_H_
#define MESH_RENDERER_FIXED_POINT_SUM_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "atomics.h"
#include "host_device.h"

namespace mesh_renderer {

HOST_DEVICE inline uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// Many sums at once; all begin at 0.
struct FixedPointSums {
  uint32_t* largest;  // [count], the bits of the largest |addend|: floats >= 0 order like their bits
  uint64_t* sums;     // [count], two's complement
  int headroom;       // 2^headroom is no less than the number of addends of one sum
};

constexpr uint32_t kNotFinite = 255;  // the exponent of infinity and NaN

// The exponent bits of the largest addend; below the normal numbers, the unit no longer shrinks.
HOST_DEVICE inline uint32_t LargestExponent(uint32_t largest) {
  const uint32_t exponent = largest >> 23;
  return exponent > 0 ? exponent : 1;
}

// 2^exponent, for exponents of normal doubles.
HOST_DEVICE inline double PowerOfTwo(int exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double power;
  memcpy(&power, &bits, sizeof(power));
  return power;
}

// How many units are 1: |addend| < 2^(exponent - 126), and all addends together stay below 2^62.
HOST_DEVICE inline int UnitsExponent(const FixedPointSums& s, uint32_t largest) {
  return 62 - s.headroom - (static_cast<int>(LargestExponent(largest)) - 126);
}

// The first pass: tells the sums what they will add up.
struct OfferAddend {
  FixedPointSums s;

  HOST_DEVICE void operator()(int64_t i, float addend) const {
    AtomicMax(s.largest + i, BitsOf(addend) & 0x7fffffffu);
  }
};

// The second pass, after all addends have been offered.
struct AddAddend {
  FixedPointSums s;

  HOST_DEVICE void operator()(int64_t i, float addend) const {
    const uint32_t largest = s.largest[i];
    if (LargestExponent(largest) == kNotFinite) return;
    const double units = rint(addend * PowerOfTwo(UnitsExponent(s, largest)));
    AtomicAdd(s.sums + i, static_cast<uint64_t>(static_cast<int64_t>(units)));
  }
};

// The last pass: the sum itself, NaN where an addend is not finite.
HOST_DEVICE inline float RoundedSum(const FixedPointSums& s, int64_t i) {
  const uint32_t largest = s.largest[i];
  if (LargestExponent(largest) == kNotFinite) return NAN;
  return static_cast<float>(static_cast<int64_t>(s.sums[i]) * PowerOfTwo(-UnitsExponent(s, largest)));
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_FIXED_POINT_SUM_H_
