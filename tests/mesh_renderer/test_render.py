"""Cameras and the renderer."""

import numpy as np
import pytest

from mesh_renderer import camera
from mesh_renderer.render import render, render_clip_space
from utils.tf_compat import tf


def project(matrix, point):
    x, y, z, w = matrix.dot(np.append(point, 1.0))
    return np.array([x / w, y / w, z / w])


def test_perspective_maps_the_planes_and_the_image_borders():
    matrix = camera.perspective(50.0, 200, 100, 0.5, 20.0)
    np.testing.assert_allclose(project(matrix, [0, 0, -0.5]), [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(project(matrix, [0, 0, -20.0]), [0, 0, 1], atol=1e-12)
    # At distance f, a unit of length has one pixel.
    np.testing.assert_allclose(project(matrix, [100, 50, -50.0])[:2], [1, 1])


@pytest.mark.parametrize(
    "arguments", [(0, 1, 1, 1, 2), (1, 0, 1, 1, 2), (1, 1, 1, 0, 2), (1, 1, 1, 3, 2)]
)
def test_cameras_out_of_range_are_errors(arguments):
    with pytest.raises(ValueError):
        camera.perspective(*arguments)


def test_look_at_is_a_rigid_motion_that_puts_the_target_ahead():
    eye, target = np.array([3.0, -2.0, 5.0]), np.array([1.0, 1.0, -1.0])
    view = camera.look_at(eye, target, (0, 1, 0))
    np.testing.assert_allclose(view[:3, :3].dot(view[:3, :3].T), np.eye(3), atol=1e-12)
    assert np.linalg.det(view[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(view.dot(np.append(eye, 1)), [0, 0, 0, 1], atol=1e-12)
    ahead = view.dot(np.append(target, 1))
    np.testing.assert_allclose(ahead[:3], [0, 0, -np.linalg.norm(eye - target)], atol=1e-12)
    assert view.dot(np.append(eye + [0, 1, 0], 1))[1] > 0  # up stays up


@pytest.mark.parametrize(
    "eye, target, up", [((1, 1, 1), (1, 1, 1), (0, 1, 0)), ((0, 5, 0), (0, 0, 0), (0, 1, 0))]
)
def test_look_at_needs_a_direction(eye, target, up):
    with pytest.raises(ValueError):
        camera.look_at(eye, target, up)


def render_square(image_size, corner_x=(-1.0, 1.0), corner_y=(-1.0, 1.0), batch=1):
    """Render a square in the plane z = 0, seen from distance 10 with one pixel per unit."""
    (left, right), (bottom, top) = corner_x, corner_y
    square = np.array(
        [[left, bottom, 0], [right, bottom, 0], [left, top, 0], [right, top, 0]], np.float32
    )
    colors = np.array([[1, 0], [1, 1], [1, 0], [1, 1]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        world, attributes = (
            tf.placeholder(tf.float32, [None, 4, 3]),
            tf.placeholder(tf.float32, [None, 4, 2]),
        )
        rendering = render(
            world,
            attributes,
            [[0, 1, 2], [2, 1, 3]],
            image_size=image_size,
            focal_length=10.0,
            camera_distance=10.0,
            near=0.01,
            far=50.0,
            front_triangles=[[1, 2, 3]],
        )
        return session.run(
            rendering,
            {world: np.tile(square, (batch, 1, 1)), attributes: np.tile(colors, (batch, 1, 1))},
        )


def test_y_points_up_x_to_the_right_and_row_0_is_the_top():
    mask = render_square((10, 8), corner_x=(1.0, 4.0), corner_y=(2.0, 5.0)).mask[0, ..., 0]
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (0, 2)  # y from 2 to 5 above the middle of 10 rows
    assert (columns.min(), columns.max()) == (
        5,
        7,
    )  # x from 1 to 4 right of the middle of 8 columns


def test_attributes_are_interpolated_and_empty_pixels_are_zero():
    result = render_square(12, corner_x=(-4.0, 4.0), corner_y=(-4.0, 4.0))
    across = (np.arange(12) + 0.5 - 2) / 8
    expected = np.where((across > 0) & (across < 1), across, 0)
    np.testing.assert_allclose(result.image[0, 6, :, 1], expected, atol=1e-6)
    np.testing.assert_allclose(result.image[..., 0], result.mask[..., 0], atol=1e-6)
    assert not result.image[0, 0].any()


def test_front_mask_covers_its_triangle_only():
    result = render_square(12, corner_x=(-4.0, 4.0), corner_y=(-4.0, 4.0))
    np.testing.assert_array_equal(
        result.front_mask[..., 0] > 0,
        (result.mask[..., 0] > 0) & (np.add.outer(np.arange(12), -np.arange(12)) <= 0),
    )


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_batch_of_any_size(batch):
    result = render_square(6, batch=batch)
    assert result.image.shape == (batch, 6, 6, 2)
    assert result.mask.sum() == 4 * batch


def test_any_camera_through_clip_space():
    view = camera.look_at((10, 0, 0), (0, 0, 0), (0, 1, 0))
    matrix = camera.perspective(10.0, 12, 12, 0.01, 50.0).dot(view)
    triangle = np.array(
        [[[0, -3, 3], [0, -3, -3], [0, 3, 3]]], np.float32
    )  # seen along -x: +z is left
    with tf.Graph().as_default(), tf.Session() as session:
        clip = camera.to_clip_space(tf.constant(triangle), matrix)
        rendering = session.run(
            render_clip_space(
                clip, tf.ones([1, 3, 1]), [[0, 1, 2]], image_width=12, image_height=12
            )
        )
    mask = rendering.mask[0, ..., 0]
    np.testing.assert_array_equal(np.flatnonzero(mask[8]), np.arange(3, 9))
    assert mask[3, 3] == 1 and mask[3, 5:].sum() == 0
