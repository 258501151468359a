"""The losses against their definitions, written out in numpy, and their limits."""

import numpy as np
import pytest

import losses
from face_model.coefficients import Coefficients
from utils.tf_compat import tf

RANDOM = np.random.RandomState(7)


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def images(batch=2, size=6):
    return RANDOM.uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


def test_photometric_is_the_mean_distance_over_the_mask():
    photo, rendered = images(), images()
    mask = RANDOM.uniform(0, 1, (2, 6, 6, 1)).astype(np.float32)
    distance = np.linalg.norm(photo - rendered, axis=-1)
    expected = (distance * mask[..., 0]).sum() / 255 / mask.sum()
    np.testing.assert_allclose(
        run(losses.photometric_loss(tf.constant(photo), rendered, mask)), expected, rtol=1e-5
    )


def test_photometric_per_image_does_not_mix_images():
    photo, rendered = images(), images()
    mask = np.ones((2, 6, 6, 1), np.float32)
    mask[1, 3:] = 0
    both = run(losses.photometric_losses(tf.constant(photo), rendered, mask))
    alone = run(losses.photometric_losses(tf.constant(photo[1:]), rendered[1:], mask[1:]))
    np.testing.assert_allclose(both[1], alone[0], rtol=1e-6)


def test_photometric_of_equal_images_is_zero_with_a_finite_gradient():
    photo = tf.constant(images())
    rendered = tf.constant(run(photo))
    loss = losses.photometric_loss(photo, rendered, np.ones((2, 6, 6, 1), np.float32))
    value, gradient = run([loss, tf.gradients(loss, rendered)[0]])
    assert value == 0 and np.all(gradient == 0)


def test_photometric_of_an_empty_mask_is_zero():
    assert (
        run(
            losses.photometric_loss(
                tf.constant(images()), images(), np.zeros((2, 6, 6, 1), np.float32)
            )
        )
        == 0
    )


def test_photometric_sends_no_gradient_through_the_mask():
    mask = tf.constant(np.ones((2, 6, 6, 1), np.float32))
    assert tf.gradients(losses.photometric_loss(tf.constant(images()), images(), mask), mask) == [
        None
    ]


def test_landmark_weights_are_the_published_ones():
    weights = losses.landmark_weights()
    assert weights.sum() == 57 + 11 * 20
    assert all(weights[i - 1] == 20 for i in (29, 30, 31, 61, 68)) and weights[31] == 1


def test_landmark_loss_of_one_pixel_everywhere():
    labels = RANDOM.uniform(0, 224, (3, 68, 2)).astype(np.float32)
    value = run(losses.landmark_loss(tf.constant(labels + [1, 0]), labels))
    np.testing.assert_allclose(value, losses.landmark_weights().sum() / 68, rtol=1e-3)


def test_landmark_of_weight_zero_does_not_count():
    labels = np.zeros((1, 68, 2), np.float32)
    predicted = labels.copy()
    predicted[0, 5] = 1000
    weights = np.ones((1, 68), np.float32)
    weights[0, 5] = 0
    assert run(losses.landmark_loss(tf.constant(predicted), labels, weights)) == 0


@pytest.mark.parametrize("other, expected", [((2, 0), 0), ((0, 3), 1), ((-1, 0), 2)])
def test_perceptual_is_one_minus_cosine(other, expected):
    value = run(losses.perceptual_loss(tf.constant([[5.0, 0.0]]), tf.constant([other], tf.float32)))
    np.testing.assert_allclose(value, expected, atol=1e-6)


def test_regularization_weighs_the_parts():
    parts = Coefficients(*(tf.ones([2, size]) for size in (80, 64, 80, 3, 27, 3)))
    np.testing.assert_allclose(
        run(losses.regularization_loss(parts)), 80 + 0.8 * 64 + 0.017 * 80, rtol=1e-6
    )


def published_reflectance(albedo, skin):
    """Return sum ((albedo - mean) * mask / 255)^2 / (batch * sum mask), number by number."""
    total = 0.0
    for face in albedo.astype(np.float64):
        for channel in range(3):
            mean = sum(value * weight for value, weight in zip(face[:, channel], skin)) / sum(skin)
            for value, weight in zip(face[:, channel], skin):
                total += ((value - mean) * weight / 255) ** 2
    return total / (len(albedo) * sum(skin))


def test_reflectance_squares_a_fractional_mask():
    albedo = RANDOM.uniform(0, 255, (2, 50, 3)).astype(np.float32)
    skin = RANDOM.uniform(0, 1, 50).astype(np.float32)
    expected = published_reflectance(albedo, skin.astype(np.float64))
    alone = [published_reflectance(face[np.newaxis], skin.astype(np.float64)) for face in albedo]
    assert expected == pytest.approx(np.mean(alone))
    found, each = run(
        [
            losses.reflectance_loss(tf.constant(albedo), skin),
            losses.reflectance_losses(tf.constant(albedo), skin),
        ]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(each, alone, rtol=1e-5)


def test_reflectance_is_the_variance_over_a_mask_of_zeros_and_ones():
    albedo = RANDOM.uniform(0, 255, (2, 50, 3)).astype(np.float32)
    skin = (RANDOM.uniform(0, 1, 50) < 0.6).astype(np.float32)
    inside = albedo[:, skin == 1].astype(np.float64) / 255
    np.testing.assert_allclose(
        run(losses.reflectance_loss(tf.constant(albedo), skin)),
        inside.var(axis=1).sum(axis=1).mean(),
        rtol=1e-5,
    )


def test_gamma_loss_is_zero_for_white_light_only():
    white = np.tile(RANDOM.standard_normal((1, 9)), (1, 3)).astype(np.float32)
    red = white.copy()
    red[0, 0] += 3
    np.testing.assert_allclose(run(losses.gamma_loss(tf.constant(white))), 0, atol=1e-12)
    np.testing.assert_allclose(
        run(losses.gamma_loss(tf.constant(red))), (4 + 1 + 1) / 27.0, rtol=1e-5
    )


def test_total_is_weighted_and_leaves_out_what_is_missing():
    terms = losses.Losses(*(tf.constant(1.0) for _ in range(6)))
    weights = losses.LossWeights()
    np.testing.assert_allclose(
        run(losses.total_loss(terms)), 1.92 + 1.6e-3 + 0.2 + 3e-4 + 5 + 10, rtol=1e-6
    )
    without = terms._replace(perceptual=None)
    np.testing.assert_allclose(
        run(losses.total_loss(without)),
        run(losses.total_loss(terms)) - weights.perceptual,
        rtol=1e-5,
    )
