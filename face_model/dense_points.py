"""The 478 points of MediaPipe's face mesh on the surface of a face model.

They were found on the open face model: the network looked at drawn faces whose vertices are known
(``python -m synthesis.dense_points``), and for each point the vertex was taken that lay closest to
it over all faces. Other models are reached by a warp of the open model's mean face that takes its
68 landmarks to theirs.
"""

import functools
import json
import os
from typing import NamedTuple, Tuple

import numpy as np
from scipy.interpolate import Rbf
from scipy.spatial import cKDTree

from face_model.model import FaceModel
from geometry.landmark_layout import DENSE_FROM_68, MOUTH

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dense_points.json")


class DensePoints(NamedTuple):
    """The 478 points on a face model."""

    vertices: np.ndarray  # [478] int
    spread: np.ndarray  # [478] median distance of a detected point from its vertex, crop pixels


def dense_points(model: FaceModel) -> DensePoints:
    """Return the :class:`DensePoints` of a face model."""
    positions, landmarks, spread = _measured()
    mean = model.mean_shape.astype(np.float64)
    targets = mean[model.landmarks]
    warped = warp_points(positions, landmarks, targets)
    vertices = cKDTree(mean).query(warped)[1]
    # Most mouths were closed, where points of both lips coincide: the lips have landmarks.
    vertices[np.array(DENSE_FROM_68)[MOUTH]] = model.landmarks[MOUTH]
    return DensePoints(vertices, spread)


def warp_points(points: np.ndarray, anchors: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Move points [N, 3] as a smooth function that takes anchors [A, 3] to targets [A, 3].

    The biharmonic spline of three dimensions, the counterpart of the thin plate.

    Args:
        points: [N, 3].
        anchors: [A, 3].
        targets: [A, 3].
    """
    if np.allclose(anchors, targets, atol=1e-4):
        return points
    splines = (
        Rbf(*anchors.T, (targets - anchors)[:, axis], function="linear") for axis in range(3)
    )
    return points + np.stack([spline(*points.T) for spline in splines], axis=1)


def measured_landmarks() -> np.ndarray:
    """Return the 68 landmarks of the open model's mean face, [68, 3] dm."""
    return _measured()[1]


def write_measured(model: FaceModel, vertices: np.ndarray, spread: np.ndarray) -> None:
    """Write the points that were found on the open face model into this project.

    Args:
        model: the open face model.
        vertices: [478] int.
        spread: [478] crop pixels.
    """
    mean = model.mean_shape.astype(np.float64)
    content = {
        "face_model": model.name,
        "points_dm": np.round(mean[vertices], 5).tolist(),
        "landmarks_dm": np.round(mean[model.landmarks], 5).tolist(),
        "spread_pixels": np.round(spread, 2).tolist(),
    }
    with open(_FILE, "w") as file:
        json.dump(content, file, separators=(",", ":"))
        file.write("\n")


@functools.lru_cache(maxsize=1)
def _measured() -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points [478, 3] and landmarks [68, 3] of the open model's mean face, and spreads."""
    with open(_FILE) as file:
        content = json.load(file)
    names = ("points_dm", "landmarks_dm", "spread_pixels")
    points, landmarks, spread = (np.array(content[name], np.float64) for name in names)
    return points, landmarks, spread
