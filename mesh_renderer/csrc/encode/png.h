// C interface: fast compression of the pixels of PNG files.
#ifndef MESH_RENDERER_ENCODE_PNG_H_
#define MESH_RENDERER_ENCODE_PNG_H_

#include <cstdint>

extern "C" {

// Writes the content of the IDAT chunk of an RGB picture [height, width, 3]: each row minus the row
// above (filter "up"), as a zlib stream of one block with dynamic Huffman codes (RFC 1950 and
// 1951). Only runs of one byte are shortened: noisy pictures have few other repetitions. With
// `gray`, the picture is [height, width] and its three channels are equal. `out` must have room for
// 2 * 3 * height * width + 4 * height + 4096 bytes. Returns the number of bytes written.
int64_t mesh_renderer_compress_png(const uint8_t* picture, int height, int width, int gray,
                                   uint8_t* out);

}  // extern "C"

#endif  // MESH_RENDERER_ENCODE_PNG_H_
