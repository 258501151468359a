// Synthetic photos, painted quickly: what lies around a rendered face, and what a camera does to a picture.
// For callers without C++.
//
// Pictures are [size, size, 3] uint8 RGB, row 0 on top; positions are in pixels with (0, 0) at the top left corner.
#ifndef MESH_RENDERER_PAINTING_H_
#define MESH_RENDERER_PAINTING_H_

#include <cstdint>

extern "C" {

// What is painted on. Pixels that a layer covers by half or more become 1 in `hidden`, unless it is null.
struct mesh_renderer_canvas {
  uint8_t* picture;  // [size, size, 3]
  uint8_t* hidden;   // [size, size]
  int32_t size;
};

// An ellipsoid before a pinhole camera, lit by `flat + light . n` in each channel (n: unit normal).
// Positions on it are measured in its radii from its centre: y = 1 is its top, z = 1 its front.
struct mesh_renderer_ellipsoid {
  float camera[3];       // where the camera is
  float right[3];        // the camera's axes, divided by the radii
  float up[3];
  float backward[3];
  float pixel;           // tangent of the angle between the rays of neighbouring pixels, at the middle
  float inverse_radii[3];
  float light[3][3];     // colour included
  float flat[3];
  float contrast;        // of the texture, which multiplies the colour
  float raggedness;      // how far the texture moves the line below which nothing is painted
  float softness;        // the opacity rises from 0 to 1 within 1 / softness about that line
};

// Paints an ellipsoid with smooth edges.
//   texture: [kTextureRows, kTextureColumns] 0..1, over y (-1 to 1) and the angle about the y axis.
//   line: [kLineKnots] y over z, from z = -1 to 1.
void mesh_renderer_paint_ellipsoid(const mesh_renderer_canvas* canvas, const mesh_renderer_ellipsoid* ellipsoid,
                                   const float* texture, const float* line);

// Paints `count` strokes with round ends and smooth edges, one after the other.
//   points: [count, point_count, 2] x, y.
//   radii: [count, 2] at the first and the last point.
//   colours: [count, 3], 0..255.
//   roundness: 0 paints evenly; 1 lets the colour fall to black at the outline.
//   opacity: 0..1.
void mesh_renderer_paint_strokes(const mesh_renderer_canvas* canvas, const float* points, const float* radii,
                                 const float* colours, int64_t count, int point_count, float roundness,
                                 float opacity);

// Lays one colour [3], 0..255, through opacities [height, width], 255 covers, whose corner is at (left, top).
void mesh_renderer_paint_mask(const mesh_renderer_canvas* canvas, const float* colour, const uint8_t* opacity,
                              int left, int top, int width, int height);

// How the skin of a face differs from what was rendered.
struct mesh_renderer_skin {
  float unevenness;      // multiplies the texture, and that the colour
  float shine_start;     // luminance from which skin shines
  float shine_slope;     // 1 over the luminance within which shine grows to its whole
  float shine;           // grey levels
  float zoom;            // texture pixels for each of the picture
  int32_t left, top;     // of the texture
};

// Paints a rendered face [size, size, 4]; its outline, hard as rendered, gets smooth.
//   texture: [kSkinSide, kSkinSide] int8, repeated endlessly.
void mesh_renderer_paint_face(const mesh_renderer_canvas* canvas, const uint8_t* rgba, const mesh_renderer_skin* skin,
                              const int8_t* texture);

// Maps each channel by its table of 256 values [3, 256], after darkening by a shadow with a soft straight edge:
// the light at (x, y) is 1 - shadow[3] * clamp(shadow[0] x + shadow[1] y + shadow[2], 0, 1). `grey` takes colours away.
void mesh_renderer_tone(const mesh_renderer_canvas* canvas, const uint8_t* tables, const float* shadow, int grey);

// picture += amount * (picture - blurred), blurred with a symmetric separable kernel [2 reach + 1] of sum 1. So
// amount -1 blurs, and more than 0 sharpens.
void mesh_renderer_filter(const mesh_renderer_canvas* canvas, const float* kernel, int reach, float amount);

// Adds noise [noise_length] int8, a power of two long, from `start` on and times scale / 256.
void mesh_renderer_grain(const mesh_renderer_canvas* canvas, const int8_t* noise, int64_t noise_length, int64_t start,
                         int scale);

// mask [size, size] = table[red * 65536 + green * 256 + blue], 0 where hidden.
void mesh_renderer_look_up(const mesh_renderer_canvas* canvas, const uint8_t* table, uint8_t* mask);

}  // extern "C"

#endif  // MESH_RENDERER_PAINTING_H_
