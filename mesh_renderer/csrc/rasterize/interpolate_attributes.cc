// Attribute interpolation and its gradient on the CPU.
#include <algorithm>

#include "rasterize/rasterize_triangles.h"

namespace mesh_renderer {
namespace {

// The loops are compiled for each usual number of channels: with a number known only at run time, a
// loop over three channels costs more than the work in it. kAny is any other number.
constexpr int kAny = 0;

bool IsEmpty(const float* barycentrics) {
  return barycentrics[0] + barycentrics[1] + barycentrics[2] <= 0;
}

template <int kChannels>
void Interpolate(const Mesh& mesh, const Visibility& visible, const float* attributes,
                 int64_t any_channels, int64_t pixel_begin, int64_t pixel_end, float* image) {
  const int64_t channels = kChannels == kAny ? any_channels : kChannels;
  for (int64_t p = pixel_begin; p < pixel_end; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* __restrict out = image + channels * p;
    if (IsEmpty(b)) {
      for (int64_t c = 0; c < channels; ++c) out[c] = 0;
      continue;
    }

    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    const float* a0 = attributes + channels * corner[0];
    const float* a1 = attributes + channels * corner[1];
    const float* a2 = attributes + channels * corner[2];
    for (int64_t c = 0; c < channels; ++c) out[c] = b[0] * a0[c] + b[1] * a1[c] + b[2] * a2[c];
  }
}

template <int kChannels>
void InterpolateGrad(const Mesh& mesh, const Visibility& visible, const float* attributes,
                     int64_t any_channels, const float* d_image, float* d_attributes,
                     float* d_barycentrics) {
  const int64_t channels = kChannels == kAny ? any_channels : kChannels;
  std::fill_n(d_attributes, channels * mesh.vertex_count, 0.0f);
  for (int64_t p = 0; p < visible.pixel_count; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* d_b = d_barycentrics + 3 * p;
    const float* __restrict d_pixel = d_image + channels * p;
    bool any = false;

    // With masked losses, many pixels have no gradient.
    for (int64_t c = 0; c < channels; ++c) any |= d_pixel[c] != 0;
    if (!any || IsEmpty(b)) {
      d_b[0] = d_b[1] = d_b[2] = 0;
      continue;
    }

    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    for (int i = 0; i < 3; ++i) {
      const float* __restrict a = attributes + channels * corner[i];
      float* __restrict d_a = d_attributes + channels * corner[i];
      float sum = 0;
      for (int64_t c = 0; c < channels; ++c) {
        sum += d_pixel[c] * a[c];
        d_a[c] += d_pixel[c] * b[i];
      }
      d_b[i] = sum;
    }
  }
}

}  // namespace

void InterpolateAttributes(const Mesh& mesh, const Visibility& visible, const float* attributes,
                           int64_t channels, int64_t pixel_begin, int64_t pixel_end, float* image) {
  const auto interpolate = channels == 1   ? Interpolate<1>
                           : channels == 3 ? Interpolate<3>
                           : channels == 4 ? Interpolate<4>
                           : channels == 6 ? Interpolate<6>
                                           : Interpolate<kAny>;
  interpolate(mesh, visible, attributes, channels, pixel_begin, pixel_end, image);
}

void InterpolateAttributesGrad(const Mesh& mesh, const Visibility& visible, const float* attributes,
                               int64_t channels, const float* d_image, float* d_attributes,
                               float* d_barycentrics) {
  const auto interpolate = channels == 1   ? InterpolateGrad<1>
                           : channels == 3 ? InterpolateGrad<3>
                           : channels == 4 ? InterpolateGrad<4>
                           : channels == 6 ? InterpolateGrad<6>
                                           : InterpolateGrad<kAny>;
  interpolate(mesh, visible, attributes, channels, d_image, d_attributes, d_barycentrics);
}

}  // namespace mesh_renderer
