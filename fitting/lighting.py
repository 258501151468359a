"""Light and albedo in closed form, once the geometry is known.

With the shape fixed, the decoder's colour of a vertex is bilinear in light and albedo; each is
a linear least-squares problem when the other is held. Compare Aldrian & Smith, "Inverse
Rendering of Faces with a 3D Morphable Model" (PAMI 2013), sections 4 and 5.
"""

from typing import NamedTuple

import numpy as np

from face_model.coefficients import STATISTICAL_BOUND
from geometry.camera import CAMERA_DISTANCE, IMAGE_SIZE, project, row_from_y_up
from geometry.spherical_harmonics import AMBIENT_OFFSET, SH_BANDS
from utils.workers import one_blas_thread

_SAMPLES = 3000  # of the front region's vertices: plenty for 80 + 9 unknowns
_GRAZING = 0.15  # cosine between normal and viewing direction below which a vertex is not used
_FEWEST_SAMPLES = 100  # with fewer there is no face to speak of
_WEIGHT_FLOOR = 0.02  # even what is surely not skin says a little
_COLOR_NOISE = 12.0  # grey levels by which light and albedo may miss a pixel
_EFFECTIVE_SAMPLES = 300.0  # neighbouring vertices see the same pixel and err together
_ROBUST_SCALE = 50.0  # grey levels at which a sample keeps a quarter of its weight
_DARKEST_SHADING, _DARKEST_ALBEDO = 0.05, 1.0


class SkinSamples(NamedTuple):
    """Colours of the photo at vertices that are seen in it."""

    vertices: np.ndarray  # [S] vertex indices
    colors: np.ndarray  # [S, 3] RGB, 0..255
    weights: np.ndarray  # [S] 0..1


def sample_skin(model, crop, attention, world, normals):
    """Sample a photo at the vertices of the front region that face the camera.

    Args:
        model: a ``FaceModel``.
        crop: [224, 224, 3] uint8 RGB.
        attention: [224, 224] 0..1, how much each pixel counts.
        world: [N, 3] posed vertices, dm.
        normals: [N, 3] their unit normals.

    Returns:
        :class:`SkinSamples`.
    """
    front = model.front_vertices[::max(1, len(model.front_vertices) // _SAMPLES)]
    view = np.array([0, 0, CAMERA_DISTANCE]) - world[front]
    facing = np.sum(view * normals[front], axis=1) / np.linalg.norm(view, axis=1)
    pixels = project(world[front])
    columns = np.round(pixels[:, 0]).astype(int)
    rows = np.round(row_from_y_up(pixels[:, 1])).astype(int)
    inside = (columns >= 0) & (columns < IMAGE_SIZE) & (rows >= 0) & (rows < IMAGE_SIZE)
    kept = inside & (facing > _GRAZING)
    rows, columns = rows[kept], columns[kept]
    weights = np.maximum(attention[rows, columns], _WEIGHT_FLOOR) * facing[kept]
    return SkinSamples(front[kept], crop[rows, columns].astype(np.float64), weights)


def solve_light_and_albedo(model, samples, harmonics, rounds=3):
    """Fit light and albedo to vertex colours, by turns.

    Light is white (the same for all channels), so that albedo explains the tone of the skin;
    a later descent may tint it against the gamma loss.

    Args:
        model: a ``FaceModel``.
        samples: :class:`SkinSamples`.
        harmonics: [N, 9] irradiance basis functions at the vertices.
        rounds: how often to alternate.

    Returns:
        gamma [27] and albedo coefficients [albedos]; zeros when there are too few samples.
    """
    if len(samples.vertices) < _FEWEST_SAMPLES:
        return np.zeros(3 * SH_BANDS), np.zeros(model.albedo_count)
    with one_blas_thread():
        return _solve(model, samples, harmonics, rounds)


def _solve(model, samples, harmonics, rounds):
    harmonics = harmonics[samples.vertices].astype(np.float64)
    rows = (3 * samples.vertices[:, np.newaxis] + np.arange(3)).reshape(-1)
    basis = model.albedo_basis[rows].astype(np.float64)
    mean = model.mean_albedo[samples.vertices].astype(np.float64)
    coefficients, weights = np.zeros(model.albedo_count), samples.weights
    for _ in range(rounds):
        albedo = np.maximum(mean + basis.dot(coefficients).reshape(-1, 3), _DARKEST_ALBEDO)
        light = _solve_white_light(harmonics, albedo, samples.colors, weights)
        shading = np.maximum(harmonics.dot(light), _DARKEST_SHADING)
        coefficients, residuals = _solve_albedo(basis, mean, shading, samples.colors, weights)
        weights = samples.weights / (1 + (residuals / _ROBUST_SCALE) ** 2) ** 2
    light[0] -= AMBIENT_OFFSET
    return np.tile(light, 3), np.clip(coefficients, -STATISTICAL_BOUND, STATISTICAL_BOUND)


def _solve_albedo(basis, mean, shading, colors, weights):
    """Return albedo coefficients, with unit Gaussian prior, and the residual of each sample."""
    design = basis * np.repeat(shading, 3)[:, np.newaxis]
    target = (colors - mean * shading[:, np.newaxis]).reshape(-1)
    precision = np.repeat(weights, 3) * (_EFFECTIVE_SAMPLES / (len(shading) * _COLOR_NOISE ** 2))
    weighted = design * precision[:, np.newaxis]
    coefficients = np.linalg.solve(weighted.T.dot(design) + np.eye(design.shape[1]), weighted.T.dot(target))
    residuals = np.linalg.norm((target - design.dot(coefficients)).reshape(-1, 3), axis=1)
    return coefficients, residuals


def _solve_white_light(harmonics, albedo, colors, weights):
    """Return [9] light, the same for all channels, by ridge regression towards even light."""
    design = (albedo[:, :, np.newaxis] * harmonics[:, np.newaxis, :]).reshape(-1, SH_BANDS)
    weighted = design * np.repeat(weights, 3)[:, np.newaxis]
    normal = weighted.T.dot(design)
    normal[np.arange(1, SH_BANDS), np.arange(1, SH_BANDS)] += 0.01 * normal[0, 0]
    return np.linalg.solve(normal, weighted.T.dot(colors.reshape(-1)))
