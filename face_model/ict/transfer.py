"""What the open face model knows about its surface, carried over to another mesh of a head.

Both heads are laid onto each other by their landmarks. Each vertex then takes albedo and masks from
the closest point of the open model's surface: skin from skin, teeth from teeth. Eyeballs correspond
by the direction from their centers.
"""

import importlib
from typing import Any, List, Mapping

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from face_model.anatomy import Anatomy, find_anatomy
from face_model.dense_points import warp_points
from face_model.model import FaceModel
from face_model.open_model.alignment import similarity, transform
from utils.errors import InputError


def correspondence(
    points: np.ndarray, landmarks: np.ndarray, anatomy: Anatomy, model: FaceModel
) -> sp.csr_matrix:
    """Return the weights [N, M] of the open model's vertices at each vertex of another head.

    Args:
        points: [N, 3] the other head's average shape, in any unit and pose.
        landmarks: [68] its landmarks, vertices.
        anatomy: its vertices by kind, as indices; together, all of them.
        model: the open face model, M vertices.

    Raises:
        InputError: libigl is not installed.
    """
    # 1. the other head on the open model: rigidly, then so that the landmarks coincide
    target = model.mean_shape.astype(np.float64)
    anchors = target[model.landmarks]
    scale, rotation, translation = similarity(points[landmarks], anchors)
    placed = transform(points, scale, rotation, translation)
    placed = warp_points(placed, placed[landmarks], anchors)

    # 2. the closest points, kind by kind
    rows: List[np.ndarray] = []
    columns: List[np.ndarray] = []
    weights: List[np.ndarray] = []
    own = find_anatomy(model)
    own = own._replace(tongue=own.tongue | own.mouth)  # with the gums
    for name, members, own_members in zip(Anatomy._fields, anatomy, own):
        if name.endswith("eye"):
            found = _closest_directions(points[members].dot(rotation), target, own_members)
        else:
            found = _closest_on_surface(placed[members], target, own_members, model)
        rows.append(np.repeat(np.arange(len(points))[members], 3))
        columns.append(found["vertices"].ravel())
        weights.append(found["weights"].ravel())
    entries = (np.concatenate(rows), np.concatenate(columns))
    shape = (len(points), model.vertex_count)
    return sp.csr_matrix((np.concatenate(weights), entries), shape=shape)


def _closest_on_surface(
    points: np.ndarray, target: np.ndarray, region: np.ndarray, model: FaceModel
) -> Mapping[str, np.ndarray]:
    """Return three vertices of a region, and their weights, for each point: both [n, 3]."""
    triangles = model.triangles[region[model.triangles].all(axis=1)].astype(np.int64)
    faces, closest = _load_igl().point_mesh_squared_distance(
        np.ascontiguousarray(points, np.float64), target, triangles
    )[1:3]
    corners = triangles[faces]
    return {"vertices": corners, "weights": _barycentric(target[corners], closest)}


def _load_igl() -> Any:
    try:
        return importlib.import_module("igl")
    except ImportError:
        raise InputError(
            "libigl is not installed, which finds closest points; install requirements.txt"
        ) from None


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the barycentric coordinates [n, 3] of points [n, 3] on triangles [n, 3, 3]."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    offset = points - corners[:, 0]
    normal = np.cross(first, second)
    squared = np.maximum(np.einsum("nk,nk->n", normal, normal), 1e-30)
    u = np.einsum("nk,nk->n", np.cross(offset, second), normal) / squared
    v = np.einsum("nk,nk->n", np.cross(first, offset), normal) / squared
    weights = np.clip(np.stack([1 - u - v, u, v], axis=1), 0.0, 1.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _closest_directions(
    points: np.ndarray, target: np.ndarray, region: np.ndarray
) -> Mapping[str, np.ndarray]:
    """Return three vertices of the open model's eyeball, and their weights, for each point.

    Args:
        points: [n, 3] an eyeball in the orientation of the open model, in any place.
        target: [M, 3] the open model.
        region: [M] its eyeball.
    """
    vertices = np.flatnonzero(region)
    distances, nearest = cKDTree(_directions(target[vertices])).query(_directions(points), k=3)
    weights = 1 / np.maximum(distances, 1e-9)
    return {
        "vertices": vertices[nearest],
        "weights": weights / weights.sum(axis=1, keepdims=True),
    }


def _directions(points: np.ndarray) -> np.ndarray:
    """Return the unit vectors [n, 3] from an eyeball's center, turned so that it looks along +z."""
    # 1. the center: of the sphere through all points, in least squares
    design = np.column_stack([2 * points, np.ones(len(points))])
    center = np.linalg.lstsq(design, np.sum(points**2, axis=1), rcond=None)[0][:3]

    # 2. the axis: the cornea is the frontmost point
    offsets = points - center
    directions = offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)
    z = directions[points[:, 2].argmax()]
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    return directions.dot(np.stack([x, np.cross(z, x), z], axis=1))
