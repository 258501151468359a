"""Closest points of triangles: properties, and points sampled on them."""

import numpy as np

from geometry.closest_points import barycentric_of_closest


def test_the_closest_point_beats_every_sampled_point_of_its_triangle():
    random = np.random.RandomState(0)
    points, corners = random.standard_normal((200, 3)), random.standard_normal((200, 3, 3))
    weights = barycentric_of_closest(points, corners)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)
    found = np.linalg.norm(np.einsum("nk,nkd->nd", weights, corners) - points, axis=1)
    samples = random.dirichlet([0.5, 0.5, 0.5], 2000)  # crowded at edges and corners
    distances = np.linalg.norm(np.einsum("sk,nkd->nsd", samples, corners) - points[:, None], axis=2)
    assert (found <= distances.min(axis=1) + 1e-12).all()
    assert (distances.min(axis=1) - found).mean() < 0.05
    assert {(row > 0).sum() for row in weights} == {1, 2, 3}  # corners, edges and insides all occur


def test_barycentric_coordinates_of_degenerate_triangles_are_finite():
    corners = np.array([[[0.0, 0, 0]] * 3, [[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    weights = barycentric_of_closest(np.array([[1.0, 2, 3], [1.5, 1, 0]]), corners)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights[1] @ corners[1], [1.5, 0, 0], atol=1e-12)
