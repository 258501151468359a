#include <algorithm>
#include <cstring>

#include "rasterize_triangles.h"

namespace mesh_renderer {

void InterpolateAttributes(const Mesh& mesh, const Visibility& visible, const float* attributes,
                           int64_t channels, int64_t pixel_begin, int64_t pixel_end, float* image) {
  for (int64_t p = pixel_begin; p < pixel_end; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* out = image + channels * p;
    if (b[0] + b[1] + b[2] <= 0) {
      std::fill(out, out + channels, 0.0f);
      continue;
    }
    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    const float* a0 = attributes + channels * corner[0];
    const float* a1 = attributes + channels * corner[1];
    const float* a2 = attributes + channels * corner[2];
    for (int64_t c = 0; c < channels; ++c) out[c] = b[0] * a0[c] + b[1] * a1[c] + b[2] * a2[c];
  }
}

void InterpolateAttributesGrad(const Mesh& mesh, const Visibility& visible,
                               const float* attributes, int64_t channels, const float* d_image,
                               float* d_attributes, float* d_barycentrics) {
  std::memset(d_attributes, 0, sizeof(float) * channels * mesh.vertex_count);
  for (int64_t p = 0; p < visible.pixel_count; ++p) {
    const float* b = visible.barycentrics + 3 * p;
    float* d_b = d_barycentrics + 3 * p;
    d_b[0] = d_b[1] = d_b[2] = 0;
    if (b[0] + b[1] + b[2] <= 0) continue;
    const int32_t* corner = mesh.triangles + 3 * int64_t{visible.triangle_ids[p]};
    const float* d_pixel = d_image + channels * p;
    for (int i = 0; i < 3; ++i) {
      const float* a = attributes + channels * corner[i];
      float* d_a = d_attributes + channels * corner[i];
      float sum = 0;
      for (int64_t c = 0; c < channels; ++c) {
        sum += d_pixel[c] * a[c];
        d_a[c] += d_pixel[c] * b[i];
      }
      d_b[i] = sum;
    }
  }
}

}  // namespace mesh_renderer
