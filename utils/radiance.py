"""Radiance pictures (.hdr): linear light of any strength, in which environment maps are kept.

The format is that of Ward, "Real Pixels" (Graphics Gems II, 1991): a text header, then rows of
red, green and blue mantissas with a common exponent, run-length coded channel by channel.
"""

import os
import re
from typing import Tuple

import numpy as np

from utils.errors import InputError

_LARGEST_FILE = 1 << 28  # bytes
_MOST_PIXELS = 1 << 26
_SIZE = re.compile(rb"-Y ([0-9]{1,6}) \+X ([0-9]{1,6})\n")
_REMEDY = "save it as a Radiance picture again"


def read_radiance(path: str) -> np.ndarray:
    """Read a Radiance picture.

    Args:
        path: the .hdr file.

    Returns:
        [H, W, 3] float32 linear RGB, first row on top.

    Raises:
        InputError: the file cannot be read, or is damaged or of another kind.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        raise InputError("{}: no such file; give an environment map".format(path))
    try:
        if os.path.getsize(path) > _LARGEST_FILE:
            raise ValueError("larger than any environment map")
        with open(path, "rb") as file:
            content = file.read()
        start, height, width = _parse_header(content)
        rows = np.empty((height, 4, width), np.uint8)
        for row in rows:
            start = _decode_row(content, start, row)
    except OSError as error:
        raise InputError("{}: cannot be read ({})".format(path, error.strerror)) from None
    except (ValueError, IndexError) as error:
        raise InputError("{}: no Radiance picture ({}); {}".format(path, error, _REMEDY)) from None
    mantissas, exponents = rows[:, :3].astype(np.float32), rows[:, 3].astype(np.int32)
    scale = np.where(exponents > 0, np.ldexp(np.float32(1), exponents - 136), np.float32(0))
    return np.moveaxis(mantissas * scale[:, np.newaxis], 1, 2)


def _parse_header(content: bytes) -> Tuple[int, int, int]:
    """Return where the rows begin, and height and width."""
    end = content.find(b"\n\n") + 2
    match = _SIZE.match(content, end)
    if not content.startswith(b"#?") or end < 2 or not match:
        raise ValueError("no header")
    height, width = int(match.group(1)), int(match.group(2))
    if not 0 < height * width <= _MOST_PIXELS:
        raise ValueError("{} x {} pixels".format(width, height))
    return match.end(), height, width


def _decode_row(content: bytes, start: int, row: np.ndarray) -> int:
    """Fill a row [4, W] from the bytes that begin at ``start``; return where they end."""
    width = row.shape[1]
    if content[start : start + 4] != bytes([2, 2, width >> 8 & 255, width & 255]):
        pixels = np.frombuffer(content, np.uint8, 4 * width, start)  # a row without runs
        row[...] = pixels.reshape(width, 4).T
        return start + 4 * width

    # runs of equal bytes (their number plus 128), and of different ones
    start += 4
    for channel in row:
        filled = 0
        while filled < width:
            count = content[start]
            if count > 128:
                count -= 128
                channel[filled : filled + count] = content[start + 1]
                start += 2
            else:
                run = np.frombuffer(content, np.uint8, count, start + 1)
                channel[filled : filled + count] = run  # raises if the run is longer than the row
                start += 1 + count
            if not 0 < count <= width - filled:
                raise ValueError("a run of {} pixels".format(count))
            filled += count
    return start
