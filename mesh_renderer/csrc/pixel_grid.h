// Where pixel centres are, in normalised device coordinates.
#ifndef MESH_RENDERER_PIXEL_GRID_H_
#define MESH_RENDERER_PIXEL_GRID_H_

#include <vector>

#include "host_device.h"

namespace mesh_renderer {

// The published rasteriser takes pixel centres in double precision and rounds once. Whether a
// centre that lies on an edge is covered depends on it.
HOST_DEVICE inline float PixelCentre(int pixel, int size) {
  return static_cast<float>(2.0 * (pixel + 0.5) / size - 1.0);
}

// `count` columns of an image `width` wide; beyond it they go on.
inline std::vector<float> ColumnCentres(int count, int width) {
  std::vector<float> x(count);
  for (int column = 0; column < count; ++column) x[column] = PixelCentre(column, width);
  return x;
}

// Rows count from the top, y points up.
inline std::vector<float> RowCentres(int height) {
  std::vector<float> y(height);
  for (int row = 0; row < height; ++row) y[row] = -PixelCentre(row, height);
  return y;
}

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_PIXEL_GRID_H_
