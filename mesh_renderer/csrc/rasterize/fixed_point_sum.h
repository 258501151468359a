// Sums that do not depend on the order of their addends.
//
// Threads of a GPU add to a vertex in an undefined order, and sums of floats depend on the order;
// sums of integers do not. So the largest addend of each sum is found first; then all addends are
// rounded to multiples of a unit, which follows from the largest, and added as integers. The error
// is at most half a unit per addend: less than the error of adding floats one by one.
#ifndef MESH_RENDERER_RASTERIZE_FIXED_POINT_SUM_H_
#define MESH_RENDERER_RASTERIZE_FIXED_POINT_SUM_H_

#include <cmath>
#include <cstdint>
#include <cstring>

#include "rasterize/atomics.h"
#include "rasterize/host_device.h"

namespace mesh_renderer {

HOST_DEVICE inline uint32_t BitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// An array of sums; all start at 0.
struct FixedPointSums {
  uint32_t* largest;  // [count], bits of the largest |addend|; floats >= 0 compare like their bits
  uint64_t* sums;     // [count], two's complement
  int headroom;       // 2^headroom is at least the number of addends of one sum
};

constexpr uint32_t kNotFinite = 255;  // the exponent of infinity and NaN

// The exponent bits of the largest addend, at least 1: the unit of denormal addends is constant.
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

// log2 of the units in 1. Because |addend| < 2^(exponent - 126), every sum is below 2^62 units.
HOST_DEVICE inline int UnitsExponent(const FixedPointSums& s, uint32_t largest) {
  return 62 - s.headroom - (static_cast<int>(LargestExponent(largest)) - 126);
}

// The first pass: finds the largest addend of each sum.
struct OfferAddend {
  FixedPointSums s;

  HOST_DEVICE void operator()(int64_t i, float addend) const {
    AtomicMax(s.largest + i, BitsOf(addend) & 0x7fffffffu);
  }
};

// The second pass: adds the addends, after the first pass has seen all of them.
struct AddAddend {
  FixedPointSums s;

  HOST_DEVICE void operator()(int64_t i, float addend) const {
    const uint32_t largest = s.largest[i];
    if (LargestExponent(largest) == kNotFinite) return;
    const double units = rint(addend * PowerOfTwo(UnitsExponent(s, largest)));
    AtomicAdd(s.sums + i, static_cast<uint64_t>(static_cast<int64_t>(units)));
  }
};

// The last pass: returns the sum, NaN if an addend is not finite.
HOST_DEVICE inline float RoundedSum(const FixedPointSums& s, int64_t i) {
  const uint32_t largest = s.largest[i];
  if (LargestExponent(largest) == kNotFinite) return NAN;
  return static_cast<float>(static_cast<int64_t>(s.sums[i]) *
                            PowerOfTwo(-UnitsExponent(s, largest)));
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_FIXED_POINT_SUM_H_
