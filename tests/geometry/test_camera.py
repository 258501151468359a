"""Projection into the crop, with y up and y down."""

import numpy as np

from geometry.camera import (
    flip_y,
    project,
    project_derivatives,
    project_to_image,
    row_from_y_up,
)


def test_projection_of_the_origin_and_of_one_millimeter():
    pixels = project(np.array([[0.0, 0.0, 0.0], [0.01, 0.01, 0.0]]))
    np.testing.assert_allclose(pixels, [[112, 112], [113.015, 113.015]])
    assert row_from_y_up(row_from_y_up(30)) == 30


def test_points_and_rows_are_flipped_alike():
    points = np.random.RandomState(0).uniform(0, 300, (4, 5, 2))
    flipped = flip_y(points, 300)
    np.testing.assert_array_equal(flipped[..., 0], points[..., 0])
    np.testing.assert_array_equal(flipped[..., 1], row_from_y_up(points[..., 1], 300))
    np.testing.assert_allclose(flip_y(flipped, 300), points)


def test_image_rows_count_from_the_upper_edge_of_the_crop():
    points = np.random.RandomState(1).normal(0, 0.5, (20, 3))
    pixels = project(points)
    image = project_to_image(points)
    np.testing.assert_allclose(image, np.stack([pixels[:, 0], 224 - pixels[:, 1]], axis=1))
    np.testing.assert_allclose(project_to_image(points, 448), 2 * image)


def test_derivatives_of_the_projection_agree_with_finite_differences():
    points = np.random.RandomState(1).uniform(-1, 1, (5, 3))
    derivatives = project_derivatives(points)
    assert derivatives.shape == (5, 2, 3)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        measured = (project(points + step) - project(points - step)) / 2e-5
        np.testing.assert_allclose(derivatives[..., axis], measured, rtol=1e-6, atol=1e-6)
