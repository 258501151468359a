"""Skin masks and PNG files, made quickly: they would otherwise take most of the time."""

import os
import struct
import zlib

import numpy as np

from alignment.skin import skin_mask
from workspace.atomic import atomic_path
from workspace.paths import CACHE_DIR

_COLOURS = 1 << 24
_TABLE_ROWS = 256  # colours are turned into pictures of 256 x 256, one for each red
_PROBES = 1 << 12  # colours whose entries tell a table of other mixtures from this one's
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2


def skin_table_path():
    """Return where the table of :func:`build_skin_table` is kept."""
    return os.path.join(CACHE_DIR, "skin_table.npy")


def build_skin_table(path):
    """Write ``skin_mask`` of all 256^3 colours, 16 MiB uint8, unless a right one is there; takes seconds."""
    if os.path.isfile(path) and _is_right(path):
        return
    table = np.empty((256, _COLOURS // 256), np.uint8)
    colours = np.empty((_TABLE_ROWS, 256, 3), np.uint8)
    colours[..., 1], colours[..., 2] = np.arange(256)[:, np.newaxis], np.arange(256)
    for red in range(256):
        colours[..., 0] = red
        table[red] = skin_mask(colours).reshape(-1)
    with atomic_path(path) as temporary:
        np.save(temporary, table.reshape(-1))


def _is_right(path):
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
        probes = np.random.RandomState(0).randint(0, 256, (_PROBES, 1, 3)).astype(np.uint8)
        return np.array_equal(SkinMasks(table).mask(probes), skin_mask(probes))
    except (OSError, ValueError, IndexError):
        return False


class SkinMasks:
    """``alignment.skin.skin_mask``, by looking colours up where there is a table.

    Args:
        table: [256^3] uint8, or None to compute every mask.
    """

    def __init__(self, table=None):
        self._table = table

    def mask(self, picture):
        """Return the skin attention mask [H, W] uint8 of a picture [H, W, 3] uint8 RGB."""
        if self._table is None:
            return skin_mask(picture)
        index = picture[..., 0].astype(np.uint32)
        for channel in (1, 2):
            index <<= 8
            index |= picture[..., channel]
        return self._table[index]


def encode_png(picture):
    """Return the bytes of a PNG of a picture [H, W, 3] uint8 RGB.

    Every row holds its difference from the row above, and is then only Huffman coded: three
    times as fast as Pillow's choice of filters, and hardly larger for pictures with noise.
    """
    height, width = picture.shape[:2]
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = _FILTER_UP
    flat = picture.reshape(height, -1)
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    compressor = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = compressor.compress(rows.tobytes()) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, no interlacing
    return _PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
