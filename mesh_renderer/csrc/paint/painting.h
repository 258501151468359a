// C interface for synthetic photos: paints hair, glasses and skin around a rendered face, and
// applies the effects of a camera.
//
// Pictures are [size, size, 3] uint8 RGB, row 0 on top. Positions are in pixels from the top
// left corner.
#ifndef MESH_RENDERER_PAINT_PAINTING_H_
#define MESH_RENDERER_PAINT_PAINTING_H_

#include <cstdint>

extern "C" {

// The target of painting. Pixels that a layer covers by half or more become 1 in `hidden`, unless
// it is null.
struct mesh_renderer_canvas {
  uint8_t* picture;  // [size, size, 3]
  uint8_t* hidden;   // [size, size]
  int32_t size;
};

// An ellipsoid in front of a pinhole camera, lit by `flat + light . n` in each channel (n: unit
// normal). Positions on it are in units of its radii, from its center: y = 1 is its top, z = 1 its
// front.
struct mesh_renderer_ellipsoid {
  float camera[3];  // position of the camera
  float right[3];   // the camera's axes, divided by the radii
  float up[3];
  float backward[3];
  float pixel;  // tangent of the angle between the rays of adjacent pixels, in the middle
  float inverse_radii[3];
  float light[3][3];  // includes the color
  float flat[3];
  float contrast;    // amplitude of the texture, which multiplies the color
  float raggedness;  // shift, by the texture, of the line below which nothing is painted
  float softness;    // the opacity rises from 0 to 1 within 1 / softness around that line
};

// Paints an ellipsoid with smooth edges.
//   texture: [32, 512] 0..1, over y (-1 to 1) and the angle about the y axis.
//   line: [65] y of the line below which nothing is painted, from z = -1 to 1.
void mesh_renderer_paint_ellipsoid(const mesh_renderer_canvas* canvas,
                                   const mesh_renderer_ellipsoid* ellipsoid, const float* texture,
                                   const float* line);

// Paints `count` strokes with round ends and smooth edges, one after the other.
//   points: [count, point_count, 2] x, y.
//   radii: [count, 2] at the first and the last point.
//   colors: [count, 3], 0..255.
//   roundness: 0 paints evenly; 1 darkens to black at the outline.
//   opacity: 0..1.
void mesh_renderer_paint_strokes(const mesh_renderer_canvas* canvas, const float* points,
                                 const float* radii, const float* colors, int64_t count,
                                 int point_count, float roundness, float opacity);

// Blends in one color [3], 0..255, through opacities [height, width], where 255 covers; (left, top)
// is their corner in the picture.
void mesh_renderer_paint_mask(const mesh_renderer_canvas* canvas, const float* color,
                              const uint8_t* opacity, int left, int top, int width, int height);

// Changes of the rendered skin of a face.
struct mesh_renderer_skin {
  float unevenness;   // amplitude of the texture, which multiplies the color
  float shine_start;  // luminance above which skin shines
  float shine_slope;  // 1 / the range of luminance in which shine grows to its full strength
  float shine;        // full strength, gray levels
  float zoom;         // texture pixels per picture pixel
  int32_t left, top;  // first pixel of the texture
};

// Paints a rendered face [size, size, 4], and smooths its outline.
//   texture: [512, 512] int8 in 1 / 32, repeated in both directions.
void mesh_renderer_paint_face(const mesh_renderer_canvas* canvas, const uint8_t* rgba,
                              const mesh_renderer_skin* skin, const int8_t* texture);

// Darkens by a shadow with a soft straight edge, then maps each channel by its table [3, 256]: the
// light at (x, y) is 1 - shadow[3] * clamp(shadow[0] x + shadow[1] y + shadow[2], 0, 1). `gray`
// removes the color.
void mesh_renderer_tone(const mesh_renderer_canvas* canvas, const uint8_t* tables,
                        const float* shadow, int gray);

// picture += amount * (picture - blurred), blurred by a symmetric separable kernel [2 reach + 1]
// whose sum is 1. An amount of -1 blurs, amounts above 0 sharpen.
void mesh_renderer_filter(const mesh_renderer_canvas* canvas, const float* kernel, int reach,
                          float amount);

// Adds noise * scale / 256, read from position `start` of noise [noise_length] int8, which wraps
// around; noise_length is a power of two.
void mesh_renderer_grain(const mesh_renderer_canvas* canvas, const int8_t* noise,
                         int64_t noise_length, int64_t start, int scale);

// mask [size, size] = table[red * 65536 + green * 256 + blue], 0 where hidden.
void mesh_renderer_look_up(const mesh_renderer_canvas* canvas, const uint8_t* table, uint8_t* mask);

}  // extern "C"

#endif  // MESH_RENDERER_PAINT_PAINTING_H_
