"""Quantities of one reconstructed face."""

import numpy as np

from reconstruction.face import head_pose
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
