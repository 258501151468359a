"""Pose, identity and expression from 2-D landmarks: where analysis by synthesis starts.

Bounded least squares on the projected landmarks with Gaussian priors on the coefficients, as
in Blanz & Vetter, "Face Recognition Based on Fitting a 3D Morphable Model" (PAMI 2003),
section 4. Only the 68 landmark vertices are decoded, with analytic derivatives, so a face
takes a fraction of a second.
"""

from typing import NamedTuple

import numpy as np
import scipy.optimize

from face_model.coefficients import STATISTICAL_BOUND, expression_bounds
from face_model.landmark_basis import landmark_model
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, project
from geometry.landmarks import INNER_LANDMARKS, five_from_68
from geometry.rotation import rotation_matrices
from utils.workers import one_blas_thread

_ANGLE_BOUND = np.radians(100)
_TRANSLATION_BOUND = 3.0  # dm; the crop holds the face well within
_START_YAWS = np.radians((0.0, -45.0, 45.0))

LANDMARK_NOISE = 1.5  # pixels of the crop; what a good 68-point detector is off by
FIVE_POINT_NOISE = 2.5  # pixels of the crop

# A jaw landmark of a 2-D detector slides along the outline as the head turns and from person to
# person, and brows are drawn where hair is, so both say less about the vertices they stand for.
# With a trust of 0.25 in the jaw, mouths opened to reach the chin, and NME was 0.14 higher.
_JAW, _BROWS = slice(0, 17), slice(17, 27)
_JAW_TRUST, _BROW_TRUST = 0.05, 0.5
_INNER_TRUST = 46 / 51.0  # mean trust of the inner landmarks of a perfect detector, brows at a half
# Five points say nothing about expression: where the 68 are not trusted it stays close to neutral,
# its standard deviation that many times smaller (plus one).
_EXPRESSION_DOUBT = 6.0


class LandmarkFit(NamedTuple):
    """What the landmarks say about one face."""

    identity: np.ndarray  # [identities]
    expression: np.ndarray  # [expressions]
    angles: np.ndarray  # [3] radians
    translation: np.ndarray  # [3] dm
    error: float  # root mean square of the weighted residuals, pixels of the crop


def landmark_trust():
    """Return how far each of a detector's 68 points stands for its vertex, [68], 0..1."""
    trust = np.ones(68)
    trust[_JAW], trust[_BROWS] = _JAW_TRUST, _BROW_TRUST
    return trust


class LandmarkFitter:
    """Fits one face model to landmarks.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model):
        # 68 landmarks and, below them, the five alignment points: [73, 3(, K)]
        self._mean, self._basis = (
            np.concatenate([part, five_from_68(part, axis=0)]) for part in landmark_model(model))
        self._identity_count = model.identity_count
        expression = expression_bounds(model)
        identity = np.full(model.identity_count, STATISTICAL_BOUND)
        pose = np.concatenate([np.full(3, _ANGLE_BOUND), np.full(3, _TRANSLATION_BOUND)])
        self._bounds = (np.concatenate([-pose, -identity, expression[0]]),
                        np.concatenate([pose, identity, expression[1]]))

    def fit(self, landmarks, weights, five_points=None):
        """Fit pose, identity and expression to one face.

        Args:
            landmarks: [68, 2] crop pixels, y up.
            weights: [68] trust in each landmark, 0 (ignore) to 1.
            five_points: [5, 2] crop pixels, y up, or None.

        Returns:
            A :class:`LandmarkFit`.
        """
        with one_blas_thread():
            return self._fit(landmarks, weights, five_points)

    def _fit(self, landmarks, weights, five_points):
        points = np.zeros((73, 2))
        noise_inverse = np.zeros(73)
        points[:68], noise_inverse[:68] = landmarks, np.asarray(weights) / LANDMARK_NOISE
        if five_points is not None:
            points[68:], noise_inverse[68:] = five_points, 1 / FIVE_POINT_NOISE
        poses = [self._solve_pose(points, noise_inverse, yaw) for yaw in _START_YAWS]
        pose = min(poses, key=lambda solution: solution.cost).x
        start = np.concatenate([pose, np.zeros(self._basis.shape[2])])
        start = np.clip(start, self._bounds[0] + 1e-6, self._bounds[1] - 1e-6)
        prior = self._prior(np.asarray(weights))
        solution = scipy.optimize.least_squares(
            self._residuals, start, self._jacobian, self._bounds, x_scale="jac", max_nfev=40,
            args=(points, noise_inverse, prior), ftol=1e-5, xtol=1e-6)
        angles, translation, identity, expression = np.split(
            solution.x, [3, 6, 6 + self._identity_count])
        projected = project(self._world(solution.x)[0])
        squared = np.sum((projected - points) ** 2, axis=1) * noise_inverse ** 2
        error = np.sqrt(squared.sum() / max(np.sum(noise_inverse ** 2), 1e-12))
        return LandmarkFit(identity, expression, angles, translation, float(error))

    def _solve_pose(self, points, noise_inverse, yaw):
        """Fit the rigid pose of the mean face, starting from a yaw."""
        def residuals(pose):
            return self._data_residuals(pose, points, noise_inverse)

        def jacobian(pose):
            return self._data_jacobian(pose, noise_inverse)[:, :6]

        return scipy.optimize.least_squares(
            residuals, [0, yaw, 0, 0, 0, 0], jacobian, max_nfev=30, method="lm")

    def _world(self, parameters):
        """Return the 73 points in the world, in model space, and the rotation."""
        parameters = np.asarray(parameters)
        shape = self._mean
        if len(parameters) > 6:
            shape = shape + self._basis.dot(parameters[6:])
        rotation = rotation_matrices(parameters[:3])
        return shape.dot(rotation[0]) + parameters[3:6], shape, rotation

    def _data_residuals(self, parameters, points, noise_inverse):
        world = self._world(parameters)[0]
        return ((project(world) - points) * noise_inverse[:, np.newaxis]).reshape(-1)

    def _data_jacobian(self, parameters, noise_inverse):
        world, shape, rotation = self._world(parameters)
        depth = CAMERA_DISTANCE - world[:, 2]
        by_world = np.zeros((73, 2, 3))  # d(pixel) / d(world point)
        by_world[:, 0, 0] = by_world[:, 1, 1] = FOCAL_LENGTH / depth
        by_world[:, :, 2] = FOCAL_LENGTH * world[:, :2] / depth[:, np.newaxis] ** 2
        by_world *= noise_inverse[:, np.newaxis, np.newaxis]
        world_by_angles = np.stack([shape.dot(derivative) for derivative in rotation[1:]], axis=-1)
        world_by_shape = np.matmul(rotation[0].T, self._basis)
        columns = [by_world @ world_by_angles, by_world, by_world @ world_by_shape]
        return np.concatenate(columns, axis=2).reshape(146, -1)

    def _prior(self, weights):
        """Return the inverse standard deviation of every identity and expression coefficient."""
        prior = np.ones(self._basis.shape[2])
        trust = min(1.0, weights[INNER_LANDMARKS].mean() / _INNER_TRUST)
        prior[self._identity_count:] += _EXPRESSION_DOUBT * (1 - trust)
        return prior

    def _residuals(self, parameters, points, noise_inverse, prior):
        """Data residuals, then those of the Gaussian prior."""
        return np.concatenate([self._data_residuals(parameters, points, noise_inverse), prior * parameters[6:]])

    def _jacobian(self, parameters, points, noise_inverse, prior):
        by_prior = np.concatenate([np.zeros((len(prior), 6)), np.diag(prior)], axis=1)
        return np.concatenate([self._data_jacobian(parameters, noise_inverse), by_prior])
