"""Camera matrices of the crop and of the photo, in two conventions, against each other."""

import numpy as np
import pytest

from alignment.align import align, crop_to_photo, crop_to_photo_matrix
from geometry.camera import flip_y, project
from geometry.camera_matrices import crop_camera, head_matrix, photo_camera
from geometry.landmark_layout import STANDARD_POINTS_3D
from geometry.rotation import rotation_with_derivatives

WIDTH, HEIGHT = 500, 400


def world_points():
    return np.random.RandomState(0).normal(0, 0.7, (40, 3))


def by_opencv(camera, points):
    """Project as OpenCV does: pixel centers at integers, y down."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    seen = homogeneous.dot(camera.view_opencv.T)[:, :3]
    assert np.all(seen[:, 2] > 0)  # in front of the camera
    pixels = seen.dot(camera.intrinsics.T)
    return pixels[:, :2] / pixels[:, 2:]


def by_opengl(camera, points, width, height):
    """Project as OpenGL does, then count from the upper edge, with pixel centers at integers."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    clip = homogeneous.dot(camera.view_opengl.T).dot(camera.projection_opengl.T)
    normalized = clip[:, :3] / clip[:, 3:]
    assert np.all(np.abs(normalized[:, 2]) < 1)  # between the near and the far plane
    window = (normalized[:, :2] + 1) / 2 * [width, height]
    return np.stack([window[:, 0], height - window[:, 1]], axis=1) - 0.5


def test_both_conventions_project_into_the_crop_where_landmarks_are():
    points = world_points()
    wanted = flip_y(project(points))
    np.testing.assert_allclose(by_opencv(crop_camera(), points), wanted, atol=1e-9)
    np.testing.assert_allclose(by_opengl(crop_camera(), points, 224, 224), wanted, atol=1e-9)


@pytest.mark.parametrize("degrees", [0.0, 57.0, -120.0])
def test_both_conventions_project_into_the_photo_a_turned_one_too(degrees):
    five_points = [260, 190] + STANDARD_POINTS_3D[:, :2] * [170, -170]
    alignment = align(np.zeros((HEIGHT, WIDTH, 3), np.uint8), five_points, degrees)
    placement = alignment.trans_params, alignment.degrees
    camera = photo_camera(crop_to_photo_matrix(*placement), WIDTH, HEIGHT)
    points = world_points()
    wanted = crop_to_photo(flip_y(project(points)), *placement)
    np.testing.assert_allclose(by_opencv(camera, points), wanted, atol=1e-9)
    np.testing.assert_allclose(by_opengl(camera, points, WIDTH, HEIGHT), wanted, atol=1e-9)
    np.testing.assert_allclose(camera.project(points), wanted, atol=1e-9)
    for view in (camera.view_opencv[:3, :3], camera.view_opengl[:3, :3]):
        np.testing.assert_allclose(view.dot(view.T), np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(view), 1)
    assert abs(camera.intrinsics[0, 1]) < (1e-9 if not degrees else 10)


def test_the_head_matrix_takes_model_space_to_the_world():
    angles, translation = np.array([0.2, -0.6, 0.1]), np.array([0.1, 0.2, -0.3])
    points = world_points()
    wanted = points.dot(rotation_with_derivatives(angles)[0]) + translation
    matrix = head_matrix(angles, translation)
    np.testing.assert_allclose(points.dot(matrix[:3, :3].T) + matrix[:3, 3], wanted, atol=1e-12)
