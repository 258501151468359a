"""Rotations as graph and as arrays."""

import numpy as np

from geometry.rotation import euler_angles, rotation_matrix, rotation_with_derivatives
from utils.tf_compat import tf


def evaluate(angles, rows=None):
    with tf.Graph().as_default(), tf.Session() as session:
        matrices = rotation_matrix(tf.constant(np.array(angles, np.float32)))
        if rows is not None:
            matrices = tf.matmul(tf.constant(np.array(rows, np.float32)), matrices)
        return session.run(matrices)


def test_rotations_turn_the_right_way():
    def turn(angles, row):
        return evaluate([angles], [[row]])[0, 0]

    quarter = np.pi / 2
    np.testing.assert_allclose(turn([quarter, 0, 0], [0, 1, 0]), [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(turn([0, quarter, 0], [0, 0, 1]), [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(turn([0, 0, quarter], [1, 0, 0]), [0, 1, 0], atol=1e-6)


def test_graph_agrees_with_arrays_and_is_orthonormal():
    angles = np.array([[0.3, -0.5, 0.2], [1.2, 0.1, -2.0]], np.float32)
    for matrix, angle in zip(evaluate(angles), angles):
        np.testing.assert_allclose(matrix, rotation_with_derivatives(angle)[0], atol=1e-6)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)


def test_derivatives_agree_with_finite_differences():
    angles = np.array([0.3, -0.5, 0.2])
    derivatives = rotation_with_derivatives(angles)[1:]
    for axis, derivative in enumerate(derivatives):
        step = 1e-6 * np.eye(3)[axis]
        high, low = (
            rotation_with_derivatives(angles + step)[0],
            rotation_with_derivatives(angles - step)[0],
        )
        np.testing.assert_allclose(derivative, (high - low) / 2e-6, atol=1e-8)


def test_euler_angles_come_back_from_rotations():
    angles = np.random.RandomState(0).uniform(-1.4, 1.4, (50, 3))
    rotations = np.stack([rotation_with_derivatives(one)[0].T for one in angles])
    np.testing.assert_allclose(euler_angles(rotations), angles, atol=1e-9)
