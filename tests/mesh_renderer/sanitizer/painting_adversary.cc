// Runs the painting of synthetic photos and the compression of pictures on hostile inputs, like
// adversary.cc: sizes and textures are valid, all other numbers are random.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "encode/png.h"
#include "odd_numbers.h"
#include "paint/painting.h"

using odd_numbers::Below;
using odd_numbers::Bytes;
using odd_numbers::Floats;

namespace {

constexpr int kTextureSize = 32 * 512, kLineKnots = 65, kSkinSide = 512, kColors = 1 << 24;

mesh_renderer_ellipsoid Ellipsoid(int odd_percent) {
  mesh_renderer_ellipsoid made;
  const std::vector<float> values = Floats(sizeof(made) / sizeof(float), odd_percent);
  std::copy(values.begin(), values.end(), reinterpret_cast<float*>(&made));
  if (Below(2)) {  // in front of the camera, so that something is painted
    made.camera[2] = 5 + static_cast<float>(Below(10));
    for (int i = 0; i < 3; ++i) {
      made.right[i] = i == 0;
      made.up[i] = i == 1;
      made.backward[i] = i == 2;
    }
    made.pixel = 0.01f;
  }
  return made;
}

void PaintShapes(const mesh_renderer_canvas& canvas, int odd_percent) {
  const mesh_renderer_ellipsoid ellipsoid = Ellipsoid(odd_percent);
  std::vector<float> texture(kTextureSize), line = Floats(kLineKnots, 0);
  for (float& value : texture) value = Below(101) / 100.0f;
  mesh_renderer_paint_ellipsoid(&canvas, &ellipsoid, texture.data(), line.data());

  const int64_t count = Below(20);
  const int point_count = 1 + static_cast<int>(Below(6));
  std::vector<float> points = Floats(count * point_count * 2, odd_percent),
                     radii = Floats(count * 2, odd_percent);
  for (float& value : points) value *= canvas.size;
  const std::vector<float> colors = Floats(count * 3, odd_percent);
  mesh_renderer_paint_strokes(&canvas, points.data(), radii.data(), colors.data(), count,
                              point_count, Floats(1, odd_percent)[0], Floats(1, odd_percent)[0]);

  const int width = static_cast<int>(Below(60)), height = static_cast<int>(Below(60));
  const std::vector<uint8_t> opacity = Bytes<uint8_t>(int64_t{1} * width * height);
  mesh_renderer_paint_mask(&canvas, Floats(3, odd_percent).data(), opacity.data(),
                           static_cast<int>(Below(200)) - 100, static_cast<int>(Below(200)) - 100,
                           width, height);
}

void PaintFace(const mesh_renderer_canvas& canvas, int odd_percent,
               const std::vector<int8_t>& texture) {
  const std::vector<uint8_t> rgba = Bytes<uint8_t>(int64_t{4} * canvas.size * canvas.size);
  const std::vector<float> v = Floats(4, odd_percent);
  const mesh_renderer_skin skin = {v[0],
                                   v[1],
                                   v[2],
                                   v[3],
                                   0.25f + Below(8),
                                   static_cast<int32_t>(Below(4096)),
                                   static_cast<int32_t>(Below(4096))};
  mesh_renderer_paint_face(&canvas, rgba.data(), &skin, texture.data());
}

void Photograph(const mesh_renderer_canvas& canvas, int odd_percent,
                const std::vector<int8_t>& noise) {
  const std::vector<uint8_t> tables = Bytes<uint8_t>(3 * 256);
  std::vector<float> shadow = Floats(4, odd_percent);
  shadow[3] = Below(101) / 100.0f;
  mesh_renderer_tone(&canvas, tables.data(), shadow.data(), static_cast<int>(Below(2)));
  const int reach = static_cast<int>(Below(6));
  mesh_renderer_filter(&canvas, Floats(2 * reach + 1, odd_percent).data(), reach,
                       Floats(1, odd_percent)[0]);
  mesh_renderer_grain(&canvas, noise.data(), noise.size(), Below(int64_t{1} << 40),
                      static_cast<int>(Below(9000)) - 4500);
  std::vector<uint8_t> packed(6 * canvas.size * canvas.size + 4 * canvas.size + 4096);
  const int gray = static_cast<int>(Below(2));
  mesh_renderer_compress_png(gray ? canvas.hidden : canvas.picture, canvas.size, canvas.size, gray,
                             packed.data());
}

}  // namespace

void PaintOddly(int odd_percent) {
  static const std::vector<int8_t> texture = Bytes<int8_t>(kSkinSide * kSkinSide),
                                   noise = Bytes<int8_t>(1 << 14);
  static const std::vector<uint8_t> table = Bytes<uint8_t>(kColors);
  const int size = 1 + static_cast<int>(Below(Below(10) ? 80 : 300));
  std::vector<uint8_t> picture = Bytes<uint8_t>(int64_t{3} * size * size),
                       hidden(int64_t{1} * size * size);
  std::vector<uint8_t> mask(hidden.size());
  const mesh_renderer_canvas canvas = {picture.data(), hidden.data(), size},
                             open = {picture.data(), nullptr, size};
  PaintShapes(Below(2) ? canvas : open, odd_percent);
  PaintFace(canvas, odd_percent, texture);
  Photograph(canvas, odd_percent, noise);
  mesh_renderer_look_up(&canvas, table.data(), mask.data());
}
