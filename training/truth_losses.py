"""Losses of a network whose right answers are known: coefficients weighted by what they move.

Errors of coefficients mean nothing by themselves; each loss here is a distance that can be
seen: millimetres of the surface, grey levels of skin and light, pixels of the crop. For a linear
model B c of N vertices, the root mean square displacement is sqrt(d^T (B^T B) d / N): exact, and
without decoding a vertex.
"""

from typing import Any, NamedTuple

import numpy as np

from face_model.coefficients import coefficient_sizes, split_coefficients
from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, MILLIMETERS_PER_DM, project
from geometry.normals import surface_normals
from geometry.rotation import rotation_matrix
from geometry.spherical_harmonics import SH_BANDS, harmonics_array
from utils.tf_compat import tf

_FACE_RADIUS = 100.0  # pixels of the crop: how far from the middle a change of size is measured
_SMOOTH = 1e-4  # added below square roots, whose slope at 0 is infinite; in squared mm, levels, pixels


class TruthWeights(NamedTuple):
    """Weight of each term in the total loss; a pixel is about a millimetre."""

    shape: float = 1.0  # per mm
    albedo: float = 0.02  # per grey level
    landmark: float = 0.5  # per pixel
    rotation: float = 0.3  # per mm
    translation: float = 0.1  # per pixel
    depth: float = 0.1  # per pixel
    light: float = 0.02  # per grey level


class TruthLosses(NamedTuple):
    """The unweighted terms, each a scalar tensor: means over the batch."""

    shape: Any  # root mean square displacement of the vertices by identity and expression, mm
    albedo: Any  # root mean square change of the vertices' albedo, grey levels
    landmark: Any  # mean distance of the 68 projected landmarks, pixels
    rotation: Any  # mean displacement of the 68 landmarks of the true shape by the rotation, mm
    translation: Any  # displacement of the face in the picture, pixels
    depth: Any  # displacement of a point 100 pixels from the middle by the change in size, pixels
    light: Any  # root mean square change of the average face's colours by the light, grey levels


class TruthMeasures(NamedTuple):
    """What turns errors of coefficients into distances, for one face model."""

    shape: np.ndarray  # [identity + expression, same], squared mm
    albedo: np.ndarray  # [albedo, albedo], squared grey levels
    light: np.ndarray  # [27, 27], squared grey levels
    landmark_mean: np.ndarray  # [68, 3] dm
    landmark_basis: np.ndarray  # [68, 3, identity + expression] dm


def truth_measures(model):
    """Return the :class:`TruthMeasures` of a ``FaceModel``."""
    basis = np.concatenate([model.identity_basis, model.expression_basis], axis=1).astype(np.float64) * MILLIMETERS_PER_DM
    albedo = model.albedo_basis.astype(np.float64)
    mean, landmark_basis = landmark_model(model)
    return TruthMeasures(basis.T.dot(basis) / model.vertex_count, albedo.T.dot(albedo) / albedo.shape[0],
                         _light_measure(model), mean, landmark_basis)


def _light_measure(model):
    """Return the squared change of the mean face's front by gamma, averaged over vertices and channels."""
    front = model.front_vertices
    basis = harmonics_array(surface_normals(model.mean_shape.astype(np.float64), model.triangles)[front])  # [n, 9]
    measure = np.zeros((3 * SH_BANDS, 3 * SH_BANDS))
    for channel in range(3):
        lit = basis * model.mean_albedo[front, channel:channel + 1]
        bands = slice(SH_BANDS * channel, SH_BANDS * (channel + 1))
        measure[bands, bands] = lit.T.dot(lit) / (3 * len(front))
    return measure


def truth_losses(predicted, truth, labels, model, measures):
    """Return the :class:`TruthLosses` of a batch, and the predicted landmarks.

    Args:
        predicted, truth: [B, coefficients].
        labels: [B, 68, 2] crop pixels, y up.
        model: the ``FaceModel``.
        measures: its :class:`TruthMeasures`.

    Returns:
        (:class:`TruthLosses`, [B, 68, 2] landmarks of the prediction).
    """
    sizes = coefficient_sizes(model)
    mine, true = split_coefficients(predicted, sizes), split_coefficients(truth, sizes)
    turn, true_turn = rotation_matrix(mine.angles), rotation_matrix(true.angles)
    shape, true_shape = (_landmark_shape(parts, measures) for parts in (mine, true))
    landmarks = project(_turned(shape, turn) + mine.translation[:, tf.newaxis])
    offset = mine.translation - true.translation
    per_depth = 1.0 / (CAMERA_DISTANCE - true.translation[:, 2])
    return TruthLosses(
        shape=_rms(tf.concat([mine.identity - true.identity, mine.expression - true.expression], 1), measures.shape),
        albedo=_rms(mine.albedo - true.albedo, measures.albedo),
        landmark=tf.reduce_mean(_length(landmarks - labels)),
        rotation=MILLIMETERS_PER_DM * tf.reduce_mean(_length(_turned(true_shape, turn - true_turn))),
        translation=tf.reduce_mean(FOCAL_LENGTH * _length(offset[:, :2]) * per_depth),
        depth=tf.reduce_mean(_FACE_RADIUS * tf.abs(offset[:, 2]) * per_depth),
        light=_rms(mine.gamma - true.gamma, measures.light),
    ), landmarks


def total_truth_loss(losses, weights):
    """Return the weighted sum of :class:`TruthLosses`."""
    return tf.add_n([getattr(weights, name) * value for name, value in losses._asdict().items()])


def _landmark_shape(parts, measures):
    """Return landmarks in model space, [B, 68, 3]."""
    basis = measures.landmark_basis.reshape(-1, measures.landmark_basis.shape[-1]).T.astype(np.float32)
    moved = tf.matmul(tf.concat([parts.identity, parts.expression], axis=1), basis)
    return tf.reshape(moved, [-1, 68, 3]) + measures.landmark_mean.astype(np.float32)


def _turned(points, rotation):
    """Return points @ rotation; as sums of products, which reduced precision leaves alone."""
    return tf.reduce_sum(points[..., tf.newaxis] * rotation[:, tf.newaxis], axis=2)


def _rms(difference, measure):
    """Return the mean over the batch of sqrt(d^T M d)."""
    squared = tf.reduce_sum(tf.matmul(difference, measure.astype(np.float32)) * difference, axis=1)
    return tf.reduce_mean(tf.sqrt(tf.maximum(squared, 0.0) + _SMOOTH))


def _length(vectors):
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), axis=-1) + _SMOOTH * 1e-4)
