"""Decoded faces: layout, pose, rendering and gradients."""

import numpy as np
import pytest

import face_decoder
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from geometry.camera import row_from_y_up
from tests.paths import TOY_MODEL
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


def run(build):
    with tf.Graph().as_default():
        fetches = build()
        with tf.Session() as session:
            return session.run(fetches)


def random_coefficients(count, model, scale=1.0):
    sizes = coefficient_sizes(model)
    return (np.random.RandomState(count).standard_normal((count, sum(sizes))) * scale).astype(
        np.float32
    ) * 0.3


def test_coefficients_split_in_the_published_order(model):
    sizes = coefficient_sizes(model)
    assert tuple(sizes) == (80, 64, 80, 3, 27, 3)
    parts = split_coefficients(np.arange(257)[np.newaxis], sizes)
    assert [part[0, 0] for part in parts] == [0, 80, 144, 224, 227, 254]


def test_zero_coefficients_give_the_centered_mean_face(model):
    face = run(lambda: face_decoder.decode_face(tf.zeros([1, 257]), model))
    np.testing.assert_allclose(face.world_shape[0].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(face.albedo[0], model.mean_albedo, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(face.normals[0], axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_any_batch_size(model, batch):
    coefficients = random_coefficients(3, model)[:batch]
    placeholders = {}

    def build():
        placeholders["c"] = tf.placeholder(tf.float32, [None, 257])
        face = face_decoder.decode_face(placeholders["c"], model)
        return face, face_decoder.render_face(face, model)

    with tf.Graph().as_default():
        fetches = build()
        with tf.Session() as session:
            face, rendering = session.run(fetches, {placeholders["c"]: coefficients})
    assert face.world_shape.shape == (batch, model.vertex_count, 3)
    assert rendering.image.shape == (batch, 224, 224, 3)
    if batch == 3:
        alone = run(lambda: face_decoder.decode_face(tf.constant(coefficients[1:2]), model))
        np.testing.assert_allclose(alone.colors[0], face.colors[1], rtol=1e-4, atol=1e-3)


def test_rendered_landmark_lies_where_it_is_projected(model):
    """A bright spot painted on a landmark vertex appears at its (y-up) landmark pixel."""
    vertex = int(model.landmarks[30])
    painted = model._replace(
        mean_albedo=np.zeros_like(model.mean_albedo), albedo_basis=np.zeros_like(model.albedo_basis)
    )
    painted.mean_albedo[vertex] = 255
    face, rendering = run(
        lambda: (lambda f: (f, face_decoder.render_face(f, painted)))(
            face_decoder.decode_face(tf.zeros([1, 257]), painted)
        )
    )
    brightness = rendering.image[0].sum(axis=-1)
    rows, columns = np.indices(brightness.shape)
    center = np.array([(columns * brightness).sum(), (rows * brightness).sum()]) / brightness.sum()
    x, y = face.landmarks[0, 30]
    assert np.hypot(center[0] - x, center[1] - row_from_y_up(y)) < 2


def test_drawing_is_the_rendering_as_bytes(model):
    coefficients = random_coefficients(2, model)

    def both():
        face = face_decoder.decode_face(coefficients, model)
        return face_decoder.render_face(face, model, 100), face_decoder.draw_face(face, model, 100)

    rendering, drawing = run(both)
    rgb = np.clip(np.rint(rendering.image[..., ::-1]), 0, 255)
    np.testing.assert_array_equal(
        drawing.picture, np.concatenate([rgb, 255 * rendering.mask], -1).astype(np.uint8)
    )
    np.testing.assert_array_equal(drawing.front, rendering.front_mask[..., 0] > 0)
    assert 0 < drawing.front.mean() < drawing.picture[..., 3].mean() / 255 < 1


def test_gradients_of_the_photometric_path_agree_with_finite_differences(model):
    """Colors are smooth in light and albedo, so differences of the loss must match there."""
    start = random_coefficients(1, model)
    session_inputs = {}
    with tf.Graph().as_default():
        session_inputs["c"] = tf.placeholder(tf.float32, [None, 257])
        face = face_decoder.decode_face(session_inputs["c"], model)
        value = tf.reduce_mean(tf.square(face_decoder.render_face(face, model).image / 255))
        gradient = tf.gradients(value, session_inputs["c"])[0]
        with tf.Session() as session:
            analytic = session.run(gradient, {session_inputs["c"]: start})[0]
            for index in (144, 150, 227, 236, 250):
                step = np.zeros_like(start)
                step[0, index] = 0.02
                high, low = (
                    session.run(value, {session_inputs["c"]: start + s * step}) for s in (1, -1)
                )
                np.testing.assert_allclose(
                    (high - low) / 0.04, analytic[index], rtol=5e-3, atol=1e-6
                )
