import os

import numpy as np
import pytest

import networks
from tests.golden_weights import (
    GOLDEN,
    golden_values,
    golden_variables,
    load_golden_variables,
    relative_error,
)
from utils.tf_compat import tf

# Rounding alone moves these networks' outputs by 1e-6 in inference mode. Training mode divides by
# the deviation of two nearly equal images: the published float32 figures are 3e-4 off the same
# computation in float64 (ours 7e-5), so nothing closer can be asked for.
INFERENCE_TOLERANCE = 1e-5
TRAINING_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def published():
    return np.load(os.path.join(GOLDEN, "networks.npz"), allow_pickle=False)


def _run(build, images):
    """Build a network on images, give it the golden weights and return its outputs and updates."""
    with tf.Graph().as_default():
        outputs = build(tf.constant(np.float32(images)))
        updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
        variables = tf.global_variables()
        with tf.Session() as session:
            load_golden_variables(variables, session)
            results = session.run(outputs)
            session.run(updates)
            averages = {
                v.op.name: session.run(v)
                for v in variables
                if "/conv1/BatchNorm/moving" in v.op.name
            }
    return results, averages


@pytest.mark.parametrize(
    "build, published_name",
    [
        (lambda images: networks.r_net(images, training=True), "r_net"),
        (networks.face_net, "facenet"),
    ],
)
def test_variables_have_the_published_names_and_shapes(build, published_name):
    with tf.Graph().as_default():
        build(tf.zeros([1, 224, 224, 3]))
        ours = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
        trainable = {v.op.name for v in tf.trainable_variables()}
    assert ours == golden_variables(published_name)
    assert not any("moving" in name for name in trainable)
    assert bool(trainable) == (published_name == "r_net")


def test_r_net_agrees_with_the_published_one_in_inference(published):
    outputs, _ = _run(lambda images: networks.r_net(images, training=False), published["image_bgr"])
    assert relative_error(outputs.coefficients, published["rnet_coeff"]) < INFERENCE_TOLERANCE
    assert relative_error(outputs.pool5, published["rnet_pool5"]) < INFERENCE_TOLERANCE


def test_r_net_agrees_with_the_published_one_in_training(published):
    outputs, averages = _run(
        lambda images: networks.r_net(images, training=True), published["image_bgr"]
    )
    assert (
        relative_error(outputs.coefficients, published["rnet_coeff_training"]) < TRAINING_TOLERANCE
    )
    _check_moving_averages(published["image_bgr"], averages)


def _check_moving_averages(images, averages):
    """Compare the first layer's updates with the definition: decay .997, unbiased variance."""
    before = golden_values(golden_variables("r_net"))
    padded = np.pad(np.float32(images), [(0, 0), (3, 3), (3, 3), (0, 0)], mode="constant")
    with tf.Graph().as_default(), tf.Session() as session:
        kernel = before["resnet_v1_50/conv1/weights"]
        net = np.float64(session.run(tf.nn.conv2d(padded, kernel, [1, 2, 2, 1], "VALID")))
    statistics = {
        "moving_mean": net.mean((0, 1, 2)),
        "moving_variance": net.reshape(-1, 64).var(0, ddof=1),
    }
    for name, batch in statistics.items():
        name = "resnet_v1_50/conv1/BatchNorm/" + name
        expected = 0.997 * before[name] + 0.003 * batch
        np.testing.assert_allclose(averages[name], expected, rtol=1e-4, atol=1e-4)


def test_face_net_agrees_with_the_published_one(published):
    outputs, _ = _run(networks.face_net, published["image_bgr"])
    assert relative_error(outputs.bottleneck, published["facenet_bottleneck"]) < INFERENCE_TOLERANCE
    assert relative_error(outputs.average_pool, published["facenet_avgpool"]) < INFERENCE_TOLERANCE


def test_frozen_networks_agree_with_the_published_ones(published):
    values = golden_values(dict(golden_variables("r_net"), **golden_variables("facenet")))
    with tf.Graph().as_default():
        images = tf.constant(np.float32(published["image_bgr"]))
        frozen = networks.frozen_parameters(values)
        r_net = networks.r_net(images, training=False, frozen=frozen)
        face_net = networks.face_net(images, frozen=frozen)
        assert not tf.global_variables()
        with tf.Session() as session:
            coefficients, bottleneck = session.run([r_net.coefficients, face_net.bottleneck])
    assert relative_error(coefficients, published["rnet_coeff"]) < INFERENCE_TOLERANCE
    assert relative_error(bottleneck, published["facenet_bottleneck"]) < INFERENCE_TOLERANCE


def test_heads_follow_the_face_model_and_start_at_zero():
    with tf.Graph().as_default():
        network = networks.r_net(
            tf.ones([2, 64, 64, 3]),
            training=True,
            identity_count=7,
            expression_count=5,
            albedo_count=3,
        )
        shapes = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            coefficients, pool5 = session.run(network[:2])
    assert coefficients.shape == (2, 7 + 5 + 3 + 33)
    assert not coefficients.any() and pool5.any()
    assert networks.coefficient_counts(shapes) == {
        "identity_count": 7,
        "expression_count": 5,
        "albedo_count": 3,
    }


def test_a_second_copy_can_share_the_variables():
    with tf.Graph().as_default():
        images = tf.ones([1, 64, 64, 3])
        networks.r_net(images, training=True)
        count = len(tf.global_variables())
        networks.r_net(images, training=False, reuse=True)
        assert len(tf.global_variables()) == count


def test_coefficients_depend_on_the_pixels_as_finite_differences_say():
    values = golden_values(golden_variables("r_net"))
    image = np.float32(np.random.RandomState(0).uniform(0, 255, (1, 64, 64, 3)))
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.placeholder(tf.float32, [None, 64, 64, 3])
        total = tf.reduce_sum(
            networks.r_net(
                images, training=False, frozen=networks.frozen_parameters(values)
            ).coefficients
        )
        slope = session.run(tf.gradients(total, images)[0], {images: image})
        steepest = slope / np.linalg.norm(slope)
        ahead, behind = (
            session.run(total, {images: image + sign * 5 * steepest}) for sign in (1, -1)
        )
    assert np.linalg.norm(slope) == pytest.approx((ahead - behind) / 10, rel=0.02)
