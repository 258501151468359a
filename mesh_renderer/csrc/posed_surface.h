// From a face in model space to a posed and lit one, in one pass: world positions, world normals,
// colours; and the gradient. Knows no TensorFlow.
#ifndef MESH_RENDERER_POSED_SURFACE_H_
#define MESH_RENDERER_POSED_SURFACE_H_

#include <cstdint>

#include "vertex_normals.h"

namespace mesh_renderer {

// Light on a surface is a polynomial of its unit normal (Ramamoorthi & Hanrahan, SIGGRAPH 2001, eq.
// 12) in the terms 1, x, y, z, xy, yz, zx, zz, xx - yy.
constexpr int kLightTerms = 9;
constexpr int kChannels = 3;

// The pose of one image, and the light in it.
struct PoseAndLight {
  const float* rotation;     // [3, 3], for row vectors: world = vertices * rotation + translation
  const float* translation;  // [3]
  const float* light;        // [kChannels, kLightTerms]
};

// What a surface becomes, [vertex_count, 3] each.
struct PosedSurface {
  float* world;    // positions
  float* normals;  // unit normals, as VertexNormals has them, rotated
  float* colors;   // albedo times light
};

void PoseSurface(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices, const float* albedo,
                 const PosedSurface& posed);

// Gradients by the inputs of PoseSurface; all are overwritten.
struct PoseSurfaceGradients {
  float* vertices;     // [vertex_count, 3]
  float* albedo;       // [vertex_count, 3]
  float* rotation;     // [3, 3]
  float* translation;  // [3]
  float* light;        // [kChannels, kLightTerms]
};

// Writes gradients, given those by the three outputs.
void PoseSurfaceGrad(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices, const float* albedo,
                     const float* d_world, const float* d_normals, const float* d_colors,
                     const PoseSurfaceGradients& gradients);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_POSED_SURFACE_H_
