"""From 257 coefficients to a posed, lit and rendered face.

The decoder of Deng et al., "Accurate 3D Face Reconstruction with Weakly-Supervised
Learning" (CVPRW 2019, section 3), as pure functions that build a differentiable graph.

Conventions: lengths in decimetres; world axes x right, y up, z towards the camera, which
stands at (0, 0, 10) and looks at the origin; angles in radians. Landmarks are pixels of the
224x224 crop with **y up**; images store their top row first and are BGR, 0..255.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from mesh_renderer.linear_model import linear_model
from mesh_renderer.posed_surface import LIGHT_TERMS, posed_surface
from mesh_renderer.render import render
from tf_runtime import tf

IMAGE_SIZE = 224
FOCAL_LENGTH = 1015.0  # pixels
PRINCIPAL_POINT = IMAGE_SIZE / 2.0
CAMERA_DISTANCE = 10.0  # dm, from the world's origin
NEAR_PLANE, FAR_PLANE = 0.01, 50.0  # dm

ANGLE_COUNT = 3
SH_BANDS = 9  # spherical-harmonic basis functions up to second order
GAMMA_COUNT = 3 * SH_BANDS
TRANSLATION_COUNT = 3
AMBIENT_OFFSET = 0.8  # added to band 0 of every channel: gamma = 0 is an evenly lit face

# Ramamoorthi & Hanrahan, "An Efficient Representation for Irradiance Environment Maps"
# (SIGGRAPH 2001): a_l carries the cosine lobe, c_l normalises the basis functions.
_A = (math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8))
_C = (1 / math.sqrt(4 * math.pi), math.sqrt(3) / math.sqrt(4 * math.pi),
      3 * math.sqrt(5) / math.sqrt(12 * math.pi))


class Coefficients(NamedTuple):
    """The coefficient vector, split. Tensors (or arrays) with the batch first."""

    identity: Any  # [B, 80] standard deviations
    expression: Any  # [B, 64] standard deviations (open model: action weights)
    albedo: Any  # [B, 80] standard deviations
    angles: Any  # [B, 3] rotation about x, y, z
    gamma: Any  # [B, 27] light, nine bands for red, then green, then blue
    translation: Any  # [B, 3] dm


class Face(NamedTuple):
    """A decoded face, one row per image."""

    shape: Any  # [B, N, 3] vertices in model space, centred on the mean face
    world_shape: Any  # [B, N, 3] vertices in the world
    normals: Any  # [B, N, 3] unit vertex normals in the world
    albedo: Any  # [B, N, 3] RGB, 0..255 (not clipped)
    colors: Any  # [B, N, 3] RGB, albedo times light (not clipped)
    landmarks: Any  # [B, 68, 2] crop pixels, y up


class Rendering(NamedTuple):
    """A rendered batch."""

    image: Any  # [B, H, W, 3] BGR, 0 where no face is
    mask: Any  # [B, H, W, 1] 1 where any triangle covers the pixel centre
    front_mask: Any  # [B, H, W, 1] 1 where a triangle of the front region does


class Drawing(NamedTuple):
    """A batch of pictures."""

    picture: Any  # [B, H, W, 4] uint8 RGBA; zeros where no face is
    front: Any  # [B, H, W] bool, where a triangle of the front region covers the pixel centre


def coefficient_sizes(model):
    """Return the length of each part of the coefficient vector, in the order of the vector.

    Args:
        model: a ``FaceModel``.

    Returns:
        A :class:`Coefficients` of ints; (80, 64, 80, 3, 27, 3) for BFM09.
    """
    return Coefficients(model.identity_count, model.expression_count, model.albedo_count,
                        ANGLE_COUNT, GAMMA_COUNT, TRANSLATION_COUNT)


def split_coefficients(coefficients, sizes):
    """Split coefficient vectors into their parts.

    Args:
        coefficients: [B, sum(sizes)] tensor or array.
        sizes: what :func:`coefficient_sizes` returned.

    Returns:
        :class:`Coefficients` of views with the same batch.
    """
    ends = np.cumsum(sizes)
    return Coefficients(*(coefficients[:, end - size:end] for size, end in zip(sizes, ends)))


def decode_face(coefficients, model):
    """Build the graph from coefficients to a posed and lit face.

    Args:
        coefficients: [B, 257] float32 tensor (B may be unknown); the length follows the model.
        model: a ``FaceModel``; its arrays become constants of the graph.

    Returns:
        A :class:`Face` of float32 tensors.
    """
    parts = split_coefficients(coefficients, coefficient_sizes(model))
    with tf.name_scope("face_decoder"):
        shape = face_shape(parts.identity, parts.expression, model)
        albedo = face_albedo(parts.albedo, model)
        rotation = rotation_matrix(parts.angles)
        surface = posed_surface(
            shape, albedo, model.triangles, model.vertex_triangles, rotation=rotation,
            translation=parts.translation, light=light_polynomial(parts.gamma))
        landmarks = project(tf.gather(surface.world, model.landmarks, axis=1))
        return Face(shape, surface.world, surface.normals, albedo, surface.colors, landmarks)


def render_face(face, model, image_size=IMAGE_SIZE):
    """Render a decoded face with its lit colours and with the mask of its front region.

    Gradients flow through the barycentric coordinates to ``face.world_shape`` and to
    ``face.colors``; visibility and the masks have none.

    Args:
        face: a :class:`Face`.
        model: the ``FaceModel`` it was decoded with.
        image_size: width and height in pixels; the focal length scales along.

    Returns:
        A :class:`Rendering`.
    """
    rendering = _render(face.world_shape, face.colors, model, image_size)
    return Rendering(tf.reverse(rendering.image, axis=[-1]), rendering.mask, rendering.front_mask)


def draw_face(face, model, image_size=IMAGE_SIZE):
    """Render a decoded face as a picture to be looked at; arguments as of :func:`render_face`, without gradients.

    Returns:
        A :class:`Drawing`.
    """
    # A fourth attribute, the same everywhere, comes out as the mask: no other pass over the pixels makes RGBA.
    opaque = tf.fill(tf.concat([tf.shape(face.colors)[:2], [1]], axis=0), 255.0)
    rendering = _render(face.world_shape, tf.concat([face.colors, opaque], axis=2), model, image_size)
    picture = tf.cast(tf.round(tf.clip_by_value(rendering.image, 0.0, 255.0)), tf.uint8)
    return Drawing(picture, rendering.front_mask[..., 0] > 0)


def _render(world_shape, attributes, model, image_size):
    """Render vertex attributes with the camera of the crops."""
    return render(
        world_shape, attributes, model.triangles, front_triangles=model.front_triangles,
        image_size=image_size, focal_length=FOCAL_LENGTH * image_size / IMAGE_SIZE,
        camera_distance=CAMERA_DISTANCE, near=NEAR_PLANE, far=FAR_PLANE)


def face_shape(identity, expression, model):
    """Return vertex positions in model space, [B, N, 3]: mean + identity + expression.

    The mean over the vertices of the mean shape is subtracted, so that the head turns
    about its middle.
    """
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    mean = model.mean_shape - model.mean_shape.mean(axis=0, keepdims=True, dtype=np.float64)
    return _linear_model(tf.concat([identity, expression], axis=1), basis, mean)


def face_albedo(albedo, model):
    """Return vertex albedo, [B, N, 3] RGB, 0..255 (not clipped)."""
    return _linear_model(albedo, model.albedo_basis, model.mean_albedo)


def _linear_model(coefficients, basis, mean):
    """Return mean + basis @ coefficients as [B, N, 3]."""
    return tf.reshape(linear_model(coefficients, basis, mean.reshape(-1)), [-1, mean.shape[0], 3])


def rotation_matrix(angles):
    """Return R = (Rz Ry Rx)^T, [B, 3, 3], to be applied to row vectors: ``world = shape @ R``.

    Args:
        angles: [B, 3] rotations about x, y and z, radians.
    """
    sin, cos = tf.unstack(tf.sin(angles), axis=1), tf.unstack(tf.cos(angles), axis=1)
    (sx, sy, sz), (cx, cy, cz) = sin, cos
    rows = [
        [cz * cy, sz * cy, -sy],
        [cz * sy * sx - sz * cx, sz * sy * sx + cz * cx, cy * sx],
        [cz * sy * cx + sz * sx, sz * sy * cx - cz * sx, cy * cx],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)


def spherical_harmonics(normals):
    """Return the nine irradiance basis functions at each normal, [B, N, 9].

    Args:
        normals: [B, N, 3] unit vectors.
    """
    nx, ny, nz = tf.unstack(normals, axis=-1)
    first, second = _A[1] * _C[1], _A[2] * _C[2]
    return tf.stack([
        tf.fill(tf.shape(nx), np.float32(_A[0] * _C[0])),
        -first * ny,
        first * nz,
        -first * nx,
        second * nx * ny,
        -second * ny * nz,
        second * (3 * nz * nz - 1) / (2 * math.sqrt(3)),
        -second * nx * nz,
        second * (nx * nx - ny * ny) / 2,
    ], axis=-1)


def illuminate(albedo, normals, gamma):
    """Return lit vertex colours, [B, N, 3]: albedo times irradiance, channel by channel.

    Args:
        albedo: [B, N, 3] RGB.
        normals: [B, N, 3] unit vectors in the world.
        gamma: [B, 27] light, nine bands for red, then green, then blue.
    """
    offset = np.zeros([1, 1, SH_BANDS], np.float32)
    offset[..., 0] = AMBIENT_OFFSET
    light = tf.reshape(gamma, [-1, 3, SH_BANDS]) + offset
    return albedo * tf.matmul(spherical_harmonics(normals), light, transpose_b=True)


def light_polynomial(gamma):
    """Return light as a polynomial of the normal, [B, 3, 9], see ``mesh_renderer.posed_surface``.

    The same light as the sum of the :func:`spherical_harmonics` weighed by gamma.

    Args:
        gamma: [B, 27] light, nine bands for red, then green, then blue.
    """
    first, second = _A[1] * _C[1], _A[2] * _C[2]
    # Bands by the terms 1, x, y, z, xy, yz, zx, zz, xx - yy.
    terms = np.zeros((SH_BANDS, LIGHT_TERMS))
    terms[0, 0] = _A[0] * _C[0]
    terms[1, 2], terms[2, 3], terms[3, 1] = -first, first, -first
    terms[4, 4], terms[5, 5], terms[7, 6] = second, -second, -second
    terms[6, 7], terms[6, 0] = np.array([3, -1]) * second / (2 * math.sqrt(3))
    terms[8, 8] = second / 2
    ambient = AMBIENT_OFFSET * terms[0]
    flat = tf.matmul(tf.reshape(gamma, [-1, SH_BANDS]), np.float32(terms)) + np.float32(ambient)
    return tf.reshape(flat, [-1, 3, LIGHT_TERMS])


def project(points):
    """Project world points into the 224x224 crop.

    Args:
        points: [..., 3] dm.

    Returns:
        [..., 2] pixels, x right, **y up**.
    """
    depth = CAMERA_DISTANCE - points[..., 2:]
    return FOCAL_LENGTH * points[..., :2] / depth + PRINCIPAL_POINT


def row_from_y_up(y, image_size=IMAGE_SIZE):
    """Turn a y-up pixel coordinate into an image row, or back: the map is its own inverse."""
    return image_size - 1 - y
