// Meshes as the text of Wavefront OBJ files, for callers without C++.
#ifndef MESH_RENDERER_OBJ_TEXT_H_
#define MESH_RENDERER_OBJ_TEXT_H_

#include <cstdint>

extern "C" {

// Both write lines to `out`, which has room for `room` characters, and return how many they wrote,
// or -1 where the room does not suffice.

// "PREFIX a b c ...\n" for each of `rows` rows of values [rows, columns]; column c with decimals[c]
// digits after the point, 0 to 9.
int64_t mesh_renderer_format_rows(const char* prefix, const double* values, int64_t rows, int columns,
                                  const int* decimals, int64_t room, char* out);

// "f a b c\n" for each of triangles [triangle_count, 3], which count vertices from 0; the text counts from 1.
int64_t mesh_renderer_format_triangles(const int32_t* triangles, int64_t triangle_count, int64_t room, char* out);

}  // extern "C"

#endif  // MESH_RENDERER_OBJ_TEXT_H_
