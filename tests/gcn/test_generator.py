"""Chebyshev convolution and mesh generator, against the published system and a dense reference."""

import os

import numpy as np
import pytest
import scipy.sparse

from gcn import generator
from gcn.chebyshev import chebyshev_convolution, laplacian_tensors
from tests.golden_weights import golden_variables, load_golden_variables, relative_error
from tests.network_parity import published_pyramid
from tests.paths import GOLDEN
from utils.tf_compat import tf


@pytest.fixture(scope="module")
def published():
    return np.load(os.path.join(GOLDEN, "gcn.npz"), allow_pickle=False)


@pytest.fixture(scope="module")
def pyramid(published):
    return published_pyramid(published)


def _generate(published, pyramid, head="absolute", batch=2, golden=True):
    with tf.Graph().as_default():
        mesh = generator.generate_mesh(
            tf.constant(published["gcn_embedding"][:batch]),
            tf.constant(published["gcn_pca_mesh"][:batch]),
            generator.pyramid_tensors(pyramid),
            head=head,
        )
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            if golden:
                load_golden_variables(tf.global_variables(), session)
            return session.run(mesh.vertices)


def test_variables_have_the_published_names_and_shapes(published, pyramid):
    with tf.Graph().as_default():
        generator.generate_mesh(
            tf.constant(published["gcn_embedding"]),
            tf.constant(published["gcn_pca_mesh"]),
            generator.pyramid_tensors(pyramid),
        )
        ours = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert ours == golden_variables("gcn_mesh_generator")
    assert generator.head_of_variables(ours) == "absolute"


def test_vertices_agree_with_the_published_ones(published, pyramid):
    assert relative_error(_generate(published, pyramid), published["gcn_vertices"]) < 1e-5


def test_the_batch_size_is_free(published, pyramid):
    one = _generate(published, pyramid, batch=1)
    assert relative_error(one, published["gcn_vertices"][:1]) < 1e-5


def test_the_residual_head_starts_at_the_coefficient_mesh(published, pyramid):
    vertices = _generate(published, pyramid, head="residual", golden=False)
    np.testing.assert_array_equal(vertices, published["gcn_pca_mesh"])
    assert generator.head_of_variables(["gcn_mesh_generator/gcn_mesh_offset/weights"]) == "residual"
    assert generator.head_of_variables(["fc-id/weights"]) is None


@pytest.mark.parametrize("head", generator.HEADS)
def test_gradients_agree_with_finite_differences(published, pyramid, head):
    with tf.Graph().as_default():
        embedding = tf.placeholder(tf.float32, [None, 3840])
        mesh = tf.placeholder(tf.float32, [None, 625, 3])
        vertices = generator.generate_mesh(
            embedding, mesh, generator.pyramid_tensors(pyramid), head=head
        ).vertices
        aim = np.random.RandomState(0).standard_normal((625, 3))
        value = tf.reduce_sum(tf.cast(vertices, tf.float64) * aim)
        names = (
            "gcn_mesh_decoder/fc/weights",
            "gcn_mesh_decoder/resblock3/filter1/weights",
            "gcn_mesh_refiner/resblock2/filter2/weights",
            "gcn_mesh_refiner/resblock4/shortcut/weights",
        )
        variables = [v for v in tf.trainable_variables() if v.op.name.endswith(names)]
        assert len(variables) == len(names)
        feed = {embedding: published["gcn_embedding"], mesh: published["gcn_pca_mesh"]}
        with tf.Session() as session:
            load_golden_variables(tf.global_variables(), session)
            slopes = session.run(tf.gradients(value, variables), feed)
            for variable, slope in zip(variables, slopes):
                _check_slope(session, value, feed, variable, slope)


def _check_slope(session, value, feed, variable, slope):
    """Compare a gradient with central differences along itself; switching ReLUs cost some %."""
    start, steepest, step = session.run(variable), slope / np.linalg.norm(slope), 1e-3
    values = []
    for sign in (1, -1):
        variable.load(start + sign * step * steepest, session)
        values.append(session.run(value, feed))
    variable.load(start, session)
    assert np.linalg.norm(slope) == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.03)


# The published head must first unlearn its random start, and its last ReLUs may die on the way.
@pytest.mark.parametrize("head, share_left", [("absolute", 0.9), ("residual", 0.1)])
def test_a_few_training_steps_approach_the_target(published, pyramid, head, share_left):
    coefficient_mesh = 0.3 * published["gcn_pca_mesh"] / np.abs(published["gcn_pca_mesh"]).max()
    aim = coefficient_mesh + np.float32([0.0, 0.0, 0.05])  # the whole face 5 mm nearer
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        vertices = generator.generate_mesh(
            tf.constant(published["gcn_embedding"]),
            tf.constant(coefficient_mesh),
            generator.pyramid_tensors(pyramid),
            head=head,
        ).vertices
        loss = tf.reduce_mean(tf.square(vertices - aim))
        step = tf.train.AdamOptimizer(1e-3).minimize(loss)
        session.run(tf.global_variables_initializer())
        before = session.run(loss)
        for _ in range(60):
            session.run(step)
        assert session.run(loss) < share_left * before


@pytest.mark.parametrize("order", [1, 2, 3, 6])
@pytest.mark.parametrize("width", [2, 5, 9])  # both ways to order the products
def test_convolution_equals_its_definition(order, width):
    random = np.random.RandomState(order * 10 + width)
    count, batch, features = 30, 3, 5
    laplacian = _random_laplacian(random, count)
    signal = random.standard_normal((count, batch, features))
    weights = random.standard_normal((features * order, width))
    with tf.Graph().as_default(), tf.Session() as session:
        output = chebyshev_convolution(
            tf.constant(np.float32(signal)),
            laplacian_tensors(scipy.sparse.csr_matrix(laplacian)),
            width,
            order=order,
            initializer=tf.constant_initializer(np.float32(weights)),
        )
        session.run(tf.global_variables_initializer())
        ours = session.run(output)
    np.testing.assert_allclose(
        ours, _reference_convolution(signal, laplacian, weights, order), atol=1e-4
    )


def _random_laplacian(random, count):
    adjacency = np.triu(random.uniform(size=(count, count)) < 0.15, 1).astype(float)
    adjacency[np.arange(count - 1), np.arange(1, count)] = 1
    adjacency += adjacency.T
    scale = 1 / np.sqrt(adjacency.sum(1))
    return -scale[:, None] * adjacency * scale


def _reference_convolution(signal, laplacian, weights, order):
    """Filter in the graph's spectrum: T_k(cos t) = cos(k t) for each eigenvalue cos t."""
    eigenvalues, vectors = np.linalg.eigh(laplacian)
    angles = np.arccos(np.clip(eigenvalues, -1, 1))
    output = np.zeros(signal.shape[:2] + (weights.shape[1],))
    for feature in range(signal.shape[2]):
        for k in range(order):
            polynomial = vectors @ np.diag(np.cos(k * angles)) @ vectors.T
            output += (polynomial @ signal[:, :, feature])[:, :, None] * weights[
                feature * order + k
            ]
    return output
