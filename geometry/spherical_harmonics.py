"""Light in nine spherical harmonics: the irradiance basis as a graph and as arrays.

Ramamoorthi & Hanrahan, "An Efficient Representation for Irradiance Environment Maps" (SIGGRAPH
2001). The basis functions of order l (0, 1, 2) are polynomials of the unit normal times a_l c_l:
a_l accounts for the cosine lobe, c_l normalizes the functions.
"""

import math
from typing import Any, List, Sequence

import numpy as np

from utils.tf_compat import Tensor, tf

SH_COUNT = 9  # basis functions up to second order
AMBIENT_OFFSET = (
    0.8  # added to the first coefficient of every channel: gamma = 0 is an evenly lit face
)
# a_l c_l of the orders l = 0, 1, 2 with the published
# a = (pi, 2 pi / sqrt 3, 2 pi / sqrt 8) and
# c = (1 / sqrt(4 pi), sqrt 3 / sqrt(4 pi), 3 sqrt 5 / sqrt(12 pi)).
IRRADIANCE_SCALES = (math.sqrt(math.pi) / 2, math.sqrt(math.pi), math.sqrt(15 * math.pi / 8))
# Gamma of a directional light that lights a matt surface by max(0, n . d), per order: A_l c_l / a_l
# with the true cosine lobe A = (pi, 2 pi / 3, pi / 4) (eq. 8).
DIRECTIONAL_SCALES = (
    1 / math.sqrt(4 * math.pi),
    1 / math.sqrt(4 * math.pi),
    math.sqrt(15 / (4 * math.pi)) / math.sqrt(8),
)
# Divisor of 3 z^2 - 1 in band 6.
_ZONAL_DIVISOR = 2 * math.sqrt(3)

# Monomials of the unit normal in which :func:`light_polynomial` expresses light:
# 1, x, y, z, xy, yz, zx, zz, xx - yy.
LIGHT_TERMS = 9
_ORDERS = (0, 1, 1, 1, 2, 2, 2, 2, 2)  # of the bands
# The polynomial of each band (row) over these monomials (columns), up to the scale of its order.
# fmt: off
POLYNOMIALS = np.array([
    # 1                   x   y   z  xy  yz  zx   zz                 xx - yy
    [1,                   0,  0,  0,  0,  0,  0,  0,                  0],
    [0,                   0, -1,  0,  0,  0,  0,  0,                  0],
    [0,                   0,  0,  1,  0,  0,  0,  0,                  0],
    [0,                  -1,  0,  0,  0,  0,  0,  0,                  0],
    [0,                   0,  0,  0,  1,  0,  0,  0,                  0],
    [0,                   0,  0,  0,  0, -1,  0,  0,                  0],
    [-1 / _ZONAL_DIVISOR, 0,  0,  0,  0,  0,  0,  3 / _ZONAL_DIVISOR, 0],
    [0,                   0,  0,  0,  0,  0, -1,  0,                  0],
    [0,                   0,  0,  0,  0,  0,  0,  0,                  1 / 2],
])
# fmt: on
_BANDS = np.array(IRRADIANCE_SCALES)[list(_ORDERS), np.newaxis] * POLYNOMIALS  # with their scales


def spherical_harmonics(normals: Tensor) -> Tensor:
    """Return the nine irradiance basis functions at each normal as a tensor, [B, N, 9].

    Args:
        normals: [B, N, 3] unit vectors.
    """
    x, y, z = tf.unstack(normals, axis=-1)
    constant = tf.fill(tf.shape(x), np.float32(IRRADIANCE_SCALES[0]))
    return tf.stack([constant] + _functions_1_to_8(x, y, z, IRRADIANCE_SCALES), axis=-1)


def harmonics_array(normals: np.ndarray, scales: Sequence[float] = IRRADIANCE_SCALES) -> np.ndarray:
    """Return the nine irradiance basis functions at each normal as an array, [..., 9] float64.

    Args:
        normals: [..., 3] unit vectors.
        scales: factor of each order; with :data:`DIRECTIONAL_SCALES` the result is the gamma of a
            directional light, its direction given in place of the normal.
    """
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    return np.stack([np.full(x.shape, scales[0])] + _functions_1_to_8(x, y, z, scales), axis=-1)


def harmonics_gradient(normals: np.ndarray) -> np.ndarray:
    """Return the derivatives of :func:`harmonics_array` by the normal, [..., 9, 3] float64.

    Args:
        normals: [..., 3] unit vectors.
    """
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    zero, one = np.zeros(x.shape), np.ones(x.shape)
    monomials = [  # their derivatives by x, y and z
        (zero, zero, zero),
        (one, zero, zero),
        (zero, one, zero),
        (zero, zero, one),
        (y, x, zero),
        (zero, z, y),
        (z, zero, x),
        (zero, zero, 2 * z),
        (2 * x, -2 * y, zero),
    ]
    derivatives = np.stack([np.stack(axes, axis=-1) for axes in monomials], axis=-2)
    return np.matmul(_BANDS, derivatives)


def _functions_1_to_8(x: Any, y: Any, z: Any, scales: Sequence[float]) -> List[Any]:
    """Return the :data:`POLYNOMIALS` of bands 1 to 8 times their scales, tensors or arrays.

    They are written out, because the order of the operations decides the last bits of results.
    """
    _, first, second = scales
    return [
        -first * y,
        first * z,
        -first * x,
        second * x * y,
        -second * y * z,
        second * (3 * z * z - 1) / _ZONAL_DIVISOR,
        -second * x * z,
        second * (x * x - y * y) / 2,
    ]


def illuminate(albedo: Tensor, normals: Tensor, gamma: Tensor) -> Tensor:
    """Return lit vertex colors, [B, N, 3]: albedo times irradiance, channel by channel.

    Args:
        albedo: [B, N, 3] RGB.
        normals: [B, N, 3] unit vectors in the world.
        gamma: [B, 27] light, nine coefficients for red, then green, then blue.
    """
    offset = np.zeros([1, 1, SH_COUNT], np.float32)
    offset[..., 0] = AMBIENT_OFFSET
    light = tf.reshape(gamma, [-1, 3, SH_COUNT]) + offset
    return albedo * tf.matmul(spherical_harmonics(normals), light, transpose_b=True)


def irradiance(normals: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return the factors of albedo by which a surface is lit, [..., 3] for red, green and blue.

    The array counterpart of :func:`illuminate`.

    Args:
        normals: [..., 3] unit vectors in the world.
        gamma: [27] light, nine coefficients for red, then green, then blue.
    """
    light = np.array(gamma, np.float64).reshape(3, SH_COUNT)
    light[:, 0] += AMBIENT_OFFSET
    return harmonics_array(normals).dot(light.T)


def light_polynomial(gamma: Tensor) -> Tensor:
    """Return light as a polynomial of the normal, [B, 3, 9], see ``mesh_renderer.posed_surface``.

    It equals the sum of the :func:`spherical_harmonics` weighted by gamma and ambient offset.

    Args:
        gamma: [B, 27] light, nine coefficients for red, then green, then blue.

    Returns:
        [B, 3, :data:`LIGHT_TERMS`] coefficients of the monomials for red, green and blue.
    """
    ambient = AMBIENT_OFFSET * _BANDS[0]
    flat = tf.matmul(tf.reshape(gamma, [-1, SH_COUNT]), np.float32(_BANDS)) + np.float32(ambient)
    return tf.reshape(flat, [-1, 3, LIGHT_TERMS])
