// Pixel centers in normalized device coordinates.
#ifndef MESH_RENDERER_RASTERIZE_PIXEL_GRID_H_
#define MESH_RENDERER_RASTERIZE_PIXEL_GRID_H_

#include <vector>

#include "rasterize/host_device.h"

namespace mesh_renderer {

// In double precision, rounded once, as in the published rasterizer: coverage of a center on an
// edge depends on it.
HOST_DEVICE inline float PixelCenter(int pixel, int size) {
  return static_cast<float>(2.0 * (pixel + 0.5) / size - 1.0);
}

// Returns the centers of `count` columns of an image of `width` columns; count may exceed width.
inline std::vector<float> ColumnCenters(int count, int width) {
  std::vector<float> x(count);
  for (int column = 0; column < count; ++column) x[column] = PixelCenter(column, width);
  return x;
}

// Row 0 is the top row; y points up.
inline std::vector<float> RowCenters(int height) {
  std::vector<float> y(height);
  for (int row = 0; row < height; ++row) y[row] = -PixelCenter(row, height);
  return y;
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_PIXEL_GRID_H_
