"""The 478 points as evidence: how far each may lie from its vertex, and which are visible."""

import numpy as np
from scipy.spatial import cKDTree

from geometry.camera import CAMERA_DISTANCE
from geometry.landmark_layout import DENSE_FROM_68, EYES_AND_MOUTH
from geometry.normals import surface_normals

# Errors of neighbors among the 478 points are alike, so each counts as if it had this multiple of
# its spread; a point that lies further from its vertex than ROBUST of its spread loses its weight.
_DENSE_NOISE, ROBUST = 3.0, 3.0
_FEATURE_NOISE = 2.0  # pixels, of points on lids and lips, which are edges
# Cosines, between its normal and the direction to the camera, over which one of the 478 points gets
# its weight: points near the outline slide along it, and hidden ones are guessed.
_FACING = (0.2, 0.5)
_REGION = 24  # points whose normals are averaged


def dense_noise(spread: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each of the 478 points, [478] pixels of the crop.

    Args:
        spread: [478] of ``face_model.dense_points.dense_points``.
    """
    noise = _DENSE_NOISE * spread
    noise[np.array(DENSE_FROM_68)[EYES_AND_MOUTH]] = _FEATURE_NOISE
    return noise


def regional_normals(shape: np.ndarray, triangles: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Return the unit normal of the region around each vertex of a resting face, [P, 3].

    Lips and lids turn inwards at their edges, which are visible all the same.

    Args:
        shape: [N, 3] vertices of the face.
        triangles: [F, 3] of the face.
        vertices: [P] indices.
    """
    normals = surface_normals(shape, triangles)[vertices]
    positions = shape[vertices]
    _, neighbors = cKDTree(positions).query(positions, k=_REGION)
    mean = normals[neighbors].mean(axis=1)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)


def visibility(world: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return how far points turn to the camera, [..., P], 0..1.

    Args:
        world: [..., P, 3] points, dm.
        normals: [..., P, 3] their normals, turned as the points are.
    """
    to_camera = np.array([0.0, 0.0, CAMERA_DISTANCE]) - world
    to_camera /= np.linalg.norm(to_camera, axis=-1, keepdims=True)
    low, high = _FACING
    return np.clip((np.sum(normals * to_camera, axis=-1) - low) / (high - low), 0.0, 1.0)
