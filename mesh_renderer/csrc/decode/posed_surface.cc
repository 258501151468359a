#include "decode/posed_surface.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace mesh_renderer {
namespace {

constexpr int kBlock = 256;  // vertices processed at once: fits the L1 cache

// The rotation of an image as plain values, which a loop keeps in registers.
struct Rotation {
  float xx, xy, xz, yx, yy, yz, zx, zy, zz;  // rows are model axes
};

Rotation RotationOf(const PoseAndLight& pose) {
  const float* r = pose.rotation;
  return {r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]};
}

inline float LightOn(const float* l, float x, float y, float z) {
  return l[0] + x * (l[1] + l[4] * y + l[8] * x) + y * (l[2] + l[5] * z - l[8] * y) +
         z * (l[3] + l[6] * x + l[7] * z);
}

// Sums over all vertices.
struct Sums {
  double rotation[9] = {}, translation[3] = {}, light[kChannels * kLightTerms] = {};
};

struct Block {
  float position[3][kBlock], normal[3][kBlock];   // in model space
  float d_world[3][kBlock], d_normal[3][kBlock];  // gradients by positions and normals in the world
  float terms[kLightTerms][kBlock], d_light[kChannels][kBlock];
};

float Dot(const float* a, const float* b, int count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

void AddSums(const Block& block, int count, Sums* sums) {
  for (int j = 0; j < 3; ++j) {
    sums->translation[j] += Dot(block.d_world[j], block.terms[0], count);
    for (int i = 0; i < 3; ++i) {
      sums->rotation[3 * i + j] += Dot(block.position[i], block.d_world[j], count);
      sums->rotation[3 * i + j] += Dot(block.normal[i], block.d_normal[j], count);
    }
  }
  for (int c = 0; c < kChannels; ++c) {
    for (int m = 0; m < kLightTerms; ++m) {
      sums->light[kLightTerms * c + m] += Dot(block.d_light[c], block.terms[m], count);
    }
  }
}

void Split(const float* __restrict interleaved, int count, float (*parts)[kBlock]) {
  float* __restrict x = parts[0];
  float* __restrict y = parts[1];
  float* __restrict z = parts[2];
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    x[i] = interleaved[3 * i];
    y[i] = interleaved[3 * i + 1];
    z[i] = interleaved[3 * i + 2];
  }
}

// Writes d_albedo, and to `block` the terms of the light and the gradients by light and normals.
void LightGrad(const Rotation& r, const float* light, const float* __restrict albedo,
               const float* __restrict d_colors, const float* __restrict d_normals, int count,
               float* __restrict d_albedo, Block* __restrict block) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const float nx = block->normal[0][i], ny = block->normal[1][i], nz = block->normal[2][i];
    const float x = nx * r.xx + ny * r.yx + nz * r.zx;
    const float y = nx * r.xy + ny * r.yy + nz * r.zy;
    const float z = nx * r.xz + ny * r.yz + nz * r.zz;

    float dx = d_normals[3 * i], dy = d_normals[3 * i + 1], dz = d_normals[3 * i + 2];
    for (int c = 0; c < kChannels; ++c) {
      const float* l = light + kLightTerms * c;
      const float d_color = d_colors[3 * i + c];
      const float d_light = d_color * albedo[3 * i + c];
      d_albedo[3 * i + c] = d_color * LightOn(l, x, y, z);
      block->d_light[c][i] = d_light;
      dx += d_light * (l[1] + l[4] * y + l[6] * z + 2 * l[8] * x);
      dy += d_light * (l[2] + l[4] * x + l[5] * z - 2 * l[8] * y);
      dz += d_light * (l[3] + l[5] * y + l[6] * x + 2 * l[7] * z);
    }
    block->d_normal[0][i] = dx;
    block->d_normal[1][i] = dy;
    block->d_normal[2][i] = dz;

    block->terms[0][i] = 1;
    block->terms[1][i] = x;
    block->terms[2][i] = y;
    block->terms[3][i] = z;
    block->terms[4][i] = x * y;
    block->terms[5][i] = y * z;
    block->terms[6][i] = z * x;
    block->terms[7][i] = z * z;
    block->terms[8][i] = x * x - y * y;
  }
}

// Rotates gradients [3][count] from the world back into model space, interleaved.
void RotateBack(const Rotation& r, const float (*d)[kBlock], int count, float* __restrict out) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    const float x = d[0][i], y = d[1][i], z = d[2][i];
    out[3 * i] = x * r.xx + y * r.xy + z * r.xz;
    out[3 * i + 1] = x * r.yx + y * r.yy + z * r.yz;
    out[3 * i + 2] = x * r.zx + y * r.zy + z * r.zz;
  }
}

template <typename T>
void Copy(const T* from, int count, float* to) {
  for (int i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
}

// Scratch memory that each thread reuses from one image to the next.
float* Scratch(int which, int64_t count) {
  static thread_local std::vector<float> kept[2];
  if (static_cast<int64_t>(kept[which].size()) < count) kept[which].resize(count);
  return kept[which].data();
}

}  // namespace

void PoseSurface(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices,
                 const float* albedo, const PosedSurface& posed) {
  // Normals in model space; the loop below overwrites them with those in the world.
  VertexNormals(mesh, vertices, posed.normals);

  const Rotation r = RotationOf(pose);
  const float tx = pose.translation[0], ty = pose.translation[1], tz = pose.translation[2];
  float light[kChannels * kLightTerms];
  std::memcpy(light, pose.light, sizeof(light));
  const float* __restrict v = vertices;
  const float* __restrict a = albedo;
  float* __restrict world = posed.world;
  float* __restrict normals = posed.normals;
  float* __restrict colors = posed.colors;
#pragma omp simd
  for (int64_t i = 0; i < mesh.vertex_count; ++i) {
    const float px = v[3 * i], py = v[3 * i + 1], pz = v[3 * i + 2];
    world[3 * i] = px * r.xx + py * r.yx + pz * r.zx + tx;
    world[3 * i + 1] = px * r.xy + py * r.yy + pz * r.zy + ty;
    world[3 * i + 2] = px * r.xz + py * r.yz + pz * r.zz + tz;

    const float nx = normals[3 * i], ny = normals[3 * i + 1], nz = normals[3 * i + 2];
    const float x = nx * r.xx + ny * r.yx + nz * r.zx;
    const float y = nx * r.xy + ny * r.yy + nz * r.zy;
    const float z = nx * r.xz + ny * r.yz + nz * r.zz;
    normals[3 * i] = x;
    normals[3 * i + 1] = y;
    normals[3 * i + 2] = z;

    colors[3 * i] = a[3 * i] * LightOn(light, x, y, z);
    colors[3 * i + 1] = a[3 * i + 1] * LightOn(light + kLightTerms, x, y, z);
    colors[3 * i + 2] = a[3 * i + 2] * LightOn(light + 2 * kLightTerms, x, y, z);
  }
}

void PoseSurfaceGrad(const Connectivity& mesh, const PoseAndLight& pose, const float* vertices,
                     const float* albedo, const float* d_world, const float* d_normals,
                     const float* d_colors, const PoseSurfaceGradients& gradients) {
  float* normals = Scratch(0, 3 * mesh.vertex_count);
  float* d_model_normals = Scratch(1, 3 * mesh.vertex_count);
  VertexNormals(mesh, vertices, normals);

  // 1. Block by block: d_albedo, the gradient by normals in model space, and the sums.
  const Rotation r = RotationOf(pose);
  Sums sums;
  Block block;
  for (int64_t first = 0; first < mesh.vertex_count; first += kBlock) {
    const int count = static_cast<int>(std::min<int64_t>(kBlock, mesh.vertex_count - first));
    Split(vertices + 3 * first, count, block.position);
    Split(normals + 3 * first, count, block.normal);
    Split(d_world + 3 * first, count, block.d_world);
    LightGrad(r, pose.light, albedo + 3 * first, d_colors + 3 * first, d_normals + 3 * first, count,
              gradients.albedo + 3 * first, &block);
    RotateBack(r, block.d_normal, count, d_model_normals + 3 * first);
    AddSums(block, count, &sums);
  }

  // 2. The gradient by vertices: through their normals, and through their positions.
  VertexNormalsGrad(mesh, vertices, d_model_normals, gradients.vertices);
  const float* __restrict d = d_world;
  float* __restrict out = gradients.vertices;
#pragma omp simd
  for (int64_t i = 0; i < mesh.vertex_count; ++i) {
    const float x = d[3 * i], y = d[3 * i + 1], z = d[3 * i + 2];
    out[3 * i] += x * r.xx + y * r.xy + z * r.xz;
    out[3 * i + 1] += x * r.yx + y * r.yy + z * r.yz;
    out[3 * i + 2] += x * r.zx + y * r.zy + z * r.zz;
  }

  // 3. The sums, rounded to single precision.
  Copy(sums.rotation, 9, gradients.rotation);
  Copy(sums.translation, 3, gradients.translation);
  Copy(sums.light, kChannels * kLightTerms, gradients.light);
}

}  // namespace mesh_renderer
