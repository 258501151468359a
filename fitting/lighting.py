"""Light and albedo in closed form, for a known geometry.

With the shape fixed, the decoder's color of a vertex is bilinear in light and albedo; each is
the solution of a linear least-squares problem while the other is held. Compare Aldrian & Smith,
"Inverse Rendering of Faces with a 3D Morphable Model" (PAMI 2013), sections 4 and 5.
"""

from typing import NamedTuple, Tuple

import numpy as np

from face_model.coefficients import STATISTICAL_BOUND
from face_model.model import FaceModel
from geometry.camera import CAMERA_DISTANCE, IMAGE_SIZE, project, row_from_y_up
from geometry.spherical_harmonics import AMBIENT_OFFSET, SH_COUNT
from utils.workers import one_blas_thread

_SAMPLES = 3000  # vertices of the front region: plenty for 80 + 9 unknowns
_GRAZING = 0.15  # cosine between normal and viewing direction; vertices below it are skipped
_FEWEST_SAMPLES = 100  # with fewer, the crop hardly shows a face
_WEIGHT_FLOOR = 0.02  # weight of pixels that are surely not skin
_COLOR_NOISE = 12.0  # gray levels: standard deviation of a pixel from its predicted color
_EFFECTIVE_SAMPLES = 300.0  # independent samples: the errors of neighboring vertices correlate
_ROBUST_SCALE = 50.0  # gray levels of residual at which a sample keeps a quarter of its weight
_DARKEST_SHADING, _DARKEST_ALBEDO = 0.05, 1.0
_RIDGE = 0.01  # of the bands above the first, relative to the precision of the first


class SkinSamples(NamedTuple):
    """Colors of the photo at vertices visible in it."""

    vertices: np.ndarray  # [S] vertex indices
    colors: np.ndarray  # [S, 3] RGB, 0..255
    weights: np.ndarray  # [S] 0..1


def sample_skin(
    model: FaceModel,
    crop: np.ndarray,
    attention: np.ndarray,
    world: np.ndarray,
    normals: np.ndarray,
) -> SkinSamples:
    """Sample a photo at the vertices of the front region that face the camera.

    Args:
        model: a ``FaceModel``.
        crop: [224, 224, 3] uint8 RGB.
        attention: [224, 224] 0..1, weight of each pixel.
        world: [N, 3] posed vertices, dm.
        normals: [N, 3] their unit normals.

    Returns:
        :class:`SkinSamples`.
    """
    # 1. a subset of the front region, and the cosines between normals and viewing directions
    front = model.front_vertices[:: max(1, len(model.front_vertices) // _SAMPLES)]
    view = np.array([0, 0, CAMERA_DISTANCE]) - world[front]
    facing = np.sum(view * normals[front], axis=1) / np.linalg.norm(view, axis=1)

    # 2. the nearest pixel of each vertex
    pixels = project(world[front])
    columns = np.round(pixels[:, 0]).astype(int)
    rows = np.round(row_from_y_up(pixels[:, 1])).astype(int)
    inside = (columns >= 0) & (columns < IMAGE_SIZE) & (rows >= 0) & (rows < IMAGE_SIZE)
    kept = inside & (facing > _GRAZING)
    rows, columns = rows[kept], columns[kept]

    weights = np.maximum(attention[rows, columns], _WEIGHT_FLOOR) * facing[kept]
    return SkinSamples(front[kept], crop[rows, columns].astype(np.float64), weights)


def solve_light_and_albedo(
    model: FaceModel, samples: SkinSamples, harmonics: np.ndarray, rounds: int = 3
) -> Tuple[np.ndarray, np.ndarray]:
    """Fit light and albedo to vertex colors, alternately.

    Light is white (the same for all channels), so that albedo explains the tone of the skin;
    a later descent may tint it against the gamma loss.

    Args:
        model: a ``FaceModel``.
        samples: :class:`SkinSamples`.
        harmonics: [N, 9] irradiance basis functions at the vertices.
        rounds: number of alternations.

    Returns:
        gamma [27] and albedo coefficients [albedos]; zeros if the samples are too few.
    """
    if len(samples.vertices) < _FEWEST_SAMPLES:
        return np.zeros(3 * SH_COUNT), np.zeros(model.albedo_count)
    with one_blas_thread():
        return _solve(model, samples, harmonics, rounds)


def _solve(
    model: FaceModel, samples: SkinSamples, harmonics: np.ndarray, rounds: int
) -> Tuple[np.ndarray, np.ndarray]:
    # 1. the albedo model and the harmonics at the sampled vertices
    harmonics = harmonics[samples.vertices].astype(np.float64)
    rows = (3 * samples.vertices[:, np.newaxis] + np.arange(3)).reshape(-1)
    basis = model.albedo_basis[rows].astype(np.float64)
    mean = model.mean_albedo[samples.vertices].astype(np.float64)

    # 2. light, then albedo, then robust weights from the residuals
    coefficients, weights = np.zeros(model.albedo_count), samples.weights
    for _ in range(rounds):
        albedo = np.maximum(mean + basis.dot(coefficients).reshape(-1, 3), _DARKEST_ALBEDO)
        light = _solve_white_light(harmonics, albedo, samples.colors, weights)
        shading = np.maximum(harmonics.dot(light), _DARKEST_SHADING)
        coefficients, residuals = _solve_albedo(basis, mean, shading, samples.colors, weights)
        weights = samples.weights / (1 + (residuals / _ROBUST_SCALE) ** 2) ** 2

    light[0] -= AMBIENT_OFFSET
    return np.tile(light, 3), np.clip(coefficients, -STATISTICAL_BOUND, STATISTICAL_BOUND)


def _solve_albedo(
    basis: np.ndarray,
    mean: np.ndarray,
    shading: np.ndarray,
    colors: np.ndarray,
    weights: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return albedo coefficients, with unit Gaussian prior, and the residual of each sample."""
    design = basis * np.repeat(shading, 3)[:, np.newaxis]
    target = (colors - mean * shading[:, np.newaxis]).reshape(-1)
    noise = len(shading) * _COLOR_NOISE**2
    precision = np.repeat(weights, 3) * (_EFFECTIVE_SAMPLES / noise)

    weighted = design * precision[:, np.newaxis]
    normal = weighted.T.dot(design) + np.eye(design.shape[1])
    coefficients = np.linalg.solve(normal, weighted.T.dot(target))
    residuals = np.linalg.norm((target - design.dot(coefficients)).reshape(-1, 3), axis=1)
    return coefficients, residuals


def _solve_white_light(
    harmonics: np.ndarray, albedo: np.ndarray, colors: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return [9] light, the same for all channels, by ridge regression towards even light."""
    design = (albedo[:, :, np.newaxis] * harmonics[:, np.newaxis, :]).reshape(-1, SH_COUNT)
    weighted = design * np.repeat(weights, 3)[:, np.newaxis]
    normal = weighted.T.dot(design)
    uneven = np.arange(1, SH_COUNT)
    normal[uneven, uneven] += _RIDGE * normal[0, 0]
    return np.linalg.solve(normal, weighted.T.dot(colors.reshape(-1)))
