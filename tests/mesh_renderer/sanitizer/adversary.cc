// Runs the core on random hostile inputs under the sanitizers. Indices are in range, as the callers
// guarantee; everything else is random: NaN, infinity, numbers from denormal to the largest, w of
// any sign, slivers, images of one pixel to many.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <vector>

#include "c_interface/rasterize_triangles_c.h"
#include "decode/linear_model.h"
#include "decode/posed_surface.h"
#include "decode/vertex_normals.h"
#include "encode/obj_text.h"
#include "odd_numbers.h"
#include "rasterize/rasterize_triangles.h"

namespace {

using mesh_renderer::Connectivity;
using mesh_renderer::Image;
using mesh_renderer::Mesh;
using mesh_renderer::Visibility;
using odd_numbers::Below;
using odd_numbers::Floats;

void Draw(int width, int height, int64_t vertex_count, int64_t triangle_count, int odd_percent,
          bool masks) {
  std::vector<float> clip = Floats(4 * vertex_count, odd_percent);
  if (odd_percent < 50) {
    for (int64_t v = 0; v < vertex_count; ++v) clip[4 * v + 3] = std::fabs(clip[4 * v + 3]) + 0.01f;
  }
  std::vector<int32_t> triangles(3 * triangle_count);
  for (int32_t& corner : triangles) corner = static_cast<int32_t>(Below(vertex_count));
  std::vector<uint8_t> layers(triangle_count);
  for (uint8_t& layer : layers) layer = static_cast<uint8_t>(Below(256));
  const int64_t pixels = int64_t{width} * height;
  std::vector<float> barycentrics(3 * pixels), z(pixels), mask(pixels), front(pixels);
  std::vector<int32_t> ids(pixels);
  const int threads = 1 + static_cast<int>(Below(3));
  if (mesh_renderer_rasterize_triangles(
          clip.data(), triangles.data(), Below(2) ? layers.data() : nullptr, 1, vertex_count,
          triangle_count, width, height, threads, barycentrics.data(), ids.data(), z.data(),
          masks ? mask.data() : nullptr, masks ? front.data() : nullptr)) {
    std::fprintf(stderr, "a valid index was refused\n");
    std::exit(1);
  }
  for (int64_t i = 0; i < pixels; ++i) {
    const bool covered =
        barycentrics[3 * i] + barycentrics[3 * i + 1] + barycentrics[3 * i + 2] > 0;
    if (ids[i] < 0 || (ids[i] > 0 && ids[i] >= triangle_count) ||
        (covered && triangle_count == 0) || !(z[i] >= -1 && z[i] <= 1)) {
      std::fprintf(stderr, "pixel %lld: triangle %d, z %g\n", static_cast<long long>(i), ids[i],
                   z[i]);
      std::exit(1);
    }
  }
  const Mesh mesh = {clip.data(), triangles.data(), nullptr, vertex_count, triangle_count};
  const Visibility visible = {pixels, barycentrics.data(), ids.data()};
  std::vector<float> d_barycentrics = Floats(3 * pixels, odd_percent), d_clip(4 * vertex_count);
  mesh_renderer::RasterizeTrianglesGrad(mesh, width, height, visible, d_barycentrics.data(),
                                        d_clip.data());
  const int64_t channels = Below(8);
  std::vector<float> attributes = Floats(channels * vertex_count, odd_percent),
                     image(channels * pixels);
  mesh_renderer::InterpolateAttributes(mesh, visible, attributes.data(), channels, 0, pixels,
                                       image.data());
  std::vector<float> d_image = Floats(channels * pixels, odd_percent),
                     d_attributes(channels * vertex_count);
  mesh_renderer::InterpolateAttributesGrad(mesh, visible, attributes.data(), channels,
                                           d_image.data(), d_attributes.data(),
                                           d_barycentrics.data());
}

void Normals(int64_t vertex_count, int64_t triangle_count, int odd_percent) {
  const std::vector<float> vertices = Floats(3 * vertex_count, odd_percent);
  std::vector<int32_t> triangles(3 * triangle_count),
      around(mesh_renderer::kVertexValence * vertex_count);
  for (int32_t& corner : triangles) corner = static_cast<int32_t>(Below(vertex_count));
  for (int32_t& triangle : around) triangle = static_cast<int32_t>(Below(triangle_count + 1));
  const Connectivity mesh = {triangles.data(), around.data(), vertex_count, triangle_count};
  std::vector<float> normals(3 * vertex_count), d_vertices(3 * vertex_count);
  mesh_renderer::VertexNormals(mesh, vertices.data(), normals.data());
  const std::vector<float> d_normals = Floats(3 * vertex_count, odd_percent);
  mesh_renderer::VertexNormalsGrad(mesh, vertices.data(), d_normals.data(), d_vertices.data());
}

void Pose(int64_t vertex_count, int64_t triangle_count, int odd_percent) {
  const std::vector<float> vertices = Floats(3 * vertex_count, odd_percent),
                           albedo = Floats(3 * vertex_count, odd_percent);
  const std::vector<float> rotation = Floats(9, odd_percent), translation = Floats(3, odd_percent);
  const std::vector<float> light = Floats(27, odd_percent);
  std::vector<int32_t> triangles(3 * triangle_count),
      around(mesh_renderer::kVertexValence * vertex_count);
  for (int32_t& corner : triangles) corner = static_cast<int32_t>(Below(vertex_count));
  for (int32_t& triangle : around) triangle = static_cast<int32_t>(Below(triangle_count + 1));
  const Connectivity mesh = {triangles.data(), around.data(), vertex_count, triangle_count};
  const mesh_renderer::PoseAndLight pose = {rotation.data(), translation.data(), light.data()};
  std::vector<float> a(3 * vertex_count), b(3 * vertex_count), c(3 * vertex_count);
  mesh_renderer::PoseSurface(mesh, pose, vertices.data(), albedo.data(),
                             {a.data(), b.data(), c.data()});
  const std::vector<float> d_world = Floats(3 * vertex_count, odd_percent),
                           d_normals = Floats(3 * vertex_count, 0);
  std::vector<float> d_rotation(9), d_translation(3), d_light(27);
  mesh_renderer::PoseSurfaceGrad(
      mesh, pose, vertices.data(), albedo.data(), d_world.data(), d_normals.data(), d_world.data(),
      {a.data(), b.data(), d_rotation.data(), d_translation.data(), d_light.data()});
}

void Linear(int64_t batch, int64_t components, int64_t values, int odd_percent) {
  const std::vector<float> mean = Floats(values, odd_percent),
                           coefficients = Floats(batch * components, odd_percent);
  mesh_renderer::LinearModel model = {nullptr, mean.data(), components, values};
  const std::vector<float> panels =
      Floats(model.panel_count() * components * mesh_renderer::kPanelWidth, odd_percent);
  model.panels = panels.data();
  std::vector<float> result(batch * values), gradient(batch * components);
  mesh_renderer::EvaluateLinearModel(model, coefficients.data(), batch, 0, model.panel_count(),
                                     result.data());
  mesh_renderer::LinearModelGrad(model, result.data(), batch, 0, model.panel_count(),
                                 gradient.data());
}

// The room for the text may be too small by any number of characters.
void Text(int64_t rows, int odd_percent) {
  const int columns = 1 + static_cast<int>(Below(6));
  std::vector<double> values;
  for (const float value : Floats(rows * columns, odd_percent)) {
    values.push_back(value * (Below(9) ? 1.0 : 1e280));
  }
  std::vector<int> decimals(columns);
  for (int& digits : decimals) digits = static_cast<int>(Below(10));
  std::vector<char> out(Below(rows * columns * 30 + 20));
  mesh_renderer_format_rows("v", values.data(), rows, columns, decimals.data(), out.size(),
                            out.data());
  std::vector<int32_t> triangles(3 * rows);
  for (int32_t& corner : triangles) {
    corner = static_cast<int32_t>(Below(1 + (int64_t{1} << Below(31))));
  }
  mesh_renderer_format_triangles(triangles.data(), rows, out.size(), out.data());
}

void InvalidIndices() {
  for (const int32_t index :
       {-1, 3, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    const float clip[12] = {};
    const int32_t triangles[3] = {0, index, 1};
    float values[8];
    int32_t id[1];
    if (!mesh_renderer_rasterize_triangles(clip, triangles, nullptr, 1, 3, 1, 1, 1, 1, values, id,
                                           values + 3, nullptr, nullptr)) {
      std::fprintf(stderr, "index %d was accepted\n", index);
      std::exit(1);
    }
  }
}

}  // namespace

void PaintOddly(int odd_percent);  // painting_adversary.cc

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  odd_numbers::Generator().seed(argc > 2 ? std::atoi(argv[2]) : 1);
  InvalidIndices();
  for (int round = 0; round < rounds; ++round) {
    const int odd = static_cast<int>(Below(4)) * 30;
    Draw(1 + static_cast<int>(Below(70)), 1 + static_cast<int>(Below(70)), 1 + Below(60),
         Below(600), odd, Below(2));
    Normals(1 + Below(60), Below(200), odd);
    Pose(1 + Below(60), Below(200), odd);
    Linear(1 + Below(4), 1 + Below(20), 1 + Below(70), odd);
    Text(1 + Below(40), odd);
    PaintOddly(odd);
  }
  Draw(1, 32768, 30, 50, 30, true);
  Draw(32768, 1, 30, 50, 30, true);
  Draw(3000, 2000, 30, 20, 10, true);
  std::printf("%d rounds\n", rounds);
  return 0;
}
