"""The refined mesh of one face, as arrays."""

from typing import NamedTuple

import numpy as np


class RefinedMesh(NamedTuple):
    """The refined mesh of one face; pose, albedo and light are those of its coefficients."""

    world_shape: np.ndarray  # [N, 3] dm, camera at (0, 0, 10)
    colors: np.ndarray  # [N, 3] RGB, albedo times light on the refined surface, not clipped
    landmarks: np.ndarray  # [68, 2] crop pixels, y up
    rendered: np.ndarray  # [224, 224, 4] uint8 RGBA
    front_mask: np.ndarray  # [224, 224] bool
    overlay: np.ndarray  # [448, 448, 4] uint8 RGBA, the same picture at twice the resolution
