"""Vertex normals of one mesh, in NumPy: for what is done once, outside of any graph."""

import numpy as np

_SHORTEST = 1e-20  # what a sum of normals is divided by at least: vertices without triangles get zeros


def surface_normals(points, triangles):
    """Return the unit normals of vertices, means of the triangles' normals by area.

    (The normals that faces are lit with are means of unit normals instead, as published:
    ``mesh_renderer.vertex_normals``.)

    Args:
        points: [N, 3], any unit of length.
        triangles: [F, 3] int, counter-clockwise seen from outside.

    Returns:
        [N, 3]; zeros where a vertex belongs to no triangle of any area.
    """
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.stack([np.bincount(triangles.ravel(), np.repeat(normals[:, axis], 3), len(points))
                     for axis in range(3)], axis=1)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _SHORTEST)
