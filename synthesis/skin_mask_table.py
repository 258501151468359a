"""Skin masks, made quickly: they would otherwise take much of the time."""

import os

import numpy as np

from alignment.skin import skin_mask
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.numpy_files import npy_header
from utils.paths import CACHE_DIR

_COLOURS = 1 << 24
_TABLE_ROWS = 256  # colours are turned into pictures of 256 x 256, one for each red
_PROBES = 1 << 12  # colours whose entries tell a table of other mixtures from this one's


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
        if npy_header(path) != ((_COLOURS,), np.uint8):
            return False
        table = np.load(path, mmap_mode="r", allow_pickle=False)
        probes = np.random.RandomState(0).randint(0, 256, (_PROBES, 3)).astype(np.uint8)
        entries = table[probes.astype(int).dot((1 << 16, 1 << 8, 1))]
        return np.array_equal(entries, skin_mask(probes[:, np.newaxis])[:, 0])
    except (OSError, ValueError, InputError):
        return False


class SkinMasks:
    """``alignment.skin.skin_mask``, by looking colours up where there is a table.

    Args:
        table: [256^3] uint8, or None to compute every mask.
    """

    def __init__(self, table=None):
        self._table = table

    def mask(self, canvas):
        """Return the skin attention mask [S, S] uint8 of a ``synthesis.canvas.Canvas``: 0 where it is hidden."""
        if self._table is not None:
            return canvas.look_up(self._table)
        return np.where(canvas.hidden, np.uint8(0), skin_mask(canvas.picture))
