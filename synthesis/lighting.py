"""Random light: uneven ambient light and up to three directional lights, as gamma coefficients.

Color = albedo * sum_k Y_k(n) (gamma_k + offset_k), with the basis Y of
``geometry.spherical_harmonics``.
"""

from typing import Tuple

import numpy as np

from geometry.spherical_harmonics import (
    AMBIENT_OFFSET,
    DIRECTIONAL_SCALES,
    IRRADIANCE_SCALES,
    SH_COUNT,
    harmonics_array,
)

_FLAT, _SLOPE = IRRADIANCE_SCALES[:2]  # factors of the bands of order 0 and 1

_LIGHT_COUNTS = (0.25, 0.45, 0.22, 0.08)  # probabilities of 0, 1, 2, 3 directional lights
_BRIGHTNESS = (0.6, 1.3)  # mean light on a face turned to the camera
_DIRECTIONAL_SHARE = (0.2, 0.85)  # of all light
_AZIMUTH_SPREAD = 1.25  # radians, standard deviation from the front
_HEIGHT_MEAN, _HEIGHT_SPREAD = 0.35, 0.75  # radians above the horizon
_AMBIENT_SLOPE = 0.12  # unevenness of the ambient light
_TINT_PROBABILITY, _DIRECTIONAL_TINT, _AMBIENT_TINT = 0.5, 0.15, 0.06
_LEAST_LIGHT = 0.25  # darker faces are brightened as if they had this much light


def directional_light(direction: np.ndarray) -> np.ndarray:
    """Return the coefficients [9] of a directional light of strength 1.

    Args:
        direction: [3] unit vector towards the light.
    """
    return harmonics_array(direction, DIRECTIONAL_SCALES)


def sample_light(random: np.random.RandomState) -> np.ndarray:
    """Sample gamma, [3, 9]: red, green and blue.

    The mean light on a face turned to the camera is uniform in 0.6..1.3; zero to three directional
    lights, mostly from the front and above, give a fifth to most of it; half of the faces' are
    tinted.
    """
    # 1. Number of directional lights, and their share of all light.
    count = random.choice(len(_LIGHT_COUNTS), p=_LIGHT_COUNTS)
    share = random.uniform(*_DIRECTIONAL_SHARE) if count else 0.0
    tinted = random.uniform() < _TINT_PROBABILITY

    # 2. Directional lights.
    light = np.zeros((3, SH_COUNT))
    for weight in random.dirichlet(np.ones(count)) if count else ():
        direction = _sample_direction(random)
        tint = _sample_tint(random, _DIRECTIONAL_TINT * tinted)
        light += share * weight * tint * directional_light(direction)

    # 3. Ambient light.
    slopes = random.standard_normal(SH_COUNT - 1)
    ambient = np.zeros(SH_COUNT)
    ambient[0] = (1 - share) / _FLAT
    ambient[1:] = (1 - share) * _AMBIENT_SLOPE * slopes * ([1] * 3 + [0.4] * 5)
    light += _sample_tint(random, _AMBIENT_TINT * tinted) * ambient

    # 4. Exposure: cameras set it by the mean over the face, not over the sphere.
    front = _mean_light(light)
    light *= random.uniform(*_BRIGHTNESS) / max(front, _LEAST_LIGHT)
    light[:, 0] -= AMBIENT_OFFSET
    return light


def linearize_light(gamma: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Approximate light to first order: flat[k] + slope[k] . n on channel k of a normal n.

    Args:
        gamma: [27] or [3, 9] light.

    Returns:
        slope [3, 3] and flat [3].
    """
    light = np.asarray(gamma, np.float64).reshape(3, SH_COUNT)
    directions = np.stack([-light[:, 3], -light[:, 1], light[:, 2]], axis=1)  # Y_1..3: -y, z, -x
    return _SLOPE * directions, _FLAT * (light[:, 0] + AMBIENT_OFFSET)


def evaluate_light(normals: np.ndarray, gamma: np.ndarray) -> np.ndarray:
    """Return the light on surfaces, to first order and at least 0.

    Args:
        normals: [..., 3] unit vectors in the world.
        gamma: [27] or [3, 9] light.

    Returns:
        [..., 3] RGB.
    """
    slope, flat = linearize_light(gamma)
    return np.maximum(normals.dot(slope.T) + flat, 0)


def _mean_light(light: np.ndarray) -> float:
    """Return the light on a face turned to the camera, averaged over channels and face."""
    return float(np.mean(_FLAT * light[:, 0] + 0.75 * _SLOPE * light[:, 2]))


def _sample_direction(random: np.random.RandomState) -> np.ndarray:
    """Sample the direction of a light, [3] unit vector."""
    azimuth = random.normal(0, _AZIMUTH_SPREAD)
    height = random.normal(_HEIGHT_MEAN, _HEIGHT_SPREAD)
    return np.array(
        [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]
    )


def _sample_tint(random: np.random.RandomState, strength: float) -> np.ndarray:
    """Sample a color [3, 1] of mean 1: warm to cool, with a little green or magenta."""
    warm = strength * random.standard_normal()
    green = 0.3 * strength * random.standard_normal()
    color = np.exp(np.array([warm, green, -warm]))
    return (color / color.mean())[:, np.newaxis]
