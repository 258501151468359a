"""Pose, identity and expression from 2-D landmarks: the start of analysis by synthesis.

Bounded least squares on the projected landmarks with Gaussian priors on the coefficients, as
in Blanz & Vetter, "Face Recognition Based on Fitting a 3D Morphable Model" (PAMI 2003),
section 4. Only the 68 landmark vertices are decoded, with analytic derivatives, so a face
takes a fraction of a second.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np
import scipy.optimize

from face_model.coefficients import STATISTICAL_BOUND, expression_bounds
from face_model.landmark_basis import landmark_model
from face_model.model import FaceModel
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, project
from geometry.landmark_layout import BROWS, INNER_LANDMARKS, JAW, LANDMARK_COUNT, five_from_68
from geometry.rotation import rotation_matrices
from utils.workers import one_blas_thread

_POINT_COUNT = LANDMARK_COUNT + 5  # the five alignment points follow the landmarks
_POSE_COUNT = 6  # three angles, then three translations
_ANGLE_BOUND = np.radians(100)
_TRANSLATION_BOUND = 3.0  # dm; a face within the crop is well inside
_START_YAWS = np.radians((0.0, -45.0, 45.0))

LANDMARK_NOISE = 1.5  # pixels of the crop: typical error of a good 68-point detector
FIVE_POINT_NOISE = 2.5  # pixels of the crop

# A jaw landmark of a 2-D detector slides along the outline as the head turns and from person to
# person, and brow landmarks follow the hair, so both correspond loosely to their vertices. With
# a jaw weight of 0.25, mouths opened to reach the chin, and NME was 0.14 higher.
_JAW_WEIGHT, _BROW_WEIGHT = 0.05, 0.5
# Mean weight of the inner landmarks at full confidence: 41 of weight 1, 10 in the brows.
_FULL_INNER_WEIGHT = 46 / 51.0
# Five points carry no information on the expression: without confidence in the 68 it stays close
# to neutral, its standard deviation divided by one plus this.
_EXPRESSION_STIFFNESS = 6.0


class LandmarkFit(NamedTuple):
    """Coefficients of one face, found from its landmarks."""

    identity: np.ndarray  # [identities]
    expression: np.ndarray  # [expressions]
    angles: np.ndarray  # [3] radians
    translation: np.ndarray  # [3] dm
    error: float  # root mean square of the weighted residuals, pixels of the crop


def correspondence_weights() -> np.ndarray:
    """Return how reliably each detected landmark corresponds to its vertex, [68], 0..1."""
    weights = np.ones(LANDMARK_COUNT)
    weights[JAW], weights[BROWS] = _JAW_WEIGHT, _BROW_WEIGHT
    return weights


class LandmarkFitter:
    """Fits one face model to landmarks.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model: FaceModel) -> None:
        # [73, 3] and [73, 3, K]
        self._mean, self._basis = (
            np.concatenate([part, five_from_68(part, axis=0)]) for part in landmark_model(model)
        )
        self._identity_count = model.identity_count

        # Bounds of pose, identity and expression, in this order.
        expression = expression_bounds(model)
        identity = np.full(model.identity_count, STATISTICAL_BOUND)
        pose = np.concatenate([np.full(3, _ANGLE_BOUND), np.full(3, _TRANSLATION_BOUND)])
        self._bounds = (
            np.concatenate([-pose, -identity, expression[0]]),
            np.concatenate([pose, identity, expression[1]]),
        )

    def fit(
        self,
        landmarks: np.ndarray,
        weights: np.ndarray,
        five_points: Optional[np.ndarray] = None,
    ) -> LandmarkFit:
        """Fit pose, identity and expression to one face.

        Args:
            landmarks: [68, 2] crop pixels, y up.
            weights: [68] confidence in each landmark, 0 (ignore) to 1.
            five_points: [5, 2] crop pixels, y up, or None.

        Returns:
            A :class:`LandmarkFit`.
        """
        with one_blas_thread():
            return self._fit(landmarks, weights, five_points)

    def _fit(
        self, landmarks: np.ndarray, weights: np.ndarray, five_points: Optional[np.ndarray]
    ) -> LandmarkFit:
        # 1. targets and their weights: 68 landmarks, then the five points
        points = np.zeros((_POINT_COUNT, 2))
        noise_inverse = np.zeros(_POINT_COUNT)
        points[:LANDMARK_COUNT] = landmarks
        noise_inverse[:LANDMARK_COUNT] = np.asarray(weights) / LANDMARK_NOISE
        if five_points is not None:
            points[LANDMARK_COUNT:], noise_inverse[LANDMARK_COUNT:] = (
                five_points,
                1 / FIVE_POINT_NOISE,
            )

        # 2. rigid pose of the mean face, the best from three yaws
        poses = [self._solve_pose(points, noise_inverse, yaw) for yaw in _START_YAWS]
        pose = min(poses, key=lambda solution: solution.cost).x

        # 3. pose, identity and expression together, within their bounds
        start = np.concatenate([pose, np.zeros(self._basis.shape[2])])
        start = np.clip(start, self._bounds[0] + 1e-6, self._bounds[1] - 1e-6)
        prior = self._prior(np.asarray(weights))
        solution = scipy.optimize.least_squares(
            self._residuals,
            start,
            self._jacobian,
            self._bounds,
            x_scale="jac",
            max_nfev=40,
            args=(points, noise_inverse, prior),
            ftol=1e-5,
            xtol=1e-6,
        )

        # 4. the parts of the solution, and its error
        angles, translation, identity, expression = np.split(
            solution.x, [3, _POSE_COUNT, _POSE_COUNT + self._identity_count]
        )
        projected = project(self._world(solution.x)[0])
        squared = np.sum((projected - points) ** 2, axis=1) * noise_inverse**2
        error = np.sqrt(squared.sum() / max(np.sum(noise_inverse**2), 1e-12))
        return LandmarkFit(identity, expression, angles, translation, float(error))

    def _solve_pose(
        self, points: np.ndarray, noise_inverse: np.ndarray, yaw: float
    ) -> scipy.optimize.OptimizeResult:
        """Fit the rigid pose of the mean face, starting from a yaw."""

        def residuals(pose: np.ndarray) -> np.ndarray:
            return self._data_residuals(pose, points, noise_inverse)

        def jacobian(pose: np.ndarray) -> np.ndarray:
            return self._data_jacobian(pose, noise_inverse)[:, :_POSE_COUNT]

        return scipy.optimize.least_squares(
            residuals, [0, yaw, 0, 0, 0, 0], jacobian, max_nfev=30, method="lm"
        )

    def _world(self, parameters: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the 73 points in the world and in model space, and the rotation matrices.

        Args:
            parameters: pose, followed by identity and expression or by nothing (the mean face).
        """
        parameters = np.asarray(parameters)
        shape = self._mean
        if len(parameters) > _POSE_COUNT:
            shape = shape + self._basis.dot(parameters[_POSE_COUNT:])
        rotation = rotation_matrices(parameters[:3])
        return shape.dot(rotation[0]) + parameters[3:_POSE_COUNT], shape, rotation

    def _data_residuals(
        self, parameters: np.ndarray, points: np.ndarray, noise_inverse: np.ndarray
    ) -> np.ndarray:
        """Return the weighted distances of the projected points, x and y by turns, [146]."""
        world = self._world(parameters)[0]
        return ((project(world) - points) * noise_inverse[:, np.newaxis]).reshape(-1)

    def _data_jacobian(self, parameters: np.ndarray, noise_inverse: np.ndarray) -> np.ndarray:
        """Return the derivatives of :meth:`_data_residuals` by all parameters, [146, 6 + K]."""
        world, shape, rotation = self._world(parameters)

        # 1. pixels by world points
        depth = CAMERA_DISTANCE - world[:, 2]
        by_world = np.zeros((_POINT_COUNT, 2, 3))
        by_world[:, 0, 0] = by_world[:, 1, 1] = FOCAL_LENGTH / depth
        by_world[:, :, 2] = FOCAL_LENGTH * world[:, :2] / depth[:, np.newaxis] ** 2
        by_world *= noise_inverse[:, np.newaxis, np.newaxis]

        # 2. world points by angles, translation (the identity matrix) and shape
        world_by_angles = np.stack([shape.dot(derivative) for derivative in rotation[1:]], axis=-1)
        world_by_shape = np.matmul(rotation[0].T, self._basis)
        columns = [by_world @ world_by_angles, by_world, by_world @ world_by_shape]
        return np.concatenate(columns, axis=2).reshape(2 * _POINT_COUNT, -1)

    def _prior(self, weights: np.ndarray) -> np.ndarray:
        """Return the inverse standard deviation of every identity and expression coefficient."""
        prior = np.ones(self._basis.shape[2])
        confidence = min(1.0, weights[INNER_LANDMARKS].mean() / _FULL_INNER_WEIGHT)
        prior[self._identity_count :] += _EXPRESSION_STIFFNESS * (1 - confidence)
        return prior

    def _residuals(
        self,
        parameters: np.ndarray,
        points: np.ndarray,
        noise_inverse: np.ndarray,
        prior: np.ndarray,
    ) -> np.ndarray:
        """Return the residuals of the points, then those of the Gaussian prior."""
        data = self._data_residuals(parameters, points, noise_inverse)
        return np.concatenate([data, prior * parameters[_POSE_COUNT:]])

    def _jacobian(
        self,
        parameters: np.ndarray,
        points: np.ndarray,
        noise_inverse: np.ndarray,
        prior: np.ndarray,
    ) -> np.ndarray:
        """Return the derivatives of :meth:`_residuals`."""
        by_prior = np.concatenate([np.zeros((len(prior), _POSE_COUNT)), np.diag(prior)], axis=1)
        return np.concatenate([self._data_jacobian(parameters, noise_inverse), by_prior])
