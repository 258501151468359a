"""Skin masks of synthetic pictures, by a table of all colors if one has been built."""

import os
from typing import Optional

import numpy as np

from alignment.skin import skin_mask
from synthesis.canvas import Canvas
from utils.atomic import atomic_path
from utils.errors import InputError
from utils.numpy_files import npy_header
from utils.paths import CACHE_DIR

_COLORS = 1 << 24
_PROBES = 1 << 12  # colors that are compared to detect a table of other mixtures


def skin_table_path() -> str:
    """Return the path of the table of :func:`build_skin_table`."""
    return os.path.join(CACHE_DIR, "skin_table.npy")


def build_skin_table(path: str) -> None:
    """Write ``skin_mask`` of all 256^3 colors, 16 MiB uint8, if it is missing; takes seconds.

    Args:
        path: table to write; a damaged or outdated one is replaced.
    """
    if os.path.isfile(path) and _is_valid(path):
        return
    table = np.empty((256, _COLORS // 256), np.uint8)

    # One picture of 256x256 colors for each red.
    colors = np.empty((256, 256, 3), np.uint8)
    colors[..., 1] = np.arange(256)[:, np.newaxis]
    colors[..., 2] = np.arange(256)
    for red in range(256):
        colors[..., 0] = red
        table[red] = skin_mask(colors).reshape(-1)

    with atomic_path(path) as temporary:
        np.save(temporary, table.reshape(-1))


def _is_valid(path: str) -> bool:
    """Return True if a table is whole and agrees with ``skin_mask`` on some random colors."""
    try:
        if npy_header(path) != ((_COLORS,), np.uint8):
            return False
        table = np.load(path, mmap_mode="r", allow_pickle=False)
        probes = np.random.RandomState(0).randint(0, 256, (_PROBES, 3)).astype(np.uint8)
        entries = table[probes.astype(int).dot((1 << 16, 1 << 8, 1))]
        return np.array_equal(entries, skin_mask(probes[:, np.newaxis])[:, 0])
    except (OSError, ValueError, InputError):
        return False


class SkinMasks:
    """``alignment.skin.skin_mask`` of canvases, by looking colors up if a table is given.

    Args:
        table: [256^3] uint8, or None to compute every mask.
    """

    def __init__(self, table: Optional[np.ndarray] = None) -> None:
        self._table = table

    def compute(self, canvas: Canvas) -> np.ndarray:
        """Return the skin attention mask of a canvas, [S, S] uint8; 0 in hidden pixels."""
        if self._table is not None:
            return canvas.look_up(self._table)
        return np.where(canvas.hidden, np.uint8(0), skin_mask(canvas.picture))
