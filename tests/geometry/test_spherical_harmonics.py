"""The irradiance basis as graph, as arrays and as polynomials."""

import numpy as np
import pytest

from geometry.spherical_harmonics import (
    DIRECTIONAL_SCALES,
    harmonics_array,
    harmonics_gradient,
    illuminate,
    light_polynomial,
    spherical_harmonics,
)
from utils.tf_compat import tf


def random_normals(seed):
    normals = np.random.RandomState(seed).standard_normal((1, 50, 3))
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def run(build):
    with tf.Graph().as_default():
        fetches = build()
        with tf.Session() as session:
            return session.run(fetches)


def test_even_light_does_not_depend_on_the_normal():
    normals = np.eye(3, dtype=np.float32)[np.newaxis]
    albedo = np.full((1, 3, 3), 100, np.float32)
    lit = run(lambda: illuminate(tf.constant(albedo), tf.constant(normals), tf.zeros([1, 27])))
    a0c0 = np.pi / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(lit, 100 * 0.8 * a0c0, rtol=1e-5)


@pytest.mark.parametrize("band, brightest", [(1, [0, -1, 0]), (2, [0, 0, 1]), (3, [-1, 0, 0])])
def test_linear_bands_light_from_their_side(band, brightest):
    normals = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)[np.newaxis]
    harmonics = run(lambda: spherical_harmonics(tf.constant(normals)))
    np.testing.assert_array_equal(normals[0, harmonics[0, :, band].argmax()], brightest)


def test_arrays_agree_with_the_graph():
    normals = random_normals(6).astype(np.float32)
    expected = run(lambda: spherical_harmonics(tf.constant(normals)))
    np.testing.assert_allclose(harmonics_array(normals), expected, atol=1e-5)


def test_scales_are_the_published_ones():
    a = np.pi * np.array([1, 2 / np.sqrt(3), 2 / np.sqrt(8)])
    c = np.array([1, np.sqrt(3), 3 * np.sqrt(5) / np.sqrt(3)]) / np.sqrt(4 * np.pi)
    harmonics = harmonics_array([0, 0, 1])
    np.testing.assert_allclose(harmonics[[0, 2]], (a * c)[:2])
    np.testing.assert_allclose(harmonics[6], (a * c)[2] * 2 / (2 * np.sqrt(3)))


def test_directional_light_is_a_clamped_cosine():
    """Nine bands miss max(0, n . d) by at most 3 / 32."""
    direction = np.array([0.6, 0.0, 0.8])
    lit = harmonics_array(random_normals(7)).dot(harmonics_array(direction, DIRECTIONAL_SCALES))
    np.testing.assert_allclose(lit, np.maximum(random_normals(7).dot(direction), 0), atol=0.095)


def test_light_as_a_polynomial_is_the_light_of_the_harmonics():
    random = np.random.RandomState(0)
    normals = random_normals(0)
    x, y, z = np.moveaxis(normals[0], -1, 0)
    terms = np.stack([np.ones(50), x, y, z, x * y, y * z, z * x, z * z, x * x - y * y], axis=1)
    gamma = random.standard_normal((1, 27)).astype(np.float32)
    polynomial, lit = run(
        lambda: (
            light_polynomial(tf.constant(gamma)),
            illuminate(tf.ones([1, 50, 3]), tf.constant(normals.astype("f4")), tf.constant(gamma)),
        )
    )
    np.testing.assert_allclose(terms.dot(polynomial[0].T), lit[0], atol=1e-5)


def test_gradient_by_the_normal_agrees_with_finite_differences():
    normals = random_normals(3)[0].astype(float)
    gradient = harmonics_gradient(normals)
    for axis in range(3):
        step = 1e-4 * np.eye(3)[axis]
        measured = (harmonics_array(normals + step) - harmonics_array(normals - step)) / 2e-4
        np.testing.assert_allclose(gradient[..., axis], measured, atol=1e-6)
