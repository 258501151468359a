"""The operation of the linear model and its gradient, compared with a plain matrix product."""

import numpy as np
import pytest

from mesh_renderer.linear_model import evaluate_linear_model, split_into_panels
from utils.tf_compat import tf


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize("batch", [1, 3, 4, 16, 23])  # every way of grouping images
@pytest.mark.parametrize("values, components", [(5, 1), (48, 7), (1070, 144), (5003, 30)])
def test_values_and_gradients_agree_with_a_product(batch, values, components):
    random = np.random.RandomState(values)
    basis, mean = random.standard_normal((values, components)), random.standard_normal(values)
    coefficients = random.standard_normal((batch, components)).astype("f4")
    weights = random.standard_normal((batch, values)).astype("f4")
    inputs = tf.constant(coefficients)
    result = evaluate_linear_model(inputs, basis, mean)
    assert result.shape.as_list() == [batch, values]
    found, gradient = run([result, tf.gradients(tf.reduce_sum(result * weights), inputs)[0]])
    np.testing.assert_allclose(
        found, coefficients.dot(np.float32(basis).T.astype("f8")) + mean, atol=2e-5
    )
    expected = weights.astype("f8").dot(np.float32(basis))
    np.testing.assert_allclose(gradient, expected, atol=2e-6 * np.abs(expected).max() + 1e-5)


def test_results_do_not_depend_on_the_number_of_threads():
    random = np.random.RandomState(0)
    inputs = tf.constant(random.standard_normal((5, 20)).astype("f4"))
    result = evaluate_linear_model(inputs, random.standard_normal((4000, 20)), np.zeros(4000))
    fetches = [result, tf.gradients(tf.square(result), inputs)[0]]
    found = []
    for threads in (1, 2, 3):
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as session:
            found.append(session.run(fetches))
    for other in found[1:]:
        np.testing.assert_array_equal(other[0], found[0][0])
        np.testing.assert_array_equal(other[1], found[0][1])


def test_an_image_does_not_depend_on_others_in_the_batch():
    random = np.random.RandomState(1)
    coefficients = random.standard_normal((16, 20)).astype("f4")
    basis = random.standard_normal((100, 20))
    together, alone = run(
        [
            evaluate_linear_model(tf.constant(rows), basis, np.zeros(100))
            for rows in (coefficients, coefficients[3:4])
        ]
    )
    np.testing.assert_array_equal(together[3:4], alone)


def test_panels_hold_the_basis():
    basis = np.arange(40.0).reshape(20, 2)
    cut = split_into_panels(basis)
    assert cut.shape == (2, 2, 16) and cut.dtype == np.float32
    np.testing.assert_array_equal(cut.transpose(0, 2, 1).reshape(32, 2)[:20], basis)
    assert not cut[1, :, 4:].any()


@pytest.mark.parametrize(
    "shapes, message",
    [
        (((2, 4), (1, 3, 16), (16,)), "coefficients must have shape"),
        (((2, 3), (2, 3, 16), (16,)), "panels must have shape"),
        (((2, 3), (1, 3, 8), (16,)), "panels must have shape"),
    ],
)
def test_wrong_shapes_are_errors(shapes, message):
    from mesh_renderer.operations import load_operations

    # Shapes unknown to the graph, so that the operation itself must check them.
    inputs = [tf.placeholder(tf.float32) for _ in shapes]
    result = load_operations().mesh_renderer_linear_model(*inputs)
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(result, {tensor: np.zeros(shape) for tensor, shape in zip(inputs, shapes)})


def test_an_empty_batch_gives_no_values():
    assert run(evaluate_linear_model(tf.zeros([0, 3]), np.zeros((7, 3)), np.zeros(7))).shape == (
        0,
        7,
    )
