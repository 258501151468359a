"""The published rasterizer, in place of ours, draws the same pictures with the same gradients."""

import numpy as np
import pytest

from face_decoder import decode_face, render_face
from face_model import read_face_model
from face_model.coefficients import coefficient_sizes
from mesh_renderer import published
from mesh_renderer.render import render_clip_space
from tests.paths import TOY_MODEL
from utils.errors import InputError
from utils.installed import is_installed
from utils.tf_compat import tf

SIZE = 96
DIFFERENT_PIXELS = 0  # allowed: both decide coverage by the same operations in the same order

needs_published = pytest.mark.skipif(
    not is_installed("rasterize_triangles"),
    reason="mesh_renderer 1.4 (requirements/published-rasterizer.txt, TensorFlow 1.12) is missing",
)


def random_scene(seed=0, batch=3, count=60):
    """Return clip vertices, colors and triangles of all sizes.

    Some triangles are partly behind the camera or beyond the planes.
    """
    random = np.random.RandomState(seed)
    vertices = random.uniform(-1.2, 1.2, (batch, count, 4)).astype(np.float32)
    vertices[..., 3] = random.uniform(0.5, 2.0, (batch, count))
    vertices[:, :3, 3] *= -1
    triangles = np.array(
        [random.choice(count, 3, replace=False) for _ in range(2 * count)], np.int32
    )
    return vertices, random.uniform(0, 255, (batch, count, 3)).astype(np.float32), triangles


def draw(monkeypatch, rasterizer, scene):
    """Render a scene and the gradients of a random function of its image."""
    monkeypatch.setenv(published.VARIABLE, rasterizer)
    vertices, colors, triangles = scene
    with tf.Graph().as_default(), tf.Session() as session:
        clip_vertices, attributes = (
            tf.placeholder(tf.float32, [None, None, 4]),
            tf.placeholder(tf.float32, [None, None, 3]),
        )
        rendering = render_clip_space(
            clip_vertices,
            attributes,
            triangles,
            image_width=SIZE,
            image_height=SIZE,
            front_triangles=triangles[::3],
        )
        weights = np.random.RandomState(9).standard_normal((SIZE, SIZE, 3)).astype(np.float32)
        gradients = tf.gradients(
            tf.reduce_sum(rendering.image * weights), [clip_vertices, attributes]
        )
        return session.run([rendering, gradients], {clip_vertices: vertices, attributes: colors})


@needs_published
@pytest.mark.parametrize("seed", range(3))
def test_random_scenes_agree(monkeypatch, seed):
    scene = random_scene(seed)
    ours, our_gradients = draw(monkeypatch, published.OWN, scene)
    theirs, their_gradients = draw(monkeypatch, published.PUBLISHED, scene)
    for name in ("mask", "front_mask", "triangle_ids"):
        assert np.sum(getattr(ours, name) != getattr(theirs, name)) <= DIFFERENT_PIXELS, name
    np.testing.assert_allclose(ours.image, theirs.image, atol=1e-3)  # gray levels
    np.testing.assert_allclose(ours.z_buffer, theirs.z_buffer, atol=1e-6)
    for our_gradient, their_gradient in zip(our_gradients, their_gradients):
        assert np.abs(our_gradient - their_gradient).max() < 1e-3 * np.abs(their_gradient).max()


@needs_published
def test_a_face_agrees(monkeypatch):
    model = read_face_model(TOY_MODEL)
    random = np.random.RandomState(1)
    coefficients = 0.3 * random.standard_normal((2, sum(coefficient_sizes(model)))).astype(
        np.float32
    )
    coefficients[:, -3:] = 0
    renderings = []
    for rasterizer in (published.OWN, published.PUBLISHED):
        monkeypatch.setenv(published.VARIABLE, rasterizer)
        with tf.Graph().as_default(), tf.Session() as session:
            renderings.append(
                session.run(render_face(decode_face(tf.constant(coefficients), model), model))
            )
    ours, theirs = renderings
    assert ours.mask.sum() > 10000
    assert np.sum(ours.mask != theirs.mask) <= DIFFERENT_PIXELS
    assert np.sum(ours.front_mask != theirs.front_mask) <= DIFFERENT_PIXELS
    assert np.mean(np.abs(ours.image - theirs.image)) < 1e-3  # gray levels


def test_an_unknown_or_missing_rasterizer_is_an_error(monkeypatch):
    scene = random_scene(count=4)
    with pytest.raises(InputError, match="RASTERIZER=opengl: there is no such rasterizer"):
        draw(monkeypatch, "opengl", scene)
    if not is_installed("rasterize_triangles"):
        with pytest.raises(
            InputError, match="needs TensorFlow 1.12 and the package mesh_renderer 1.4"
        ):
            draw(monkeypatch, published.PUBLISHED, scene)
