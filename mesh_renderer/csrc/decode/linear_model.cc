#include "decode/linear_model.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace mesh_renderer {
namespace {

// GCC's and Clang's portable vectors; narrower processors split them.
typedef float Panel __attribute__((vector_size(4 * kPanelWidth)));

// Register blocking: images per pass of the values; images and components per pass of the gradient.
constexpr int kImages = 16, kGradImages = 4, kGradComponents = 4;
// Panels processed before the next group of images: half a MiB with 128 components fits the L2
// cache.
constexpr int64_t kBlock = 64;

inline Panel Load(const float* p) {
  Panel panel;
  std::memcpy(&panel, p, sizeof(panel));
  return panel;
}

inline float Sum(Panel panel) {
  float parts[kPanelWidth];
  std::memcpy(parts, &panel, sizeof(parts));
  for (int half = kPanelWidth / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) parts[i] += parts[i + half];
  }
  return parts[0];
}

int Width(const LinearModel& model, int64_t panel) {
  return static_cast<int>(std::min<int64_t>(kPanelWidth, model.value_count - kPanelWidth * panel));
}

// Writes the values of `count` images together; coefficients are [component_count, count].
template <int count>
void EvaluateImages(const LinearModel& model, const float* coefficients, int64_t panel_begin,
                    int64_t panel_end, float* values) {
  for (int64_t p = panel_begin; p < panel_end; ++p) {
    const int width = Width(model, p);
    const float* basis = model.panels + kPanelWidth * model.component_count * p;
    Panel mean = {};
    std::memcpy(&mean, model.mean + kPanelWidth * p, sizeof(float) * width);

    Panel sums[count];
    for (int b = 0; b < count; ++b) sums[b] = Panel{};
    for (int64_t k = 0; k < model.component_count; ++k) {
      const Panel component = Load(basis + kPanelWidth * k);
      for (int b = 0; b < count; ++b) sums[b] += component * coefficients[count * k + b];
    }

    for (int b = 0; b < count; ++b) {
      const Panel result = sums[b] + mean;
      std::memcpy(values + model.value_count * b + kPanelWidth * p, &result, sizeof(float) * width);
    }
  }
}

// Adds the gradient of `images` images with respect to `components` coefficients, of which the
// first is first_component. `d` is [panel_end - panel_begin, images, kPanelWidth].
template <int images, int components>
void AddGrad(const LinearModel& model, const float* d, int64_t first_component, int64_t panel_begin,
             int64_t panel_end, float* d_coefficients) {
  Panel sums[images][components];
  for (int b = 0; b < images; ++b) {
    for (int k = 0; k < components; ++k) sums[b][k] = Panel{};
  }

  const int64_t stride = kPanelWidth * model.component_count;
  const float* basis = model.panels + stride * panel_begin + kPanelWidth * first_component;
  for (int64_t p = panel_begin; p < panel_end; ++p, basis += stride, d += kPanelWidth * images) {
    for (int b = 0; b < images; ++b) {
      const Panel d_panel = Load(d + kPanelWidth * b);
      for (int k = 0; k < components; ++k) sums[b][k] += Load(basis + kPanelWidth * k) * d_panel;
    }
  }

  for (int b = 0; b < images; ++b) {
    for (int k = 0; k < components; ++k) {
      d_coefficients[model.component_count * b + first_component + k] += Sum(sums[b][k]);
    }
  }
}

// Adds the gradient of `images` images with respect to all coefficients; at most kBlock panels.
template <int images>
void AddGradOfImages(const LinearModel& model, const float* d_values, int64_t panel_begin,
                     int64_t panel_end, float* d_coefficients) {
  float d[kBlock * images * kPanelWidth] = {};
  for (int64_t p = panel_begin; p < panel_end; ++p) {
    for (int b = 0; b < images; ++b) {
      std::memcpy(d + kPanelWidth * (images * (p - panel_begin) + b),
                  d_values + model.value_count * b + kPanelWidth * p,
                  sizeof(float) * Width(model, p));
    }
  }

  int64_t k = 0;
  for (; k + kGradComponents <= model.component_count; k += kGradComponents) {
    AddGrad<images, kGradComponents>(model, d, k, panel_begin, panel_end, d_coefficients);
  }
  for (; k < model.component_count; ++k) {
    AddGrad<images, 1>(model, d, k, panel_begin, panel_end, d_coefficients);
  }
}

}  // namespace

void EvaluateLinearModel(const LinearModel& model, const float* coefficients, int64_t batch,
                         int64_t panel_begin, int64_t panel_end, float* values) {
  // 1. Pack the coefficients of each group of images side by side.
  std::vector<float> packed(batch * model.component_count);
  const auto group = [&](int64_t image) {
    return batch - image >= kImages ? kImages : batch - image >= 4 ? 4 : 1;
  };
  for (int64_t image = 0; image < batch; image += group(image)) {
    float* out = packed.data() + model.component_count * image;
    for (int64_t k = 0; k < model.component_count; ++k) {
      for (int64_t b = 0; b < group(image); ++b) {
        *out++ = coefficients[model.component_count * (image + b) + k];
      }
    }
  }

  // 2. All images on one block of panels, then the next block.
  for (int64_t begin = panel_begin; begin < panel_end; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, panel_end);
    for (int64_t image = 0; image < batch; image += group(image)) {
      const auto evaluate = group(image) == kImages ? EvaluateImages<kImages>
                            : group(image) == 4     ? EvaluateImages<4>
                                                    : EvaluateImages<1>;
      evaluate(model, packed.data() + model.component_count * image, begin, end,
               values + model.value_count * image);
    }
  }
}

void LinearModelGrad(const LinearModel& model, const float* d_values, int64_t batch,
                     int64_t panel_begin, int64_t panel_end, float* d_coefficients) {
  std::fill_n(d_coefficients, batch * model.component_count, 0.0f);
  for (int64_t begin = panel_begin; begin < panel_end; begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, panel_end);
    for (int64_t image = 0; image < batch;) {
      const float* d = d_values + model.value_count * image;
      float* out = d_coefficients + model.component_count * image;
      if (batch - image >= kGradImages) {
        AddGradOfImages<kGradImages>(model, d, begin, end, out);
        image += kGradImages;
      } else {
        AddGradOfImages<1>(model, d, begin, end, out);
        image += 1;
      }
    }
  }
}

}  // namespace mesh_renderer
