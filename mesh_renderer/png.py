"""Fast encoding of PNG files."""

import ctypes
import struct
import zlib

import numpy as np

from mesh_renderer.core import load_library, pointer

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SPARE = 4096  # bytes that the core writes besides pixels


def encode_png(picture: np.ndarray) -> bytes:
    """Return the bytes of an RGB PNG file.

    Every row is stored as its difference from the row above, and Huffman coded: six times as fast
    as Pillow's choice of filters, and hardly larger for pictures with noise.

    Args:
        picture: [H, W, 3] uint8, or [H, W] for three equal channels.
    """
    picture = np.require(picture, np.uint8, ["C"])
    height, width = picture.shape[:2]
    memory = np.empty(2 * 3 * height * width + 4 * height + _SPARE, np.uint8)
    length = load_library().mesh_renderer_compress_png(
        pointer(picture),
        ctypes.c_int(height),
        ctypes.c_int(width),
        ctypes.c_int(picture.ndim == 2),
        pointer(memory),
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, no interlacing
    return b"".join(
        [
            _PNG_SIGNATURE,
            _format_chunk(b"IHDR", header),
            _format_chunk(b"IDAT", memory[:length].tobytes()),
            _format_chunk(b"IEND", b""),
        ]
    )


def _format_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    return b"".join([struct.pack(">I", len(data)), kind, data, checksum])
