"""What the open face model knows about its surface, carried over to another mesh of a head.

Both heads are laid onto each other by their landmarks. Each vertex then takes albedo and masks from
the closest point of the open model's surface: skin from skin, teeth from teeth. Eyeballs correspond
by the direction from their centers.
"""

import numpy as np
import scipy.sparse as sp
from scipy.spatial import cKDTree

from face_model.anatomy import Anatomy, find_anatomy
from face_model.dense_points import warp_points
from face_model.model import FaceModel
from geometry.closest_points import interpolation_matrix
from geometry.similarity import fit_similarity


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
    motion = fit_similarity(points[landmarks], anchors)
    placed = motion.apply(points)
    placed = warp_points(placed, placed[landmarks], anchors)

    # 2. the closest points, kind by kind
    own = find_anatomy(model)
    own = own._replace(tongue=own.tongue | own.mouth)  # with the gums
    blocks = []
    for name, members, own_members in zip(Anatomy._fields, anatomy, own):
        if name.endswith("eye"):
            turned = points[members].dot(motion.rotation)
            blocks.append(_closest_directions(turned, target, own_members))
        else:
            triangles = model.triangles[own_members[model.triangles].all(axis=1)]
            blocks.append(interpolation_matrix(placed[members], target, triangles))

    # 3. in the order of the other head's vertices
    return sp.vstack(blocks).tocsr()[np.argsort(np.concatenate(anatomy))]


def transfer_basis(weights: sp.csr_matrix, basis: np.ndarray) -> np.ndarray:
    """Return a basis [3M, K] at the vertices of weights [N, M], [3N, K] float32."""
    count = basis.shape[1]
    flat = weights.dot(basis.reshape(-1, 3 * count).astype(np.float64))
    return flat.reshape(-1, count).astype(np.float32)


def _closest_directions(
    points: np.ndarray, target: np.ndarray, region: np.ndarray
) -> sp.csr_matrix:
    """Return the weights [n, M] of three vertices of the open model's eyeball at each point.

    Args:
        points: [n, 3] an eyeball in the orientation of the open model, in any place.
        target: [M, 3] the open model.
        region: [M] its eyeball.
    """
    vertices = np.flatnonzero(region)
    distances, nearest = cKDTree(_directions(target[vertices])).query(_directions(points), k=3)
    weights = 1 / np.maximum(distances, 1e-9)
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(len(points)), 3)
    entries = (weights.ravel(), (rows, vertices[nearest].ravel()))
    return sp.csr_matrix(entries, shape=(len(points), len(target)))


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
