"""Random light within the model's convention: a soft surrounding and up to three lamps."""

import numpy as np

from geometry.spherical_harmonics import AMBIENT_OFFSET, SH_BANDS

# Colour = albedo * sum_k Y_k(n) (gamma_k + offset_k), with Y as in face_decoder.spherical_harmonics,
# whose a_l are (pi, 2 pi / sqrt 3, 2 pi / sqrt 8). A lamp from direction d that lights a matt surface by
# max(0, n . d) has the coefficients Y_k(d) / a_l scaled by A_l / a_l, where A = (pi, 2 pi / 3, pi / 4)
# (Ramamoorthi & Hanrahan, SIGGRAPH 2001, eq. 8).
_FLAT = np.sqrt(np.pi) / 2  # Y_0
_FIRST = np.sqrt(3 / (4 * np.pi)) / np.sqrt(3)
_SECOND = np.sqrt(15 / (4 * np.pi)) / np.sqrt(8)

_LAMP_COUNTS = (0.25, 0.45, 0.22, 0.08)  # probabilities of 0, 1, 2, 3 lamps
_BRIGHTNESS = (0.6, 1.3)  # mean light on a surface that faces the camera
_LAMP_SHARE = (0.2, 0.85)  # of the light, from lamps
_LAMP_AZIMUTH, _LAMP_HEIGHT = 1.25, 0.75  # radians: standard deviation from the front, and about slightly above
_SURROUND_SLOPE = 0.12  # how uneven the surrounding is
_COLOUR_PROBABILITY, _LAMP_TINT, _SURROUND_TINT = 0.5, 0.15, 0.06


def lamp(direction):
    """Return the coefficients [9] of a lamp of strength 1 in the unit direction [3] (towards the lamp)."""
    x, y, z = direction
    return np.array([
        1 / (4 * _FLAT),
        -_FIRST * y, _FIRST * z, -_FIRST * x,
        _SECOND * x * y, -_SECOND * y * z, _SECOND * (3 * z * z - 1) / (2 * np.sqrt(3)), -_SECOND * x * z,
        _SECOND * (x * x - y * y) / 2])


def draw_light(random):
    """Draw gamma, [3, 9]: red, green and blue.

    The mean light of a surface towards the camera is uniform in 0.6..1.3; zero to three lamps,
    mostly before and above the face, give a fifth to most of it; half of the faces' are tinted.
    """
    count = random.choice(len(_LAMP_COUNTS), p=_LAMP_COUNTS)
    share = random.uniform(*_LAMP_SHARE) if count else 0.0
    tinted = random.uniform() < _COLOUR_PROBABILITY
    light = np.zeros((3, SH_BANDS))
    for weight in random.dirichlet(np.ones(count)) if count else ():
        direction = _draw_direction(random)
        light += share * weight * _tint(random, _LAMP_TINT * tinted) * lamp(direction)
    surround = np.zeros(SH_BANDS)
    surround[0] = (1 - share) / _FLAT
    surround[1:] = (1 - share) * _SURROUND_SLOPE * random.standard_normal(SH_BANDS - 1) * ([1] * 3 + [0.4] * 5)
    light += _tint(random, _SURROUND_TINT * tinted) * surround
    # What matters to a camera that sets its exposure is the mean over the face, not over the sphere.
    front = _mean_light(light)
    light *= random.uniform(*_BRIGHTNESS) / max(front, 0.25)
    light[:, 0] -= AMBIENT_OFFSET
    return light


def linear_light(gamma):
    """Return (slope [3, 3], flat [3]): the light on channel k of a normal n is about flat[k] + slope[k] . n."""
    light = np.asarray(gamma, np.float64).reshape(3, SH_BANDS)
    order1 = np.sqrt(np.pi)  # a_1 c_1
    # Y_1..3 = -ny, nz, -nx
    return order1 * np.stack([-light[:, 3], -light[:, 1], light[:, 2]], axis=1), _FLAT * (light[:, 0] + AMBIENT_OFFSET)


def light_on(normals, gamma):
    """Return the light [..., 3] on surfaces with normals [..., 3], first order only, at least 0."""
    slope, flat = linear_light(gamma)
    return np.maximum(normals.dot(slope.T) + flat, 0)


def _mean_light(light):
    """Return the light on a face turned to the camera, averaged over channels and face."""
    order1 = np.sqrt(np.pi)
    return float(np.mean(_FLAT * light[:, 0] + 0.75 * order1 * light[:, 2]))


def _draw_direction(random):
    azimuth, height = random.normal(0, _LAMP_AZIMUTH), random.normal(0.35, _LAMP_HEIGHT)
    return np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])


def _tint(random, strength):
    """Return a colour [3, 1] of mean 1, between warm and cool with a little green or magenta."""
    warm, green = strength * random.standard_normal(), 0.3 * strength * random.standard_normal()
    colour = np.exp(np.array([warm, green, -warm]))
    return (colour / colour.mean())[:, np.newaxis]
