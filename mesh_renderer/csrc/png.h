// The pixels of PNG files, compressed quickly, for callers without C++.
#ifndef MESH_RENDERER_PNG_H_
#define MESH_RENDERER_PNG_H_

#include <cstdint>

extern "C" {

// Writes what the IDAT chunk of an RGB picture [height, width, 3] holds: rows less the row above (filter "up"), in
// a zlib stream of one block with Huffman codes of its own (RFC 1950 and 1951). Only runs of one byte are shortened:
// noisy pictures have few other repetitions. With `grey`, the picture is [height, width] and all channels alike.
// `out` must have room for 2 * 3 * height * width + 4 * height + 4096 bytes; returns how many were written.
int64_t mesh_renderer_compress_png(const uint8_t* picture, int height, int width, int grey, uint8_t* out);

}  // extern "C"

#endif  // MESH_RENDERER_PNG_H_
