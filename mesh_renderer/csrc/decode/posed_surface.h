// Poses and lights a surface in one pass: from model space to world positions, world normals and
// colors; and the gradient. Independent of TensorFlow.
#ifndef MESH_RENDERER_DECODE_POSED_SURFACE_H_
#define MESH_RENDERER_DECODE_POSED_SURFACE_H_

#include <cstdint>

#include "decode/vertex_normals.h"

namespace mesh_renderer {

// The light on a surface is a polynomial of its unit normal (Ramamoorthi & Hanrahan, SIGGRAPH 2001,
// eq. 12) in the terms 1, x, y, z, xy, yz, zx, zz, xx - yy.
constexpr int kLightTerms = 9;
constexpr int kChannels = 3;

// Pose and light of one image.
struct PoseAndLight {
  const float* rotation;     // [3, 3], for row vectors: world = vertices * rotation + translation
  const float* translation;  // [3]
  const float* light;        // [kChannels, kLightTerms]
};

// Outputs of PoseSurface, [vertex_count, 3] each.
struct PosedSurface {
  float* world;    // positions
  float* normals;  // unit normals of VertexNormals, rotated
  float* colors;   // albedo times light
};

void PoseSurface(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices,
                 const float* albedo, const PosedSurface& posed);

// Gradients by the inputs of PoseSurface.
struct PoseSurfaceGradients {
  float* vertices;     // [vertex_count, 3]
  float* albedo;       // [vertex_count, 3]
  float* rotation;     // [3, 3]
  float* translation;  // [3]
  float* light;        // [kChannels, kLightTerms]
};

// Overwrites `gradients`, given the gradients by the three outputs.
void PoseSurfaceGrad(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices,
                     const float* albedo, const float* d_world, const float* d_normals,
                     const float* d_colors, const PoseSurfaceGradients& gradients);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_DECODE_POSED_SURFACE_H_
