"""Distances from a scan to a mesh, as the NoW benchmark defines them.

Sanyal et al., "Learning to Regress 3D Face Shape and Expression from an Image without 3D
Supervision" (CVPR 2019), section 4: the mesh is aligned to the scan by seven landmarks, then by the
motion that minimizes the squared distances from the scan's vertices to the nearest points of the
mesh's surface; the error is the distance from each vertex of the face region. Lengths are in
millimeters.
"""

from typing import NamedTuple, Tuple

import numpy as np

from geometry.closest_points import SurfaceSearch
from geometry.rotation import rotation_with_derivatives
from geometry.similarity import Similarity, fit_similarity

# The seven landmarks among the 68 of iBUG: corners of the eyes from right to left, base of the
# nose, right and left corner of the mouth, as the person has them.
SEVEN_FROM_68 = (36, 39, 42, 45, 33, 48, 54)
_OUTER_RIGHT, _INNER_RIGHT, _INNER_LEFT, _OUTER_LEFT, _NOSE_BASE = range(5)

# The face region of NoW's protocol: its center, from the base of the nose towards the point
# between the eyes, and its radius, relative to the mean of two distances of the face.
_CENTER_HEIGHT, _RADIUS = 0.3, 1.4

# Levenberg-Marquardt: damping relative to the diagonal, its factors, and the end.
_DAMPING, _MORE, _LESS = 1e-6, 10.0, 0.1
_STEPS, _TOLERANCE = 60, 1e-7
_CLOSE = 1e-6  # mm; below, the normal of the triangle gives the direction of a distance


class Mesh(NamedTuple):
    """A triangle mesh."""

    vertices: np.ndarray  # [N, 3] float64 mm
    triangles: np.ndarray  # [F, 3] int


class ScanDistances(NamedTuple):
    """The errors of a mesh."""

    distances: np.ndarray  # [P] mm, from each point of the scan to the aligned mesh
    alignment: Similarity  # of the mesh to the scan


def face_region(landmarks: np.ndarray) -> Tuple[np.ndarray, float]:
    """Return the center [3] and the radius of the sphere that cuts a face out of a scan.

    Args:
        landmarks: [7, 3] of the scan, in the order of :data:`SEVEN_FROM_68`.
    """
    bridge = (landmarks[_INNER_RIGHT] + landmarks[_INNER_LEFT]) / 2
    base = landmarks[_NOSE_BASE]
    eyes = np.linalg.norm(landmarks[_OUTER_RIGHT] - landmarks[_OUTER_LEFT])
    radius = _RADIUS * (eyes + np.linalg.norm(bridge - base)) / 2
    return base + _CENTER_HEIGHT * (bridge - base), float(radius)


def in_face_region(points: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return [N] bool: True for points [N, 3] of the face region that [7, 3] landmarks define."""
    center, radius = face_region(landmarks)
    return np.linalg.norm(points - center, axis=1) <= radius


def measure_distances(
    points: np.ndarray,
    landmarks: np.ndarray,
    mesh: Mesh,
    mesh_landmarks: np.ndarray,
    with_scale: bool = False,
) -> ScanDistances:
    """Align a mesh to points of a scan, and return the distances from the points to it.

    Args:
        points: [P, 3] mm, vertices of the scan that count.
        landmarks: [L, 3] mm, of the scan.
        mesh: the :class:`Mesh` to measure.
        mesh_landmarks: [L, 3] mm, of the mesh.
        with_scale: True aligns by a similarity, as NoW's usual protocol does; False by a rigid
            motion, as its metrical one does.

    Raises:
        InputError: libigl is not installed.
    """
    start = fit_similarity(mesh_landmarks, landmarks, with_scale)
    return _refine(points, SurfaceSearch(mesh.vertices, mesh.triangles), start, with_scale)


def _refine(
    points: np.ndarray, surface: SurfaceSearch, start: Similarity, with_scale: bool
) -> ScanDistances:
    """Minimize the squared distances by Levenberg-Marquardt steps of the mesh's motion."""
    alignment, damping = start, _DAMPING
    distances, gradient, normal = _linearize(points, surface, alignment, with_scale)
    for _ in range(_STEPS):
        # 1. a damped step: rotation about the axes, translation, relative change of the scale
        matrix = normal + np.diag(damping * np.diag(normal) + 1e-12)
        trial = _move(alignment, -np.linalg.solve(matrix, gradient))
        found = _linearize(points, surface, trial, with_scale)

        # 2. accepted if it is better
        cost, trial_cost = np.sum(distances**2), np.sum(found[0] ** 2)
        if trial_cost < cost:
            alignment, damping = trial, damping * _LESS
            distances, gradient, normal = found
            if cost - trial_cost <= _TOLERANCE * cost:
                break
        else:
            damping *= _MORE
            if damping > 1e6:
                break
    return ScanDistances(distances, alignment)


def _move(alignment: Similarity, step: np.ndarray) -> Similarity:
    """Return an alignment followed by a small motion, [6], or [7] with a change of the scale."""
    rotation = rotation_with_derivatives(step[:3])[0]
    growth = 1.0 + step[6] if len(step) > 6 else 1.0
    return Similarity(
        alignment.scale * growth,
        alignment.rotation.dot(rotation),
        growth * alignment.translation.dot(rotation) + step[3:6],
    )


def _linearize(
    points: np.ndarray, surface: SurfaceSearch, alignment: Similarity, with_scale: bool
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distances [P], and gradient and Gauss-Newton matrix of half their squares.

    The distance to a surface changes as the distance to its nearest point does, along the line
    between the two.
    """
    # 1. distances and their directions; the points move, so that the mesh can stay
    distances, nearest, triangles = surface.find(alignment.undo(points))
    distances, nearest = alignment.scale * distances, alignment.apply(nearest)
    corners = surface.corners[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    close = distances < _CLOSE
    directions = np.where(close[:, np.newaxis], normals.dot(alignment.rotation), points - nearest)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.maximum(lengths, 1e-30)

    # 2. their derivatives by rotation, translation and scale of the nearest points
    columns = [-np.cross(nearest, directions), -directions]
    if with_scale:
        columns.append(-np.sum(nearest * directions, axis=1, keepdims=True))
    jacobian = np.concatenate(columns, axis=1)
    return distances, jacobian.T.dot(distances), jacobian.T.dot(jacobian)
