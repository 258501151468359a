import numpy as np
import pytest

import networks
from checkpoints.r_net import r_net_shapes
from checkpoints.variables import read_variables
from dataset.face_stream import FaceStream, build_batch_queue
from dataset.processed_faces import find_faces
from face_decoder import FaceDecoder
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes
from losses import Losses, LossWeights, landmark_weights
from tests.paths import TOY_MODEL
from tests.training_data import write_faces
from training.options import (
    TrainingOptions,
    batch_norm_decay_at,
    choose_batch_norm_decay,
    learning_rate_at,
)
from training.r_net_step import _published_scalars, build_r_net_step, initialize_r_net
from utils.errors import InputError
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


class Running:
    """A training step with its session, on two faces that form every batch."""

    def __init__(self, folder, model):
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.set_random_seed(1)
            self.queue = build_batch_queue(FaceStream(find_faces(folder), 0, False), 2)
            self.step = build_r_net_step(self.queue.batch, model, TrainingOptions())
            self.session = tf.Session()
        self.batch = None
        self.restart()

    def restart(self):
        with self.graph.as_default():
            self.session.run(tf.global_variables_initializer())
        self.session.run(self.queue.initializer, {self.queue.first: 0})
        self.batch = self.session.run(self.queue.batch)

    def evaluate(self, fetches, feeds=None):
        everything = dict(zip(self.queue.batch, self.batch))
        everything.update(feeds or {})
        return self.session.run(fetches, everything)

    def update(self, learning_rate, decay):
        return self.evaluate(
            [self.step.losses, self.step.update],
            {self.step.learning_rate: learning_rate, self.step.batch_norm_decay: decay},
        )[0]

    def variable(self, name):
        return self.session.run(self.graph.get_tensor_by_name(name + ":0"))


@pytest.fixture(scope="module")
def running(tmp_path_factory, model):
    built = Running(write_faces(tmp_path_factory.mktemp("faces"), 2), model)
    yield built
    built.session.close()


def test_losses_belong_to_the_prediction(running, model):
    random = np.random.RandomState(2)
    coefficients = np.float32(random.normal(0, 0.1, (2, sum(coefficient_sizes(model)))))
    losses, metrics = running.evaluate(
        [running.step.losses, running.step.metrics], {running.step.prediction: coefficients}
    )
    face_graph = FaceDecoder(model)
    landmarks = face_graph.decode(coefficients).landmarks
    squared = ((landmarks - running.batch.landmarks) ** 2).sum(-1)
    np.testing.assert_allclose(losses["landmark"], (landmark_weights() * squared).mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["landmark_error_pixels"], np.sqrt(squared).mean(), rtol=1e-4)
    weights = LossWeights()._asdict()
    assert set(losses) == {
        "photometric",
        "landmark",
        "regularization",
        "reflectance",
        "gamma",
        "total",
    }
    np.testing.assert_allclose(
        losses["total"],
        sum(weights[name] * losses[name] for name in losses if name != "total"),
        rtol=1e-5,
    )


def test_published_scalars_include_the_identity_if_there_is_one():
    with tf.Graph().as_default(), tf.Session() as session:
        terms = Losses(*(tf.constant(float(number)) for number in (1, 4, 3, 5, 6, 7)))
        expected = {
            "photo_error": 1,
            "lm_error": 2,  # the square root
            "id_sim_error": 3,
            "reflect_error": 6,
            "gamma_error": 7,
            "train_error": 9,
        }
        assert session.run(_published_scalars(terms, tf.constant(9.0))) == expected


def test_gradient_norms_belong_to_the_weighted_losses(running, model):
    coefficients = np.float32(
        np.random.RandomState(3).normal(0, 0.1, (2, sum(coefficient_sizes(model))))
    )
    norms = running.evaluate(
        running.step.loss_gradient_norms, {running.step.prediction: coefficients}
    )
    sizes = coefficient_sizes(model)
    ends = np.cumsum(sizes)
    identity, expression, albedo = (
        coefficients[:, end - size : end] for size, end in list(zip(sizes, ends))[:3]
    )
    gradient = np.concatenate([identity, 0.8 * expression, 0.017 * albedo], axis=1) * 2 / 2 * 3e-4
    np.testing.assert_allclose(norms["regularization"], np.linalg.norm(gradient), rtol=1e-4)
    assert all(norm > 0 for norm in norms.values())


def test_step_updates_counter_averages_and_weights(running):
    running.restart()
    before = running.variable("resnet_v1_50/conv1/weights"), running.variable("fc-id/biases")
    running.update(1e-3, 0.9)
    assert running.session.run(running.step.step) == 1
    assert (running.variable("fc-id/biases") != before[1]).any()
    variance = running.variable("resnet_v1_50/conv1/BatchNorm/moving_variance")
    assert (variance != 1).all()


def test_inference_mode_equals_training_mode_with_settled_averages(running):
    running.restart()
    for rate in (1e-3, 0.0):
        running.update(rate, 0.0)
    trained, applied = running.evaluate([running.step.prediction, running.step.applied_prediction])
    assert np.abs(trained).max() > 1e-3
    assert np.linalg.norm(trained - applied) < 0.1 * np.linalg.norm(trained)


@pytest.mark.slow
def test_two_faces_are_learned(running):
    running.restart()
    ramp = TrainingOptions(batch_norm_decay="ramp")
    totals = []
    for step in range(14):
        totals.append(running.update(3e-4, batch_norm_decay_at(step, ramp))["total"])
    assert np.isfinite(totals).all() and np.mean(totals[-3:]) < 0.8 * totals[0]


def test_imagenet_trunk_leaves_heads_at_zero(running, tmp_path):
    running.restart()
    path = str(tmp_path / "resnet_v1_50.ckpt")
    trunk = save_r_net(running, path, lambda name: name.startswith(networks.R_NET_SCOPE))
    running.session.run([v.initializer for v in trunk])
    with running.graph.as_default():
        initialize_r_net(running.session, path)
    np.testing.assert_array_equal(
        running.variable("resnet_v1_50/conv1/weights"),
        read_variables(path, {"resnet_v1_50/conv1/weights": [7, 7, 3, 64]})[
            "resnet_v1_50/conv1/weights"
        ],
    )
    assert not running.variable("fc-id/weights").any()


@pytest.mark.slow
def test_complete_network_includes_heads(running, tmp_path):
    running.restart()
    running.update(1e-3, 0.9)
    wanted = running.variable("fc-gamma/weights")
    path = str(tmp_path / "iter_1.ckpt")
    save_r_net(running, path, lambda name: True)
    running.restart()
    with running.graph.as_default():
        initialize_r_net(running.session, path)
    np.testing.assert_array_equal(running.variable("fc-gamma/weights"), wanted)
    assert wanted.any() and running.session.run(running.step.step) == 0


def test_weights_of_another_network_are_refused(running, tmp_path):
    path = str(tmp_path / "some.ckpt")
    save_r_net(running, path, lambda name: name == "fc-id/biases")
    with running.graph.as_default(), pytest.raises(
        InputError, match="some.ckpt: .* variables missing"
    ):
        initialize_r_net(running.session, path)


def save_r_net(running, path, wanted):
    """Write the network's variables with selected names; returns them."""
    with running.graph.as_default():
        names = set(r_net_shapes())
        variables = [v for v in tf.global_variables() if v.op.name in names and wanted(v.op.name)]
        tf.train.Saver(variables).save(
            running.session, path, write_meta_graph=False, write_state=False
        )
    return variables


def test_default_schedule_is_the_published_one():
    options = TrainingOptions()
    steps = (0, 99999, 100000, 100001, 199999)
    assert [learning_rate_at(step, options) for step in steps] == [1e-4, 1e-4, 1e-4, 2e-5, 2e-5]


def test_learning_rate_changes_where_piecewise_constant_changes_it():
    options = TrainingOptions(late_from=3)
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int64, [])
        published = tf.train.piecewise_constant(step, [np.int64(3)], [1e-4, 2e-5])
        for number in range(6):
            rate = session.run(published, {step: number})
            assert learning_rate_at(number, options) == pytest.approx(float(rate), rel=1e-6)


def test_decay_ramp_rises_to_the_published_constant():
    ramp = TrainingOptions(batch_norm_decay="ramp")
    decays = [batch_norm_decay_at(step, ramp) for step in range(5000)]
    assert decays == sorted(decays) and decays[0] == 0.1 and decays[-1] == 0.997


def test_decay_is_the_published_constant_by_default():
    for options in (TrainingOptions(), TrainingOptions(batch_norm_decay="constant")):
        assert {batch_norm_decay_at(step, options) for step in (0, 1, 5000)} == {0.997}


@pytest.mark.parametrize(
    "init_weights, resumed, expected",
    [
        (None, None, "ramp"),
        ("resnet_v1_50.ckpt", None, "constant"),
        (None, {"options": {"batch_norm_decay": "constant"}}, "constant"),
        ("resnet_v1_50.ckpt", {"options": {"batch_norm_decay": "ramp"}}, "ramp"),
        ("resnet_v1_50.ckpt", {"options": {}}, "ramp"),  # records of earlier versions
        (None, {}, "ramp"),
    ],
)
def test_decay_is_a_ramp_only_after_random_weights(init_weights, resumed, expected):
    options = TrainingOptions(init_weights=init_weights)
    assert choose_batch_norm_decay(options, resumed) == expected
