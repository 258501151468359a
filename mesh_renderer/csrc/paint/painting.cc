// Shapes: ellipsoids, strokes and masks. photograph.cc holds the functions on whole pictures.
#include "paint/painting.h"

#include <algorithm>
#include <cmath>

namespace {

constexpr int kTextureRows = 32, kTextureColumns = 512, kLineKnots = 65;
constexpr int kChunk = 256;  // pixels of a row that are painted at once

float Dot(const float* a, const float* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// In this order of arguments, std::max returns 0 for NaN.
float Clamp(float value, float limit) { return std::min(std::max(0.0f, value), limit); }

float Clamp01(float value) { return Clamp(value, 1.0f); }

uint8_t Byte(float value) { return static_cast<uint8_t>(Clamp(value, 255.0f) + 0.5f); }

void Blend(const mesh_renderer_canvas& canvas, int64_t pixel, float red, float green, float blue,
           float opacity) {
  uint8_t* below = canvas.picture + 3 * pixel;
  below[0] = Byte(below[0] + (red - below[0]) * opacity);
  below[1] = Byte(below[1] + (green - below[1]) * opacity);
  below[2] = Byte(below[2] + (blue - below[2]) * opacity);
}

void Hide(const mesh_renderer_canvas& canvas, int64_t pixel, float opacity) {
  if (canvas.hidden != nullptr && opacity >= 0.5f) canvas.hidden[pixel] = 1;
}

// atan2(y, x) / pi, in -1..1, with an error of at most 5e-4 (Rajan et al., "Efficient
// Approximations for the Arctangent Function", IEEE Signal Processing Magazine 2006, eq. 9).
// Without branches, so that compilers vectorize it.
float TurnOf(float y, float x) {
  const float ax = std::fabs(x), ay = std::fabs(y);
  const float ratio = std::min(ax, ay) / std::max(std::max(ax, ay), 1e-9f);
  float turn = ratio * (0.25f + (0.0778f + 0.0211f * (1 - ratio)) * (1 - ratio));
  turn = ay > ax ? 0.5f - turn : turn;
  turn = x < 0 ? 1 - turn : turn;
  return y < 0 ? -turn : turn;
}

// The rays of one row of pixels through an ellipsoid: |camera + s ray|^2 = 1, with ray = base + u
// right, has solutions where the discriminant, q[0] + q[1] u + q[2] u^2, is positive.
struct RowOfRays {
  float base[3];
  float a[3], b[2], q[3];  // coefficients of powers of u
  float down[2];           // coefficients of the discriminant's downward derivative

  RowOfRays(const mesh_renderer_ellipsoid& e, float v) {
    for (int i = 0; i < 3; ++i) base[i] = -e.backward[i] - v * e.up[i];
    const float outside = Dot(e.camera, e.camera) - 1;
    const float across = Dot(e.camera, e.right), upwards = Dot(e.camera, e.up);

    a[0] = Dot(base, base);
    a[1] = 2 * Dot(base, e.right);
    a[2] = Dot(e.right, e.right);
    b[0] = Dot(e.camera, base);
    b[1] = across;
    q[0] = b[0] * b[0] - outside * a[0];
    q[1] = 2 * b[0] * b[1] - outside * a[1];
    q[2] = b[1] * b[1] - outside * a[2];
    down[0] = 2 * (outside * Dot(base, e.up) - b[0] * upwards);
    down[1] = 2 * (outside * Dot(e.right, e.up) - b[1] * upwards);
  }

  // Finds the columns that the ellipsoid covers, and one more on each side; false without any.
  bool Columns(float pixel, int size, int* begin, int* end) const {
    const float inside = q[1] * q[1] - 4 * q[2] * q[0];
    if (!(q[2] < 0) || !(inside > 0)) return false;
    const float root = std::sqrt(inside), middle = 0.5f * size;
    *begin =
        static_cast<int>(Clamp((-q[1] + root) / (2 * q[2] * pixel) + middle - 1.5f, 2 * middle));
    *end = static_cast<int>(Clamp((-q[1] - root) / (2 * q[2] * pixel) + middle + 1.5f, 2 * middle));
    return *begin < *end;
  }
};

// Layer of one chunk, to be blended over the picture.
struct PaintedChunk {
  float color[3][kChunk], opacity[kChunk];
};

// Blends a layer over the pixels [count, 3].
void LayChunk(const PaintedChunk& painted, int count, uint8_t* __restrict pixels,
              uint8_t* __restrict hidden) {
  for (int i = 0; i < count; ++i) {
    for (int k = 0; k < 3; ++k) {
      const float below = pixels[3 * i + k];
      // A value between two bytes needs no clamping.
      pixels[3 * i + k] = static_cast<uint8_t>(
          static_cast<int>(below + (painted.color[k][i] - below) * painted.opacity[i] + 0.5f));
    }
  }
  if (hidden == nullptr) return;
  for (int i = 0; i < count; ++i) hidden[i] = painted.opacity[i] >= 0.5f ? 1 : hidden[i];
}

// Computes the layer of `count` pixels of a row.
void PaintChunk(const mesh_renderer_ellipsoid& e, const RowOfRays& row, float first_u, int count,
                const float* __restrict texture, const float* __restrict line,
                PaintedChunk* __restrict painted) {
  for (int i = 0; i < count; ++i) {
    // 1. Where the ray meets the ellipsoid; the edge fades within one pixel.
    const float u = first_u + i * e.pixel;
    const float discriminant = row.q[0] + u * (row.q[1] + u * row.q[2]);
    const float rightwards = row.q[1] + 2 * u * row.q[2], downwards = row.down[0] + u * row.down[1];
    const float per_pixel =
        e.pixel * std::sqrt(rightwards * rightwards + downwards * downwards) + 1e-12f;
    const float edge = Clamp01(discriminant / per_pixel + 0.5f);
    const float distance = -(row.b[0] + u * row.b[1] + std::sqrt(std::max(discriminant, 0.0f))) /
                           (row.a[0] + u * (row.a[1] + u * row.a[2]));
    const float x = e.camera[0] + distance * (row.base[0] + u * e.right[0]);
    const float y = e.camera[1] + distance * (row.base[1] + u * e.right[1]);
    const float z = e.camera[2] + distance * (row.base[2] + u * e.right[2]);
    const float nx = x * e.inverse_radii[0];
    const float ny = y * e.inverse_radii[1];
    const float nz = z * e.inverse_radii[2];
    const float scale = 1 / std::sqrt(nx * nx + ny * ny + nz * nz);

    // 2. The texture there, and the lower edge of the paint.
    const int column =
        static_cast<int>(Clamp01(0.5f * TurnOf(x, z) + 0.5f) * kTextureColumns) % kTextureColumns;
    const int height = static_cast<int>(Clamp01(0.5f * y + 0.5f) * (kTextureRows - 1) + 0.5f);
    const float grain = texture[height * kTextureColumns + column] - 0.5f;
    const float knot = Clamp01(0.5f * z + 0.5f) * (kLineKnots - 1);
    const int before = std::min(static_cast<int>(knot), kLineKnots - 2);
    const float least = line[before] + (line[before + 1] - line[before]) * (knot - before);

    // 3. Opacity and color.
    painted->opacity[i] = edge * Clamp01((y - least - e.raggedness * grain) * e.softness + 0.5f);
    const float shade = 1 + e.contrast * grain;
    for (int k = 0; k < 3; ++k) {
      const float light =
          e.flat[k] + scale * (e.light[k][0] * nx + e.light[k][1] * ny + e.light[k][2] * nz);
      painted->color[k][i] = Clamp(std::max(0.0f, light) * shade, 255.0f);
    }
  }
}

// Paints one segment of a stroke: the pixels whose centers are nearer than its radius.
void PaintSegment(const mesh_renderer_canvas& canvas, const float* from, const float* to,
                  float from_radius, float to_radius, const float* color, float roundness,
                  float opacity) {
  const float dx = to[0] - from[0], dy = to[1] - from[1];
  const float length = std::sqrt(dx * dx + dy * dy);
  const float per_length = 1 / std::max(length * length, 1e-12f);
  const float reach = std::max(from_radius, to_radius) + 1, limit = static_cast<float>(canvas.size);
  if (!(length < 1e6f)) return;

  const int top = static_cast<int>(Clamp(std::min(from[1], to[1]) - reach, limit));
  const int bottom = static_cast<int>(Clamp(std::max(from[1], to[1]) + reach, limit));
  for (int row = top; row < bottom; ++row) {
    // The columns that the segment can reach; narrower where the infinite line passes the row.
    const float y = row + 0.5f - from[1];
    float left = std::min(from[0], to[0]) - reach, right = std::max(from[0], to[0]) + reach;
    if (std::fabs(dy) > 0.1f * length) {
      const float middle = from[0] + y * dx / dy, half = reach * length / std::fabs(dy);
      left = std::max(left, middle - half);
      right = std::min(right, middle + half);
    }

    const int begin = static_cast<int>(Clamp(left, limit));
    const int end = static_cast<int>(Clamp(right, limit));
    for (int column = begin; column < end; ++column) {
      const float x = column + 0.5f - from[0];
      const float share = Clamp01((x * dx + y * dy) * per_length);
      const float ox = x - share * dx, oy = y - share * dy;
      const float radius = from_radius + share * (to_radius - from_radius);
      const float distance = std::sqrt(ox * ox + oy * oy);
      const float cover = Clamp01(radius + 0.5f - distance) * std::min(2 * radius, 1.0f) * opacity;
      if (cover <= 0) continue;

      const float off = std::min(distance / std::max(radius, 0.5f), 1.0f);
      const float shade = 1 - roundness * off * off;
      const int64_t pixel = static_cast<int64_t>(row) * canvas.size + column;
      Blend(canvas, pixel, color[0] * shade, color[1] * shade, color[2] * shade, cover);
      Hide(canvas, pixel, cover);
    }
  }
}

}  // namespace

void mesh_renderer_paint_ellipsoid(const mesh_renderer_canvas* canvas,
                                   const mesh_renderer_ellipsoid* ellipsoid, const float* texture,
                                   const float* line) {
  const int size = canvas->size;
  const float middle = 0.5f * size - 0.5f;
  PaintedChunk painted;
  for (int row = 0; row < size; ++row) {
    const RowOfRays rays(*ellipsoid, (row - middle) * ellipsoid->pixel);
    int begin, end;
    if (!rays.Columns(ellipsoid->pixel, size, &begin, &end)) continue;

    for (int column = begin; column < end; column += kChunk) {
      const int count = std::min(kChunk, end - column);
      PaintChunk(*ellipsoid, rays, (column - middle) * ellipsoid->pixel, count, texture, line,
                 &painted);
      const int64_t pixel = static_cast<int64_t>(row) * size + column;
      LayChunk(painted, count, canvas->picture + 3 * pixel,
               canvas->hidden ? canvas->hidden + pixel : nullptr);
    }
  }
}

void mesh_renderer_paint_strokes(const mesh_renderer_canvas* canvas, const float* points,
                                 const float* radii, const float* colors, int64_t count,
                                 int point_count, float roundness, float opacity) {
  const int segments = point_count - 1;
  for (int64_t stroke = 0; stroke < count;
       ++stroke, radii += 2, colors += 3, points += 2 * point_count) {
    const float taper = (radii[1] - radii[0]) / segments;
    for (int i = 0; i < segments; ++i) {
      PaintSegment(*canvas, points + 2 * i, points + 2 * (i + 1), radii[0] + i * taper,
                   radii[0] + (i + 1) * taper, colors, roundness, opacity);
    }
  }
}

void mesh_renderer_paint_mask(const mesh_renderer_canvas* canvas, const float* color,
                              const uint8_t* opacity, int left, int top, int width, int height) {
  const int first = std::max(0, -left), last = std::min(width, canvas->size - left);
  for (int row = std::max(0, -top); row < std::min(height, canvas->size - top); ++row) {
    for (int column = first; column < last; ++column) {
      const float cover = opacity[static_cast<int64_t>(row) * width + column] / 255.0f;
      if (cover <= 0) continue;
      const int64_t pixel = static_cast<int64_t>(row + top) * canvas->size + column + left;
      Blend(*canvas, pixel, color[0], color[1], color[2], cover);
      Hide(*canvas, pixel, cover);
    }
  }
}
