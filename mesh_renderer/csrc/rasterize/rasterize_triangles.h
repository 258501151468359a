// Hard-visibility rasterization of triangle meshes, and attribute interpolation, with gradients.
//
// The core is independent of TensorFlow: plain pointers to caller-owned, densely packed, row-major
// arrays. Nothing is checked here; the callers (the TensorFlow operation, the C interface)
// guarantee that every vertex index lies in [0, vertex_count).
//
// Conventions. Clip space is OpenGL's: x right, y up, a point is visible where -w <= x, y, z <= w.
// Pixel row 0 is the TOP row; the center of pixel (row r, column c) is, in normalized device
// coordinates, ( 2 (c + 1/2) / width - 1, 1 - 2 (r + 1/2) / height ).
#ifndef MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_H_
#define MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_H_

#include <cstdint>

namespace mesh_renderer {

// Targets of a triangle: the picture, the mask of the front region, or both.
enum TriangleLayer : uint8_t { kPicture = 1, kFrontMask = 2 };

// The geometry of one image.
struct Mesh {
  const float* clip_vertices;  // [vertex_count, 4], clip-space x, y, z, w
  const int32_t* triangles;    // [triangle_count, 3], indices of vertices
  const uint8_t* layers;       // [triangle_count], sums of TriangleLayer; null = all kPicture
  int64_t vertex_count;
  int64_t triangle_count;
};

// The pixels of one image.
struct Image {
  int width;
  int height;
  float* barycentrics;    // [height, width, 3]; zeros where no triangle covers the pixel center
  int32_t* triangle_ids;  // [height, width]; 0 where empty
  float* z_buffer;        // [height, width], z / w; 1 where empty
  float* mask;            // [height, width], 1 where covered, else 0; may be null
  float* front_mask;  // [height, width], 1 where a kFrontMask triangle is, even if hidden; or null
};

// The visible triangle of each pixel: outputs of RasterizeTriangles.
struct Visibility {
  int64_t pixel_count;
  const float* barycentrics;
  const int32_t* triangle_ids;
};

// Draws rows [row_begin, row_end) of `mesh` into `image` and writes no other row. The result of a
// row does not depend on the division of the rows.
//
// A pixel is covered by a triangle where its center is on or inside all three edges (homogeneous
// edge functions: M. Olano and T. Greer, "Triangle scan conversion using 2D homogeneous
// coordinates", Graphics Hardware 1997), in either winding, and z / w lies in [-1, 1]. The nearest
// triangle is shown; of equally near ones the last. Triangles that cross the plane w = 0 are drawn
// where they are in front of it. Triangles with a vertex that is not finite are skipped.
void RasterizeTriangles(const Mesh& mesh, int row_begin, int row_end, const Image& image);

// Gradient of the (perspective-correct) barycentric coordinates with respect to the vertices,
// visibility held fixed. Overwrites d_clip_vertices [vertex_count, 4]; its z column is zero.
// Width and height are the size of the image; d_barycentrics is [height, width, 3].
void RasterizeTrianglesGrad(const Mesh& mesh, int width, int height, const Visibility& visible,
                            const float* d_barycentrics, float* d_clip_vertices);

// Writes pixels [pixel_begin, pixel_end) of image [pixels, channels]: the attributes
// [vertex_count, channels] of the visible triangle's vertices, weighted by the barycentric
// coordinates.
void InterpolateAttributes(const Mesh& mesh, const Visibility& visible, const float* attributes,
                           int64_t channels, int64_t pixel_begin, int64_t pixel_end, float* image);

// Gradient of InterpolateAttributes. Overwrites d_attributes [vertex_count, channels] and
// d_barycentrics [pixels, 3]. Sums run over the pixels in order, so results are reproducible.
void InterpolateAttributesGrad(const Mesh& mesh, const Visibility& visible, const float* attributes,
                               int64_t channels, const float* d_image, float* d_attributes,
                               float* d_barycentrics);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_RASTERIZE_RASTERIZE_TRIANGLES_H_
