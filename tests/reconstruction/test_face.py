"""Quantities of one reconstructed face."""

import numpy as np
import pytest

from alignment.align import align
from geometry.camera import flip_y, project
from reconstruction.face import camera_of_photo, head_pose
from reconstruction.face_views import photo_view
from tests.toy_reconstruction import YAW, toy_face_model, toy_reconstruction


def posed(angles, degrees=0.0):
    model, reconstruction = toy_face_model(), toy_reconstruction()
    coefficients = reconstruction.coefficients.copy()
    first = model.identity_count + model.expression_count + model.albedo_count
    coefficients[first : first + 3] = angles
    alignment = reconstruction.face.alignment._replace(degrees=degrees)
    face = reconstruction.face._replace(alignment=alignment)
    return head_pose(reconstruction._replace(coefficients=coefficients, face=face), model)


def test_the_pose_of_the_head_is_in_degrees():
    model, reconstruction = toy_face_model(), toy_reconstruction()
    np.testing.assert_allclose(head_pose(reconstruction, model), [0, np.degrees(YAW), 0], atol=1e-6)
    world = reconstruction.world_shape - reconstruction.world_shape.mean(axis=0)
    front = world[model.mean_shape[:, 2].argmax()]
    assert front[0] > 0  # positive yaw: the nose points to the right side of the photo


def test_the_turn_of_the_photo_is_taken_out_of_the_roll():
    np.testing.assert_allclose(posed([0.1, 0, 0.2], 90.0)[2], np.degrees(0.2) - 90, atol=1e-6)
    np.testing.assert_allclose(posed([0, 0, -0.2], 175.0)[2], 185 - np.degrees(0.2), atol=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 50.0, -120.0, 180.0])
def test_the_camera_of_the_photo_projects_vertices_to_where_landmarks_are(degrees):
    reconstruction = toy_reconstruction(photo_size=411)
    face = reconstruction.face
    alignment = align(face.photo, face.five_points, degrees)
    turned = reconstruction._replace(face=face._replace(alignment=alignment))
    seen = camera_of_photo(turned.face).project(turned.world_shape)
    wanted = alignment.to_photo(flip_y(project(turned.world_shape)))
    np.testing.assert_allclose(seen, wanted, atol=1e-4)  # single precision

    # The center of a drawn crop is half a pixel away from that of its landmarks, as published.
    off = np.linalg.norm(seen - (photo_view(turned).screen - 0.5), axis=1)
    np.testing.assert_allclose(off, np.sqrt(0.5) * crop_pixel(alignment), rtol=0.02)


def crop_pixel(alignment):
    """Return the width of a pixel of the crop in pixels of the photo."""
    corners = alignment.to_photo(np.array([[0.0, 0.0], [1.0, 0.0]]))
    return np.linalg.norm(corners[1] - corners[0])
