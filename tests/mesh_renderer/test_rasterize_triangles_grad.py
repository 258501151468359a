"""Gradients at four scales: one pixel, the operation, the renderer, a converging optimization."""

import math

import numpy as np
import pytest

from mesh_renderer.rasterize_triangles import (
    Rasterization,
    interpolate_attributes,
    rasterize_triangles,
)
from mesh_renderer.render import render
from tests.mesh_renderer import rasterizer_reference as reference
from utils.tf_compat import tf

ONE = np.array([[0, 1, 2]], np.int32)
CAMERA = dict(focal_length=60.0, camera_distance=5.0, near=0.1, far=20.0)


def numeric_gradient(function, point, step=1e-6):
    """Return d function / d point by central differences, in double precision."""
    gradient = np.zeros(point.shape)
    for index in np.ndindex(*point.shape):
        shift = np.zeros(point.shape)
        shift[index] = step
        gradient[index] = (function(point + shift) - function(point - shift)) / (2 * step)
    return gradient


def gradients_of_barycentrics(vertices, triangles, width, height, weights):
    """Return the operation's gradient of sum(weights * barycentrics), and the rasterization."""
    with tf.Graph().as_default(), tf.Session() as session:
        clip = tf.constant(vertices, tf.float32)
        pixels = rasterize_triangles(clip, triangles, width, height)
        loss = tf.reduce_sum(pixels.barycentric_coordinates * np.asarray(weights, np.float32))
        return session.run([tf.gradients(loss, clip)[0], pixels])


def relative_error(actual, expected):
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("corner", range(3))
@pytest.mark.parametrize(
    "w", [(1, 1, 1), (1, 2, 4), (3, 0.5, -0.2)], ids=["flat", "tilted", "through the camera"]
)
def test_one_pixel(corner, w):
    w = np.array(w, np.float64)
    corners = np.array([[-0.7, -0.8], [0.9, -0.5], [0.1, 0.9]]) * np.abs(w)[:, np.newaxis]
    vertices = np.concatenate([corners, np.zeros((3, 1)), w[:, np.newaxis]], axis=1)[np.newaxis]
    weights = np.zeros([1, 1, 1, 3])
    weights[..., corner] = 1
    gradient, pixels = gradients_of_barycentrics(vertices, ONE, 1, 1, weights)
    assert pixels.mask.all()

    def barycentric(moved):
        return reference.visible_barycentrics(
            moved[0], ONE, pixels.triangle_ids[0], pixels.mask[0, ..., 0]
        )[0, 0, corner]

    assert relative_error(gradient, numeric_gradient(barycentric, vertices)) < 1e-5


@pytest.mark.parametrize(
    "count, spread", [(12, 0.6), (30, 0.08)], ids=["large triangles", "triangles of a pixel"]
)
def test_kernel(count, spread):
    random = np.random.RandomState(0)
    size = 14
    centers = random.uniform(-0.8, 0.8, (count, 1, 2))
    w = random.uniform(9, 11, (count, 3, 1))
    xy = (centers + spread * random.standard_normal((count, 3, 2))) * w
    vertices = np.concatenate(
        [xy, random.uniform(-0.9, 0.9, (count, 3, 1)) * w, w], axis=2
    ).reshape(1, -1, 4)
    vertices = vertices.astype(np.float32).astype(np.float64)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(count, 3)
    weights = random.standard_normal((1, size, size, 3))
    gradient, pixels = gradients_of_barycentrics(vertices, triangles, size, size, weights)
    seen = pixels.mask[0, ..., 0]
    assert len(np.unique(pixels.triangle_ids[0][seen > 0])) >= 4

    def loss(moved):
        return (
            weights[0]
            * reference.visible_barycentrics(moved[0], triangles, pixels.triangle_ids[0], seen)
        ).sum()

    assert relative_error(gradient, numeric_gradient(loss, vertices)) < 1e-4
    assert not gradient[..., 2].any()  # visibility is held fixed


def test_interpolation():
    random = np.random.RandomState(1)
    triangles = np.array([[0, 1, 2], [2, 1, 3], [4, 0, 3]], np.int32)
    attributes = random.standard_normal((2, 5, 7))
    ids = random.randint(0, 3, (2, 4, 6)).astype(np.int32)
    barycentrics = random.dirichlet([1, 1, 1], (2, 4, 6)) * random.randint(0, 2, (2, 4, 6, 1))
    weights = random.standard_normal((2, 4, 6, 7))

    def loss(attributes, barycentrics):
        return sum(
            (
                weights[i]
                * reference.interpolate(attributes[i], triangles, barycentrics[i], ids[i])
            ).sum()
            for i in range(2)
        )

    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.constant(value, tf.float32) for value in (attributes, barycentrics)]
        pixels = Rasterization(inputs[1], tf.constant(ids), None, None, None)
        image = interpolate_attributes(inputs[0], triangles, pixels)
        total = tf.reduce_sum(image * weights.astype(np.float32))
        value, d_attributes, d_barycentrics = session.run([total] + tf.gradients(total, inputs))
    assert abs(value - loss(attributes, barycentrics)) < 1e-4
    assert (
        relative_error(d_attributes, numeric_gradient(lambda a: loss(a, barycentrics), attributes))
        < 1e-5
    )
    # Empty pixels have no gradient.
    expected = numeric_gradient(lambda b: loss(attributes, b), barycentrics)
    expected *= barycentrics.sum(axis=-1, keepdims=True) > 0
    assert relative_error(d_barycentrics, expected) < 1e-5


def cube():
    """Return vertices [8, 3], triangles [12, 3] and colors [8, 3] of a cube around the origin."""
    vertices = np.array(list(np.ndindex(2, 2, 2)), np.float64) * 2 - 1
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [t for a, b, c, d in faces for t in ((a, b, c), (a, c, d))]
    return vertices, np.array(triangles, np.int32), (vertices + 1) / 2


def rotate(vertices, angles):
    """Return a tensor [1, N, 3], the vertices rotated about x, then y, by angles [2] in radians."""
    sin, cos = tf.sin(angles), tf.cos(angles)
    about_x = tf.reshape(tf.stack([1, 0, 0, 0, cos[0], -sin[0], 0, sin[0], cos[0]]), [3, 3])
    about_y = tf.reshape(tf.stack([cos[1], 0, sin[1], 0, 1, 0, -sin[1], 0, cos[1]]), [3, 3])
    return tf.matmul(
        tf.constant(vertices, tf.float32), tf.matmul(about_y, about_x), transpose_b=True
    )[tf.newaxis]


def test_renderer():
    vertices, triangles, colors = cube()
    random = np.random.RandomState(2)
    turned = vertices.dot(np.linalg.qr(random.standard_normal((3, 3)))[0])[np.newaxis]
    weights = random.standard_normal((1, 24, 24, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        world = tf.placeholder(tf.float32, [None, 8, 3])
        attributes = tf.placeholder(tf.float32, [None, 8, 3])
        rendering = render(
            world, attributes, triangles, image_size=24, **dict(CAMERA, focal_length=30.0)
        )
        loss = tf.reduce_sum(rendering.image * weights)
        feed = {world: turned, attributes: colors[np.newaxis]}
        d_world, d_colors, pixels = session.run(
            tf.gradients(loss, [world, attributes]) + [rendering], feed
        )
    seen = pixels.mask[0, ..., 0]
    assert seen.mean() > 0.2

    def clip_space(points):  # written out: focal length 30 px on 24 px, camera at (0, 0, 5)
        x, y, z = points.T
        return np.stack([2.5 * x, 2.5 * y, np.zeros_like(z), 5 - z], axis=1)

    def reference_loss(points, attributes):
        barycentrics = reference.visible_barycentrics(
            clip_space(points), triangles, pixels.triangle_ids[0], seen
        )
        image = reference.interpolate(attributes, triangles, barycentrics, pixels.triangle_ids[0])
        return (weights[0] * image).sum()

    expected = numeric_gradient(lambda points: reference_loss(points, colors), turned[0])
    assert relative_error(d_world[0], expected) < 1e-4
    expected = numeric_gradient(lambda attributes: reference_loss(turned[0], attributes), colors)
    assert relative_error(d_colors[0], expected) < 1e-4


def test_optimization_rotates_a_cube_to_its_target():
    vertices, triangles, colors = cube()
    target_angles = np.radians([-20.0, 60.0])
    with tf.Graph().as_default(), tf.Session() as session:
        angles = tf.get_variable(
            "angles", initializer=tf.constant(np.radians([0.0, 30.0]), tf.float32)
        )

        def image_at(angles):
            return render(
                rotate(vertices, angles),
                tf.constant(colors[np.newaxis], tf.float32),
                triangles,
                image_size=48,
                **CAMERA,
            ).image

        target = session.run(image_at(tf.constant(target_angles, tf.float32)))
        loss = tf.reduce_mean(tf.abs(image_at(angles) - target))
        step = tf.train.AdamOptimizer(0.03).minimize(loss)
        session.run(tf.global_variables_initializer())
        first = session.run(loss)
        for _ in range(120):
            session.run(step)
        last, found = session.run([loss, angles])
    assert last < 0.1 * first
    assert np.abs(np.degrees(found - target_angles)).max() < 2
    assert math.isfinite(last)
