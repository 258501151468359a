"""Surfaces posed and lit in one pass, compared with TensorFlow's own operations."""

import numpy as np
import pytest

from face_model import read_face_model
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import illuminate, light_polynomial
from mesh_renderer.posed_surface import pose_surface
from tests.mesh_renderer.test_vertex_normals import reference as normals_reference
from tests.paths import TOY_MODEL
from utils.tf_compat import tf


def reference(vertices, albedo, triangles, vertex_triangles, rotation, translation, gamma):
    """Return world positions, normals and colors by the formulas of the decoder."""
    world = tf.matmul(vertices, rotation) + translation[:, tf.newaxis, :]
    normals = tf.matmul(normals_reference(vertices, triangles, vertex_triangles), rotation)
    return world, normals, illuminate(albedo, normals, gamma)


@pytest.fixture(scope="module")
def model():
    return read_face_model(TOY_MODEL)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def random_inputs(model, batch):
    random = np.random.RandomState(batch)
    shape = (batch,) + model.mean_shape.shape
    values = (
        model.mean_shape + random.normal(0, 0.02, shape),
        random.uniform(0, 255, shape),
        random.normal(0, 0.5, (batch, 3)),
        random.normal(0, 0.3, (batch, 3)),
        random.normal(0, 0.5, (batch, 27)),
    )
    return [tf.constant(value.astype("f4")) for value in values]


@pytest.mark.parametrize("batch", [1, 3])
def test_values_and_gradients_agree_with_the_formulas(model, batch):
    inputs = random_inputs(model, batch)
    vertices, albedo, angles, translation, gamma = inputs
    rotation = rotation_matrix(angles)
    mesh = (model.triangles, model.vertex_triangles)
    random = np.random.RandomState(5)
    weights = [
        random.standard_normal(vertices.shape.as_list()).astype("f4") * scale
        for scale in (1, 1, 0.01)
    ]
    results = []
    for surface in (
        pose_surface(
            vertices,
            albedo,
            *mesh,
            rotation=rotation,
            translation=translation,
            light=light_polynomial(gamma),
        ),
        reference(vertices, albedo, *mesh, rotation=rotation, translation=translation, gamma=gamma),
    ):
        loss = tf.add_n([tf.reduce_sum(value * weight) for value, weight in zip(surface, weights)])
        results.append(list(surface) + tf.gradients(loss, inputs))
    with tf.Session() as session:
        ours, expected = session.run(results)
    for one, other in zip(ours, expected):
        np.testing.assert_allclose(
            one / np.abs(other).max(), other / np.abs(other).max(), atol=3e-6
        )


def test_gradient_of_one_output_alone(model):
    """Outputs that the loss does not use contribute nothing."""
    vertices, albedo, angles, translation, gamma = random_inputs(model, 2)
    surface = pose_surface(
        vertices,
        albedo,
        model.triangles,
        model.vertex_triangles,
        rotation=rotation_matrix(angles),
        translation=translation,
        light=light_polynomial(gamma),
    )
    by_albedo, by_translation = tf.gradients(tf.reduce_sum(surface.world), [albedo, translation])
    with tf.Session() as session:
        by_albedo, by_translation = session.run([by_albedo, by_translation])
    assert not by_albedo.any()
    np.testing.assert_allclose(by_translation, model.vertex_count, rtol=1e-5)


def test_results_do_not_depend_on_the_number_of_threads(model):
    vertices, albedo, angles, translation, gamma = random_inputs(model, 3)
    surface = pose_surface(
        vertices,
        albedo,
        model.triangles,
        model.vertex_triangles,
        rotation=rotation_matrix(angles),
        translation=translation,
        light=light_polynomial(gamma),
    )
    fetches = list(surface) + tf.gradients(tf.square(surface.colors), [vertices, angles, gamma])
    found = []
    for threads in (1, 3):
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as session:
            found.append(session.run(fetches))
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "shapes, message",
    [
        ({0: (2, 4)}, "vertices must have shape"),
        ({1: (2, 5, 3)}, "albedo must have shape"),
        ({2: (1, 3, 3)}, "rotation must have shape"),
        ({3: (2, 4)}, "translation must have shape"),
        ({4: (2, 3, 8)}, "light must have shape"),
    ],
)
def test_wrong_shapes_are_errors(shapes, message):
    from mesh_renderer.operations import load_operations

    valid = {0: (2, 4, 3), 1: (2, 4, 3), 2: (2, 3, 3), 3: (2, 3), 4: (2, 3, 9)}
    valid.update(shapes)
    # Shapes unknown to the graph, so that the operation itself must check them.
    inputs = [tf.placeholder(tf.float32) for _ in valid]
    result = load_operations().mesh_renderer_posed_surface(
        *inputs, triangles=np.zeros((1, 3), np.int32), vertex_triangles=np.zeros((4, 8), np.int32)
    )
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError, match=message):
        session.run(result, {inputs[i]: np.zeros(shape) for i, shape in valid.items()})


def test_an_empty_batch_gives_empty_surfaces():
    surface = pose_surface(
        tf.zeros([0, 4, 3]),
        tf.zeros([0, 4, 3]),
        np.zeros((0, 3), np.int32),
        np.zeros((4, 8), np.int32),
        rotation=tf.zeros([0, 3, 3]),
        translation=tf.zeros([0, 3]),
        light=tf.zeros([0, 3, 9]),
    )
    with tf.Session() as session:
        assert session.run(surface).colors.shape == (0, 4, 3)
