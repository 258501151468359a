// The functions of painting.h on whole pictures: the face, the effects of a camera, the skin mask.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "paint/painting.h"

namespace {

constexpr int kSkinSide = 512;             // rows and columns of the skin texture, a power of two
constexpr float kTextureUnit = 1 / 32.0f;  // unit of its entries
constexpr int kLevels = 256;
constexpr int kRed = 77, kGreen = 150, kBlue = 29;  // luminance of BT.601, in 1 / 256

// In this order of arguments, std::max returns 0 for NaN.
uint8_t Byte(float value) {
  return static_cast<uint8_t>(std::min(std::max(0.0f, value), 255.0f) + 0.5f);
}

// Sums the opacities of the 3x3 pixels around each pixel of a row: over the three rows, then over
// the three columns; edges repeat.
void CountCovered(const uint8_t* rgba, int size, int row, std::vector<int>* column_sums,
                  std::vector<int>* counts) {
  for (int column = 0; column < size; ++column) {
    int sum = 0;
    for (int near = row - 1; near <= row + 1; ++near) {
      const int64_t inside = std::min(std::max(near, 0), size - 1);
      sum += rgba[4 * (inside * size + column) + 3];
    }
    (*column_sums)[column + 1] = sum;
  }

  (*column_sums)[0] = (*column_sums)[1];
  (*column_sums)[size + 1] = (*column_sums)[size];
  for (int i = 0; i < size; ++i) {
    (*counts)[i] = (*column_sums)[i] + (*column_sums)[i + 1] + (*column_sums)[i + 2];
  }
}

// Blends `count` pixels of skin, rgba [count, 4], over the pixels `below` [count, 3].
void PaintSkin(const uint8_t* __restrict rgba, const float* __restrict opacity,
               const float* __restrict texture, int count, const mesh_renderer_skin& skin,
               uint8_t* __restrict below) {
  for (int i = 0; i < count; ++i) {
    const float unevenness = 1 + skin.unevenness * texture[i];
    const float red = rgba[4 * i] * unevenness;
    const float green = rgba[4 * i + 1] * unevenness;
    const float blue = rgba[4 * i + 2] * unevenness;

    const float luminance = 0.3f * red + 0.6f * green + 0.1f * blue;
    const float over =
        std::min(std::max(0.0f, (luminance - skin.shine_start) * skin.shine_slope), 1.0f);
    const float color[3] = {red + skin.shine * over, green + skin.shine * over,
                            blue + skin.shine * over};
    for (int k = 0; k < 3; ++k) {
      const float before = below[3 * i + k];
      below[3 * i + k] = static_cast<uint8_t>(static_cast<int>(
          before + (std::min(std::max(0.0f, color[k]), 255.0f) - before) * opacity[i] + 0.5f));
    }
  }
}

// sums[i] = sum_k kernel[k] values[i + step k] over `count` values.
template <typename Value>
void Convolve(const Value* __restrict values, int count, int step, const float* kernel, int taps,
              float* __restrict sums) {
  for (int i = 0; i < count; ++i) sums[i] = kernel[0] * values[i];
  for (int k = 1; k < taps; ++k) {
    const Value* shifted = values + k * step;
    for (int i = 0; i < count; ++i) sums[i] += kernel[k] * shifted[i];
  }
}

}  // namespace

void mesh_renderer_paint_face(const mesh_renderer_canvas* canvas, const uint8_t* rgba,
                              const mesh_renderer_skin* skin, const int8_t* texture) {
  const int size = canvas->size;
  std::vector<int> column_sums(size + 2), counts(size);
  std::vector<float> opacity(size), texture_row(size);
  for (int row = 0; row < size; ++row) {
    const uint8_t* pixels = rgba + int64_t{4} * size * row;
    int begin = 0, end = size;
    while (begin < end && pixels[4 * begin + 3] == 0) ++begin;
    while (end > begin && pixels[4 * (end - 1) + 3] == 0) --end;
    if (begin == end) continue;

    CountCovered(rgba, size, row, &column_sums, &counts);

    // Opacity fades within the outermost pixel; a half covered neighborhood gives 0.
    const int8_t* textures =
        texture + ((static_cast<int>(row * skin->zoom) + skin->top) & (kSkinSide - 1)) * kSkinSide;
    for (int i = begin; i < end; ++i) {
      const int fading = std::max(2 * counts[i] - 9 * 255, 0);
      opacity[i] = pixels[4 * i + 3] == 0 ? 0 : fading / (9 * 255.0f);
      texture_row[i] = textures[(static_cast<int>(i * skin->zoom) + skin->left) & (kSkinSide - 1)] *
                       kTextureUnit;
    }

    PaintSkin(pixels + 4 * begin, opacity.data() + begin, texture_row.data() + begin, end - begin,
              *skin, canvas->picture + 3 * (static_cast<int64_t>(row) * size + begin));
  }
}

void mesh_renderer_tone(const mesh_renderer_canvas* canvas, const uint8_t* tables,
                        const float* shadow, int gray) {
  const int size = canvas->size;
  for (int row = 0; row < size; ++row) {
    uint8_t* pixel = canvas->picture + int64_t{3} * size * row;
    for (int column = 0; column < size; ++column, pixel += 3) {
      const float depth = shadow[0] * column + shadow[1] * row + shadow[2];
      const int light =
          static_cast<int>(256 * (1 - shadow[3] * std::min(std::max(0.0f, depth), 1.0f)));
      for (int k = 0; k < 3; ++k) pixel[k] = tables[kLevels * k + (pixel[k] * light >> 8)];
      if (gray) {
        const int luminance = (kRed * pixel[0] + kGreen * pixel[1] + kBlue * pixel[2]) >> 8;
        std::memset(pixel, luminance, 3);
      }
    }
  }
}

void mesh_renderer_filter(const mesh_renderer_canvas* canvas, const float* kernel, int reach,
                          float amount) {
  const int size = canvas->size, width = 3 * size, taps = 2 * reach + 1;

  // 1. Blur the rows, with their first and last pixels repeated.
  std::vector<uint8_t> padded(width + 6 * reach);
  std::vector<float> sideways(static_cast<size_t>(width) * (size + 2 * reach)), sums(width);
  for (int row = 0; row < size; ++row) {
    const uint8_t* pixels = canvas->picture + static_cast<int64_t>(width) * row;
    std::memcpy(padded.data() + 3 * reach, pixels, width);
    for (int i = 0; i < reach; ++i) {
      std::memcpy(padded.data() + 3 * i, pixels, 3);
      std::memcpy(padded.data() + 3 * reach + width + 3 * i, pixels + width - 3, 3);
    }
    Convolve(padded.data(), width, 3, kernel, taps,
             sideways.data() + static_cast<size_t>(width) * (row + reach));
  }

  // 2. Repeat the first and the last row above and below.
  for (int i = 0; i < reach; ++i) {
    std::copy_n(sideways.data() + static_cast<size_t>(width) * reach, width,
                sideways.data() + static_cast<size_t>(width) * i);
    std::copy_n(sideways.data() + static_cast<size_t>(width) * (size + reach - 1), width,
                sideways.data() + static_cast<size_t>(width) * (size + reach + i));
  }

  // 3. Blur the columns, and add the difference.
  for (int row = 0; row < size; ++row) {
    Convolve(sideways.data() + static_cast<size_t>(width) * row, width, width, kernel, taps,
             sums.data());
    uint8_t* pixels = canvas->picture + static_cast<int64_t>(width) * row;
    for (int i = 0; i < width; ++i) pixels[i] = Byte(pixels[i] + amount * (pixels[i] - sums[i]));
  }
}

void mesh_renderer_grain(const mesh_renderer_canvas* canvas, const int8_t* noise,
                         int64_t noise_length, int64_t start, int scale) {
  const int64_t total = int64_t{3} * canvas->size * canvas->size;
  for (int64_t done = 0; done < total;) {
    start &= noise_length - 1;
    const int64_t count = std::min(total - done, noise_length - start);
    uint8_t* values = canvas->picture + done;
    const int8_t* grain = noise + start;
    for (int64_t i = 0; i < count; ++i) {
      const int value = values[i] + ((grain[i] * scale) >> 8);
      values[i] = static_cast<uint8_t>(std::min(std::max(value, 0), 255));
    }
    done += count;
    start += count;
  }
}

void mesh_renderer_look_up(const mesh_renderer_canvas* canvas, const uint8_t* table,
                           uint8_t* mask) {
  const int64_t count = static_cast<int64_t>(canvas->size) * canvas->size;
  const uint8_t* pixel = canvas->picture;
  for (int64_t i = 0; i < count; ++i, pixel += 3) {
    mask[i] = canvas->hidden[i] ? 0 : table[(pixel[0] << 16) | (pixel[1] << 8) | pixel[2]];
  }
}
