"""Light in nine spherical-harmonic bands: the irradiance basis as a graph and as arrays.

Ramamoorthi & Hanrahan, "An Efficient Representation for Irradiance Environment Maps" (SIGGRAPH
2001).
"""

import math

import numpy as np

from utils.tf_compat import tf

SH_BANDS = 9  # spherical-harmonic basis functions up to second order
AMBIENT_OFFSET = 0.8  # added to band 0 of every channel: gamma = 0 is an evenly lit face
# Ramamoorthi & Hanrahan, "An Efficient Representation for Irradiance Environment Maps"
# (SIGGRAPH 2001): a_l carries the cosine lobe, c_l normalises the basis functions.
_A = (math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8))
_C = (1 / math.sqrt(4 * math.pi), math.sqrt(3) / math.sqrt(4 * math.pi),
      3 * math.sqrt(5) / math.sqrt(12 * math.pi))


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


def harmonics(normals):
    """Return ``geometry.spherical_harmonics.spherical_harmonics`` of normals [..., 3] as an array, [..., 9]."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    order1 = np.sqrt(np.pi)  # a_1 c_1
    order2 = 2 * np.pi / np.sqrt(8) * 3 * np.sqrt(5) / np.sqrt(12 * np.pi)  # a_2 c_2
    return np.stack([
        np.full(x.shape, np.sqrt(np.pi) / 2), -order1 * y, order1 * z, -order1 * x, order2 * x * y, -order2 * y * z,
        order2 * (3 * z * z - 1) / (2 * np.sqrt(3)), -order2 * x * z, order2 * (x * x - y * y) / 2], axis=-1)


# What the light is a polynomial of, x, y, z being the unit normal in the world:
# 1, x, y, z, xy, yz, zx, zz, xx - yy.
LIGHT_TERMS = 9
