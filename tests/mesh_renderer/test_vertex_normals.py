"""Vertex normals and their gradient, compared with TensorFlow's own operations."""

import numpy as np
import pytest

from face_model import read_face_model
from face_model.model import vertex_triangle_table
from mesh_renderer.vertex_normals import vertex_normals
from tests.paths import TOY_MODEL
from utils.tf_compat import tf


def reference(vertices, triangles, vertex_triangles):
    """Return the vertex normals by TensorFlow's own operations."""
    corners = [tf.gather(vertices, triangles[:, corner], axis=1) for corner in range(3)]
    triangle_normals = tf.nn.l2_normalize(
        tf.cross(corners[0] - corners[1], corners[1] - corners[2]), axis=-1
    )
    padded = tf.pad(triangle_normals, [[0, 0], [0, 1], [0, 0]])
    return tf.nn.l2_normalize(
        tf.reduce_sum(tf.gather(padded, vertex_triangles, axis=1), axis=2), axis=-1
    )


def run(fetches):
    with tf.Session() as session:
        return session.run(fetches)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize("batch", [1, 3])
def test_values_and_gradients_agree_with_the_reference(batch):
    model = read_face_model(TOY_MODEL)
    random = np.random.RandomState(batch)
    vertices = tf.constant(
        (model.mean_shape + random.normal(0, 0.02, (batch,) + model.mean_shape.shape)).astype("f4")
    )
    weights = random.standard_normal((batch,) + model.mean_shape.shape).astype("f4")
    results = []
    for normals in (
        vertex_normals(vertices, model.triangles, model.vertex_triangles),
        reference(vertices, model.triangles, model.vertex_triangles),
    ):
        results.append(run([normals, tf.gradients(tf.reduce_sum(normals * weights), vertices)[0]]))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=2e-6)
    scale = np.abs(results[1][1]).max()
    np.testing.assert_allclose(results[0][1] / scale, results[1][1] / scale, atol=2e-6)


def test_normals_point_to_the_counter_clockwise_side():
    square = tf.constant([[[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]], tf.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    normals = run(vertex_normals(square, triangles, vertex_triangle_table(triangles, 4)))
    np.testing.assert_allclose(normals, np.tile([0, 0, 1], (1, 4, 1)), atol=1e-6)


def test_degenerate_triangles_and_lone_vertices_have_zero_normals_and_finite_gradients():
    vertices = tf.constant(np.zeros((1, 4, 3)), tf.float32)
    triangles = np.array([[0, 1, 2]], np.int32)
    normals = vertex_normals(vertices, triangles, vertex_triangle_table(triangles, 4))
    values, gradient = run([normals, tf.gradients(normals, vertices)[0]])
    assert np.all(values == 0) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize("batch, vertices", [(0, 4), (2, 0)])
def test_empty_meshes_give_empty_normals(batch, vertices):
    empty = np.zeros((0, 3), np.int32)
    table = np.zeros((vertices, 8), np.int32)
    assert run(vertex_normals(tf.zeros([batch, vertices, 3]), empty, table)).shape == (
        batch,
        vertices,
        3,
    )


@pytest.mark.parametrize(
    "triangles, table, message",
    [
        ([[0, 1, 4]], np.zeros((4, 8)), "triangles must index"),
        ([[0, 1, -1]], np.zeros((4, 8)), "triangles must index"),
        ([[0, 1, 2]], np.full((4, 8), 2), "vertex_triangles must lie"),
        ([[0, 1, 2]], np.full((4, 8), -1), "vertex_triangles must lie"),
        ([[0, 1, 2]], np.zeros((3, 8)), "vertex_triangles must have shape"),
    ],
)
def test_indices_out_of_range_are_errors(triangles, table, message):
    normals = vertex_normals(
        tf.zeros([1, 4, 3]), np.array(triangles, np.int32), table.astype(np.int32)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        run(normals)
