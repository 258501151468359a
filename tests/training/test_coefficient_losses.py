import numpy as np
import pytest

from benchmarks.random_faces import sample_coefficients
from face_decoder import FaceDecoder
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes, split_coefficients
from tests.paths import TOY_MODEL
from training.coefficient_losses import build_metric_matrices, coefficient_losses
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture(scope="module")
def decoder(model):
    graph = FaceDecoder(model)
    yield graph
    graph.close()


def evaluate(model, predicted, truth, labels):
    with tf.Graph().as_default(), tf.Session() as session:
        predicted = tf.constant(np.float32(predicted))
        losses, landmarks = coefficient_losses(
            predicted,
            tf.constant(truth),
            tf.constant(np.float32(labels)),
            model,
            build_metric_matrices(model),
        )
        gradients = {
            name: tf.gradients(loss, predicted)[0] for name, loss in losses._asdict().items()
        }
        return session.run([losses, landmarks, gradients])


def test_loss_of_the_truth_is_zero_with_finite_gradient(model, decoder):
    truth = sample_coefficients(model, 3, 1)
    losses, landmarks, gradients = evaluate(model, truth, truth, decoder.decode(truth).landmarks)
    assert max(losses) < 0.02
    np.testing.assert_allclose(landmarks, decoder.decode(truth).landmarks, atol=1e-2)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_shape_and_albedo_losses_are_vertex_distances(model, decoder):
    truth, predicted = sample_coefficients(model, 4, 2), sample_coefficients(model, 4, 3)
    sizes = coefficient_sizes(model)
    for part in ("angles", "gamma", "translation"):  # the vertices of model space are compared
        for values in (truth, predicted):
            getattr(split_coefficients(values, sizes), part)[:] = 0
    mine, true = decoder.decode(predicted), decoder.decode(truth)
    losses, landmarks, _ = evaluate(model, predicted, truth, true.landmarks)
    displacement = 100 * np.linalg.norm(mine.world_shape - true.world_shape, axis=2)
    np.testing.assert_allclose(
        losses.shape, np.sqrt((displacement**2).mean(axis=1)).mean(), rtol=1e-3
    )
    change = mine.albedo - true.albedo
    np.testing.assert_allclose(
        losses.albedo, np.sqrt((change**2).mean(axis=(1, 2))).mean(), rtol=1e-3
    )
    np.testing.assert_allclose(landmarks, mine.landmarks, atol=1e-2)
    np.testing.assert_allclose(
        losses.landmark, np.linalg.norm(mine.landmarks - true.landmarks, axis=2).mean(), rtol=1e-3
    )


def test_pose_losses_do_not_depend_on_shape(model, decoder):
    truth = sample_coefficients(model, 2, 4)
    predicted = truth.copy()
    parts = split_coefficients(predicted, coefficient_sizes(model))
    parts.translation[:] += (0.03, -0.04, 0.2)
    losses = evaluate(model, predicted, truth, decoder.decode(truth).landmarks)[0]
    depth = 10 - split_coefficients(truth, coefficient_sizes(model)).translation[:, 2]
    np.testing.assert_allclose(losses.translation, np.mean(1015 * 0.05 / depth), rtol=1e-3)
    np.testing.assert_allclose(losses.depth, np.mean(100 * 0.2 / depth), rtol=1e-3)
    assert losses.rotation < 0.02 and losses.shape < 0.02
    turned = truth.copy()
    split_coefficients(turned, coefficient_sizes(model)).angles[:, 1] += 0.1
    losses = evaluate(model, turned, truth, decoder.decode(truth).landmarks)[0]
    before, after = (decoder.decode(c).world_shape[:, model.landmarks] for c in (truth, turned))
    np.testing.assert_allclose(
        losses.rotation, 100 * np.linalg.norm(after - before, axis=2).mean(), rtol=1e-3
    )


def test_light_loss_is_the_change_of_the_mean_face(model, decoder):
    truth = np.zeros((1, sum(coefficient_sizes(model))), np.float32)
    predicted = truth.copy()
    split_coefficients(predicted, coefficient_sizes(model)).gamma[:] = np.random.RandomState(
        5
    ).normal(0, 0.2, 27)
    losses = evaluate(model, predicted, truth, decoder.decode(truth).landmarks)[0]
    mine, true = decoder.decode(predicted).colors, decoder.decode(truth).colors
    change = (mine - true)[0, model.front_vertices]
    np.testing.assert_allclose(losses.light, np.sqrt((change**2).mean()), rtol=1e-2)
