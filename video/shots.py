"""Shots: the frames between two cuts of a clip."""

import collections
from typing import Deque, Optional

import numpy as np
from PIL import Image

_SIZE = (32, 18)  # of the thumbnails that are compared
_SIDE = 320  # pixels of a picture's width that thumbnails are made from
# A cut changes the picture by many gray levels on average, and by more than its movement does.
_LEAST_CHANGE, _LEAST_RATIO = 25.0, 3.0
_MEMORY = 12  # frames whose changes are the movement


class ShotDetector:
    """Finds the first frame of each shot by the change of small pictures."""

    def __init__(self) -> None:
        self._last: Optional[np.ndarray] = None
        self._changes: Deque[float] = collections.deque(maxlen=_MEMORY)

    def is_cut(self, pixels: np.ndarray) -> bool:
        """Return True if a frame begins another shot than the frame before it.

        Args:
            pixels: [H, W, 3] uint8 RGB.
        """
        stride = max(1, pixels.shape[1] // _SIDE)
        some = Image.fromarray(np.ascontiguousarray(pixels[::stride, ::stride]))
        small = np.asarray(some.resize(_SIZE, Image.BOX), np.float64)
        last, self._last = self._last, small
        if last is None:
            return False

        change = float(np.abs(small - last).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        is_cut = change > max(_LEAST_CHANGE, _LEAST_RATIO * usual)
        if is_cut:
            self._changes.clear()
        else:
            self._changes.append(change)
        return is_cut
