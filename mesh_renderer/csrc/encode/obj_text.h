// C interface: meshes as the text of Wavefront OBJ files.
#ifndef MESH_RENDERER_ENCODE_OBJ_TEXT_H_
#define MESH_RENDERER_ENCODE_OBJ_TEXT_H_

#include <cstdint>

extern "C" {

// Both functions write lines to `out`, which has room for `room` characters, and return the number
// of characters written, or -1 if the room does not suffice.

// Writes "PREFIX a b c ...\n" for each row of values [rows, columns]; column c has decimals[c]
// digits after the point, 0 to 9.
int64_t mesh_renderer_format_rows(const char* prefix, const double* values, int64_t rows,
                                  int columns, const int* decimals, int64_t room, char* out);

// Writes "f a b c\n" for each of triangles [triangle_count, 3], whose vertices count from 0; the
// text counts from 1.
int64_t mesh_renderer_format_triangles(const int32_t* triangles, int64_t triangle_count,
                                       int64_t room, char* out);

}  // extern "C"

#endif  // MESH_RENDERER_ENCODE_OBJ_TEXT_H_
