"""Pose and expression of a known person in many frames at once, from detected points.

The least-squares problem of ``fitting.landmarks`` with the identity fixed: the 478 points where
they are visible, the 68 landmarks of the network, hidden ones too, and Gaussian priors around the
angles and the expression that the coefficient network predicts. Frames are independent of each
other, so no error drifts from frame to frame; they are solved together, as batches of small
matrices.
"""

from typing import NamedTuple, Optional, Tuple

import numpy as np

from face_model.coefficients import expression_bounds
from face_model.dense_points import dense_points
from face_model.landmark_basis import vertex_model
from face_model.model import FaceModel, neutral_shape
from fitting.dense_evidence import ROBUST, dense_noise, regional_normals, visibility
from fitting.landmarks import (
    ANGLE_BOUND,
    DAMPING,
    LANDMARK_NOISE,
    LESS,
    MORE,
    POSE_COUNT,
    START_YAWS,
    TRANSLATION_BOUND,
    correspondence_weights,
)
from geometry.camera import CAMERA_DISTANCE, FOCAL_LENGTH, PRINCIPAL_POINT
from geometry.rotation import rotation_with_derivatives
from utils.workers import map_in_threads, one_blas_thread

# Fewer than for a photo, as the network guides them; the first ones only tell which points count.
_POSE_STEPS, _FIRST_STEPS, _STEPS = 10, 3, 14
_TOLERANCE = 1e-3  # relative change of the cost, of the last step: far below the noise
_BATCH = 16  # frames solved together
_MOST_THREADS = 8  # that solve batches; each one holds some ten megabytes
# Standard deviations of the priors: of the expression around rest, and of expression and angles
# (radians) around a network's prediction. The points say more on the pose than the network, but
# they slide along the outline of a turned face.
_RESTING_SPREAD, _PREDICTED_SPREAD, _PREDICTED_ANGLE_SPREAD = 1.0, 0.3, 0.02


class FramePoints(NamedTuple):
    """Detected points of one face in T frames, in crops. Pixels, y up."""

    dense: np.ndarray  # [T, 478, 2]
    landmarks: np.ndarray  # [T, 68, 2]
    confidence: np.ndarray  # [T, 68] of the landmarks, 1 for an error of fitting.LANDMARK_NOISE
    # [T, 6 + expressions] angles, translation and expression of a network, or None
    predicted: Optional[np.ndarray] = None


class FrameFit(NamedTuple):
    """Pose and expression in T frames."""

    angles: np.ndarray  # [T, 3] radians
    translation: np.ndarray  # [T, 3] dm
    expression: np.ndarray  # [T, expressions]
    error: np.ndarray  # [T] root mean square of the weighted residuals, pixels
    landmarks: np.ndarray  # [T, 68, 2] of the fitted face, pixels of the crop, y up


class _Problem(NamedTuple):
    """Points, weights and priors of T frames."""

    targets: np.ndarray  # [T, P, 2] pixels, y up
    weights: np.ndarray  # [T, P] inverse standard deviations, 1 / pixels
    expected: np.ndarray  # [T, n] means of the priors
    prior: np.ndarray  # [n] inverse standard deviations of the priors, 0 for none

    def rows(self, at: np.ndarray) -> "_Problem":
        """Return the problem of some frames."""
        return self._replace(
            targets=self.targets[at], weights=self.weights[at], expected=self.expected[at]
        )


class PersonFitter:
    """Fits pose and expression of one person.

    Args:
        model: a ``FaceModel``.
        identity: [identities] of the person.
    """

    def __init__(self, model: FaceModel, identity: np.ndarray) -> None:
        # 1. the person's points, and how they move with the expression
        dense = dense_points(model)
        vertices = np.concatenate([dense.vertices, model.landmarks])
        mean, basis = vertex_model(model, vertices)
        identity = np.asarray(identity, np.float64)
        self._mean = mean + basis[..., : model.identity_count].dot(identity)
        self._basis = basis[..., model.identity_count :]
        self._flat_basis = np.moveaxis(self._basis, 1, 0).reshape(3, -1).astype(np.float32)
        shape = neutral_shape(model, identity)
        self._normals = regional_normals(shape, model.triangles, dense.vertices)

        # 2. spreads of the points, and distances at which they lose weight
        noise = dense_noise(dense.spread)
        self._inverse = np.concatenate([1 / noise, correspondence_weights() / LANDMARK_NOISE])
        self._scale = np.concatenate([ROBUST * dense.spread, np.full(len(model.landmarks), np.inf)])
        self._dense_count = len(dense.vertices)

        # 3. bounds of pose and expression
        lower, upper = expression_bounds(model)
        pose = np.array([ANGLE_BOUND] * 3 + [TRANSLATION_BOUND] * 3)
        self._lower = np.concatenate([-pose, lower])
        self._upper = np.concatenate([pose, upper])

    def fit(self, points: FramePoints) -> FrameFit:
        """Return the :class:`FrameFit` of all frames, by a thread for each processor."""
        batches = []
        for at in range(0, len(points.dense), _BATCH):
            rows = slice(at, at + _BATCH)
            some = FramePoints(
                points.dense[rows],
                points.landmarks[rows],
                points.confidence[rows],
                None if points.predicted is None else points.predicted[rows],
            )
            batches.append(some)
        with one_blas_thread():
            parts = list(map_in_threads(self._fit_batch, batches, _MOST_THREADS))
        return FrameFit(*(np.concatenate(columns) for columns in zip(*parts)))

    def _fit_batch(self, points: FramePoints) -> FrameFit:
        # 1. points of each frame, and their weights when all are visible
        count = len(points.dense)
        targets = np.concatenate([points.dense, points.landmarks], axis=1).astype(np.float64)
        ones = np.ones((count, self._dense_count))
        weights = np.concatenate([ones, points.confidence], axis=1) * self._inverse

        # 2. start and priors: the network's prediction, or a rigid pose of the resting face
        prior = np.zeros(POSE_COUNT + self._basis.shape[2])
        if points.predicted is not None:
            start = expected = points.predicted.astype(np.float64)
            prior[:3] = 1 / _PREDICTED_ANGLE_SPREAD
            prior[POSE_COUNT:] = 1 / _PREDICTED_SPREAD
        else:
            start = np.zeros((count, len(prior)))
            start[:, :POSE_COUNT] = self._find_pose(targets, weights)
            expected = np.zeros_like(start)
            prior[POSE_COUNT:] = 1 / _RESTING_SPREAD

        # 3. pose and expression from the visible points, robustly
        solution = start
        for steps in (_FIRST_STEPS, _STEPS):
            shown = weights.copy()
            shown[:, : self._dense_count] *= self._visibility(solution)
            kept = shown / (1 + (self._distances(solution, targets) / self._scale) ** 2)
            problem = _Problem(targets, kept, expected, prior)
            solution, _ = self._solve(solution, problem, steps)
        offsets = self._offsets(solution, targets)
        squares = np.sum((offsets * kept[..., np.newaxis]) ** 2, axis=(1, 2))
        return FrameFit(
            solution[:, :3],
            solution[:, 3:6],
            solution[:, 6:],
            np.sqrt(squares / np.sum(kept**2, axis=1)),
            (targets + offsets)[:, self._dense_count :],
        )

    def _find_pose(self, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the pose [T, 6] of the resting face, the best from three yaws."""
        candidates = []
        nothing = np.zeros((len(targets), POSE_COUNT))
        for yaw in START_YAWS:
            start = nothing.copy()
            start[:, 1] = yaw
            problem = _Problem(targets, weights, nothing, np.zeros(POSE_COUNT))
            candidates.append(self._solve(start, problem, _POSE_STEPS))
        best = np.argmin([cost for _, cost in candidates], axis=0)
        return np.array([pose for pose, _ in candidates])[best, np.arange(len(targets))]

    def _solve(
        self, start: np.ndarray, problem: "_Problem", steps: int
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Minimize the squared residuals of each frame by projected Levenberg-Marquardt steps.

        Args:
            start: [T, 6 or 6 + K] pose, and expression or none.
            problem: points, weights and priors.
            steps: largest number of steps.

        Returns:
            Parameters like ``start``, and half the squared residuals [T].
        """
        size = start.shape[1]
        lower, upper = self._lower[:size], self._upper[:size]
        x = np.clip(start, lower, upper)
        damping = np.full(len(x), DAMPING)
        cost, gradient, normal = self._linearize(x, problem)
        running = np.ones(len(x), bool)
        diagonal = np.arange(size)

        for _ in range(steps):
            # 1. damped steps of the parameters that are not held by their bounds
            at = np.flatnonzero(running)
            held = ((x[at] <= lower) & (gradient[at] > 0)) | ((x[at] >= upper) & (gradient[at] < 0))
            matrix = normal[at]
            matrix[:, diagonal, diagonal] *= 1 + damping[at, np.newaxis]
            matrix[:, diagonal, diagonal] += 1e-12
            matrix *= ~held[:, :, np.newaxis] & ~held[:, np.newaxis, :]
            matrix[:, diagonal, diagonal] += held
            step = np.linalg.solve(matrix, (gradient[at] * ~held)[..., np.newaxis])[..., 0]
            moved = np.clip(x[at] - step, lower, upper)

            # 2. accepted where they are better
            trial, slope, curvature = self._linearize(moved, problem.rows(at))
            better = trial < cost[at]
            done = np.where(better, cost[at] - trial < _TOLERANCE * cost[at], damping[at] > 1e5)
            chosen = at[better]
            x[chosen], cost[chosen] = moved[better], trial[better]
            gradient[chosen], normal[chosen] = slope[better], curvature[better]
            damping[at] *= np.where(better, LESS, MORE)
            running[at] = ~done
            if not running.any():
                break
        return x, cost

    def _pose(self, x: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return world points [T, P, 3], shapes [T, P, 3], and rotations [T, 4, 3, 3]."""
        shape = np.broadcast_to(self._mean, (len(x),) + self._mean.shape)
        if x.shape[1] > POSE_COUNT:
            flat = self._basis.reshape(-1, self._basis.shape[2])
            shape = shape + x[:, POSE_COUNT:].dot(flat.T).reshape(shape.shape)
        rotations = np.stack([rotation_with_derivatives(angles) for angles in x[:, :3]])
        world = np.matmul(shape, rotations[:, 0]) + x[:, np.newaxis, 3:POSE_COUNT]
        return world, shape, rotations

    def _offsets(self, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        world = self._pose(x)[0]
        depth = CAMERA_DISTANCE - world[..., 2:]
        return FOCAL_LENGTH * world[..., :2] / depth + PRINCIPAL_POINT - targets

    def _distances(self, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.linalg.norm(self._offsets(x, targets), axis=2)

    def _linearize(
        self, x: np.ndarray, problem: "_Problem"
    ) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return half the squared residuals [T], gradients [T, n], Gauss and Newton's [T, n, n]."""
        targets, weights, expected, prior = problem
        world, shape, rotations = self._pose(x)
        count, size = x.shape

        # 1. derivatives of the weighted pixels by world x (and y), and by z
        depth = CAMERA_DISTANCE - world[..., 2]
        along = (weights * FOCAL_LENGTH / depth).astype(np.float32)  # [T, P]
        inward = along[..., np.newaxis] * (world[..., :2] / depth[..., np.newaxis]).astype("f4")

        # 2. those of world points by the parameters, then of pixels; the sums over many points
        # that follow need no more than single precision
        by = np.zeros((count, 3, len(self._mean), size), np.float32)
        for axis in range(3):
            by[:, :, :, axis] = np.swapaxes(np.matmul(shape, rotations[:, 1 + axis]), 1, 2)
            by[:, axis, :, 3 + axis] = 1
        if size > POSE_COUNT:
            turned = np.matmul(np.swapaxes(rotations[:, 0], 1, 2).astype("f4"), self._flat_basis)
            by[..., POSE_COUNT:] = turned.reshape(count, 3, len(self._mean), -1)
        jacobian = by[:, :2]
        jacobian *= along[:, np.newaxis, :, np.newaxis]
        jacobian += np.moveaxis(inward, 2, 1)[..., np.newaxis] * by[:, 2:]
        jacobian = jacobian.reshape(count, -1, size)

        # 3. residuals of the points and of the prior
        projected = FOCAL_LENGTH * world[..., :2] / depth[..., np.newaxis] + PRINCIPAL_POINT
        residuals = (projected - targets) * weights[..., np.newaxis]
        residuals = np.swapaxes(residuals, 1, 2).reshape(count, -1)
        own = prior * (x - expected)
        cost = 0.5 * (np.sum(residuals**2, axis=1) + np.sum(own**2, axis=1))
        transposed = np.swapaxes(jacobian, 1, 2)
        gradient = np.matmul(transposed, residuals.astype("f4")[..., np.newaxis])[..., 0]
        normal = np.matmul(transposed, jacobian).astype(np.float64)
        return cost, gradient + prior * own, normal + np.diag(prior**2)

    def _visibility(self, x: np.ndarray) -> np.ndarray:
        """Return how far each of the 478 points turns to the camera, [T, 478], 0..1."""
        world, _, rotations = self._pose(x)
        normals = np.matmul(self._normals, rotations[:, 0])
        return visibility(world[:, : self._dense_count], normals)
