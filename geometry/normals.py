"""Vertex normals of a single mesh in NumPy, for use outside of graphs."""

import numpy as np

# Lower bound of the divisor, so that vertices without triangles get zeros.
_SHORTEST = 1e-20


def surface_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return the unit normals of vertices: area-weighted means of the triangles' normals.

    The normals used for lighting are means of unit normals instead, as published: see
    ``mesh_renderer.vertex_normals``.

    Args:
        points: [N, 3], any unit of length.
        triangles: [F, 3] int, counter-clockwise seen from outside.

    Returns:
        [N, 3]; zeros where a vertex belongs to no triangle of positive area.
    """
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    # Sum over the triangles around each vertex, one axis at a time.
    sums = np.stack(
        [
            np.bincount(triangles.ravel(), np.repeat(normals[:, axis], 3), len(points))
            for axis in range(3)
        ],
        axis=1,
    )
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _SHORTEST)
