"""Vertex normals of a single mesh."""

import numpy as np

from geometry.normals import surface_normals


def test_normals_are_area_weighted_and_zero_without_triangles():
    points = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1], [9, 9, 9]], np.float64)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    expected = np.array([1, 0, 2]) / np.sqrt(5)  # areas 1 along x and 2 along z
    normals = surface_normals(points, triangles)
    np.testing.assert_allclose(normals[[0, 2]], [expected, expected])
    np.testing.assert_allclose(normals[1], [0, 0, 1])
    np.testing.assert_array_equal(normals[4], 0)
