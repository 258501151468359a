"""Losses of a network against known coefficients, as visible distances.

The scale of a coefficient has no meaning by itself. Each loss here converts errors of coefficients
to a distance that can be seen: millimeters of the surface, gray levels of skin and light, pixels of
the crop. For a linear model B c of N vertices, the root mean square displacement is
sqrt(d^T (B^T B) d / N): exact, and computed without decoding a vertex.
"""

from typing import Any, NamedTuple, Tuple

import numpy as np

from face_model import FaceModel
from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, MILLIMETERS_PER_DM, project
from geometry.landmark_layout import LANDMARK_COUNT
from geometry.normals import surface_normals
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import SH_COUNT, harmonics_array
from utils.tf_compat import Tensor, tf

_FACE_RADIUS = 100.0  # pixels of the crop: distance from its center where scale is measured
_SMOOTH = 1e-4  # added below square roots, whose slope at 0 is infinite; squared mm, levels, pixels


class CoefficientLossWeights(NamedTuple):
    """Weight of each term in the total loss; a pixel is about a millimeter."""

    shape: float = 1.0  # per mm
    albedo: float = 0.02  # per gray level
    landmark: float = 0.5  # per pixel
    rotation: float = 0.3  # per mm
    translation: float = 0.1  # per pixel
    depth: float = 0.1  # per pixel
    light: float = 0.02  # per gray level


class CoefficientLosses(NamedTuple):
    """The unweighted terms, each a scalar tensor: means over the batch."""

    shape: Tensor  # root mean square displacement of the vertices by identity and expression, mm
    albedo: Tensor  # root mean square change of the vertices' albedo, gray levels
    landmark: Tensor  # mean distance of the 68 projected landmarks, pixels
    rotation: Tensor  # mean displacement of the true landmarks in 3-D by the rotation, mm
    translation: Tensor  # displacement of the face in the picture, pixels
    depth: Tensor  # displacement of a point 100 pixels from the center by the change of scale
    light: Tensor  # root mean square change of the mean face's colors by the light, gray levels


class MetricMatrices(NamedTuple):
    """Matrices that convert errors of coefficients to distances, for one face model."""

    shape: np.ndarray  # [identity + expression, same], squared mm
    albedo: np.ndarray  # [albedo, albedo], squared gray levels
    light: np.ndarray  # [27, 27], squared gray levels
    landmark_mean: np.ndarray  # [68, 3] dm
    landmark_basis: np.ndarray  # [68, 3, identity + expression] dm


def build_metric_matrices(model: FaceModel) -> MetricMatrices:
    """Return the metric matrices of a face model."""
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1)
    basis = basis.astype(np.float64) * MILLIMETERS_PER_DM
    albedo = model.albedo_basis.astype(np.float64)
    mean, landmark_basis = landmark_model(model)
    return MetricMatrices(
        shape=basis.T.dot(basis) / model.vertex_count,
        albedo=albedo.T.dot(albedo) / albedo.shape[0],
        light=_light_metric(model),
        landmark_mean=mean,
        landmark_basis=landmark_basis,
    )


def _light_metric(model: FaceModel) -> np.ndarray:
    """Return the metric of gamma, averaged over channels and the mean face's front vertices.

    Returns:
        [27, 27] squared gray levels.
    """
    front = model.front_vertices
    normals = surface_normals(model.mean_shape.astype(np.float64), model.triangles)
    basis = harmonics_array(normals[front])  # [n, 9]
    metric = np.zeros((3 * SH_COUNT, 3 * SH_COUNT))
    for channel in range(3):
        lit = basis * model.mean_albedo[front, channel : channel + 1]
        bands = slice(SH_COUNT * channel, SH_COUNT * (channel + 1))
        metric[bands, bands] = lit.T.dot(lit) / (3 * len(front))
    return metric


def coefficient_losses(
    predicted: Tensor, truth: Tensor, labels: Tensor, model: FaceModel, matrices: MetricMatrices
) -> Tuple[CoefficientLosses, Tensor]:
    """Return the losses of a batch, and the predicted landmarks.

    Args:
        predicted: [B, coefficients].
        truth: [B, coefficients].
        labels: [B, 68, 2] crop pixels, y up.
        model: face model.
        matrices: metric matrices of the face model.

    Returns:
        The losses, and the landmarks of the prediction, [B, 68, 2].
    """
    # 1. Both faces: rotations and landmarks.
    sizes = coefficient_sizes(model)
    found, true = split_coefficients(predicted, sizes), split_coefficients(truth, sizes)
    rotation, true_rotation = rotation_matrix(found.angles), rotation_matrix(true.angles)
    shape, true_shape = (_landmark_shape(parts, matrices) for parts in (found, true))
    landmarks = project(_rotate(shape, rotation) + found.translation[:, tf.newaxis])

    # 2. Position and scale in the picture.
    offset = found.translation - true.translation
    per_depth = 1.0 / (CAMERA_DISTANCE - true.translation[:, 2])

    # 3. Losses.
    shape_error = tf.concat([found.identity - true.identity, found.expression - true.expression], 1)
    rotation_error = rotation - true_rotation
    losses = CoefficientLosses(
        shape=root_mean_square(shape_error, matrices.shape),
        albedo=root_mean_square(found.albedo - true.albedo, matrices.albedo),
        landmark=tf.reduce_mean(_length(landmarks - labels)),
        rotation=MILLIMETERS_PER_DM * tf.reduce_mean(_length(_rotate(true_shape, rotation_error))),
        translation=tf.reduce_mean(FOCAL_LENGTH * _length(offset[:, :2]) * per_depth),
        depth=tf.reduce_mean(_FACE_RADIUS * tf.abs(offset[:, 2]) * per_depth),
        light=root_mean_square(found.gamma - true.gamma, matrices.light),
    )
    return losses, landmarks


def total_coefficient_loss(losses: CoefficientLosses, weights: CoefficientLossWeights) -> Tensor:
    """Return the weighted sum of the losses."""
    return tf.add_n([getattr(weights, name) * value for name, value in losses._asdict().items()])


def _landmark_shape(parts: Any, matrices: MetricMatrices) -> Tensor:
    """Return the landmarks of ``face_model.coefficients.Coefficients`` in model space, dm.

    Returns:
        [B, 68, 3].
    """
    basis = matrices.landmark_basis.reshape(-1, matrices.landmark_basis.shape[-1])
    coefficients = tf.concat([parts.identity, parts.expression], axis=1)
    moved = tf.matmul(coefficients, basis.T.astype(np.float32))
    mean = matrices.landmark_mean.astype(np.float32)
    return tf.reshape(moved, [-1, LANDMARK_COUNT, 3]) + mean


def _rotate(points: Tensor, rotation: Tensor) -> Tensor:
    """Return points @ rotation as sums of products, which are computed in float32 in any precision.

    Args:
        points: [B, n, 3].
        rotation: [B, 3, 3].
    """
    return tf.reduce_sum(points[..., tf.newaxis] * rotation[:, tf.newaxis], axis=2)


def root_mean_square(difference: Tensor, matrix: np.ndarray) -> Tensor:
    """Return the mean over the batch of sqrt(d^T M d); difference d is [B, c], M is [c, c].

    Args:
        difference: errors of coefficients.
        matrix: their metric, one of :class:`MetricMatrices` or a block of it.
    """
    squared = tf.reduce_sum(tf.matmul(difference, matrix.astype(np.float32)) * difference, axis=1)
    return tf.reduce_mean(tf.sqrt(tf.maximum(squared, 0.0) + _SMOOTH))


def _length(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors [..., n]."""
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1) + _SMOOTH * 1e-4)
