"""Closest points of a mesh's surface, which libigl finds, and values interpolated to them."""

import functools
from typing import Any, Tuple

import numpy as np
import scipy.sparse

from utils.installed import require_libigl


class SurfaceSearch:
    """Finds the closest points of a mesh's surface.

    Args:
        vertices: [m, 3].
        triangles: [f, 3] vertex indices.

    Raises:
        InputError: libigl is not installed.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray) -> None:
        igl = require_libigl("the distance to a surface")
        vertices = np.asfortranarray(vertices, np.float64)
        triangles = np.asfortranarray(triangles, np.int64)
        self.corners = vertices[triangles]  # [f, 3, 3]
        if hasattr(igl, "AABB"):
            tree = igl.AABB()
            tree.init(vertices, triangles)
            self._find: Any = functools.partial(tree.squared_distance, vertices, triangles)
        else:  # libigl for Python 3.6 builds the tree anew for each search
            self._find = lambda points: igl.point_mesh_squared_distance(points, vertices, triangles)

    def find(self, points: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the closest surface point of each point.

        Args:
            points: [P, 3].

        Returns:
            distances [P], closest points [P, 3], and the index of the triangle of each, [P].
        """
        squared, triangles, closest = self._find(np.asfortranarray(points, np.float64))[:3]
        distances = np.sqrt(np.maximum(np.reshape(squared, -1), 0))
        return distances, np.reshape(closest, (-1, 3)), np.reshape(triangles, -1)


def interpolation_matrix(
    points: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> scipy.sparse.csr_matrix:
    """Return the matrix that interpolates values at ``vertices`` to ``points``.

    Between the levels of a mesh pyramid it is the upsampling of Ranjan et al., CoMA (ECCV 2018),
    section 3.2.

    Args:
        points: [n, 3].
        vertices: [m, 3] of a mesh.
        triangles: [f, 3] of the mesh.

    Returns:
        [n, m] ``scipy.sparse.csr_matrix`` with three non-negative entries a row that sum to 1: the
        barycentric coordinates of the closest point of the mesh.

    Raises:
        InputError: libigl is not installed.
    """
    points, vertices = np.asarray(points, np.float64), np.asarray(vertices, np.float64)
    corners = triangles[SurfaceSearch(vertices, triangles).find(points)[2]]
    weights = barycentric_of_closest(points, vertices[corners])
    rows = np.repeat(np.arange(len(points)), 3)
    entries = (weights.ravel(), (rows, corners.ravel()))
    return scipy.sparse.csr_matrix(entries, shape=(len(points), len(vertices)))


def barycentric_of_closest(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Return the barycentric coordinates of the point of a triangle closest to a point.

    Ericson, Real-Time Collision Detection (2005), section 5.1.5.

    Args:
        points: [..., 3].
        corners: [..., 3, 3], corners of a triangle for each point.

    Returns:
        [..., 3], non-negative, summing to 1.
    """
    # 1. products of edges and distances; Ericson's names
    a, b, c = corners[..., 0, :], corners[..., 1, :], corners[..., 2, :]
    ab, ac, ap = b - a, c - a, points - a
    d1, d2 = _dot(ab, ap), _dot(ac, ap)
    d3, d4 = d1 - _dot(ab, ab), d2 - _dot(ab, ac)  # d1, d2 from b instead of a
    d5, d6 = d1 - _dot(ab, ac), d2 - _dot(ac, ac)  # d1, d2 from c instead of a

    # 2. the solution for each region
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    inside = np.stack([va, vb, vc], axis=-1) / _nonzero(va + vb + vc)[..., None]
    along_ab, along_ac = d1 / _nonzero(d1 - d3), d2 / _nonzero(d2 - d6)
    along_bc = (d4 - d3) / _nonzero((d4 - d3) + (d5 - d6))
    zero, one = np.zeros_like(d1), np.ones_like(d1)

    # 3. the one of the first region that contains the point
    regions = (  # Voronoi regions of the corners and edges, in Ericson's order
        ((d1 <= 0) & (d2 <= 0), (one, zero, zero)),
        ((d3 >= 0) & (d4 <= d3), (zero, one, zero)),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), (1 - along_ab, along_ab, zero)),
        ((d6 >= 0) & (d5 <= d6), (zero, zero, one)),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), (1 - along_ac, zero, along_ac)),
        ((va <= 0) & (d4 >= d3) & (d5 >= d6), (zero, 1 - along_bc, along_bc)),
    )
    result = inside
    for region, coordinates in reversed(regions):
        result = np.where(region[..., None], np.stack(coordinates, axis=-1), result)
    return np.clip(result, 0.0, 1.0)


def _dot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", u, v)


def _nonzero(values: np.ndarray) -> np.ndarray:
    """Replace zeros, which are divisors of unused quotients only."""
    return np.where(values == 0, 1.0, values)
