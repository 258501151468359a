"""Pose, identity and expression from 2-D landmarks: the start of analysis by synthesis.

Bounded least squares on the projected landmarks with Gaussian priors on the coefficients, as
in Blanz & Vetter, "Face Recognition Based on Fitting a 3D Morphable Model" (PAMI 2003),
section 4. Only the vertices of the points are decoded, with analytic derivatives, so a face takes
a few hundredths of a second.
"""

from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from face_model.coefficients import STATISTICAL_BOUND, expression_bounds
from face_model.dense_points import dense_points
from face_model.landmark_basis import landmark_model, vertex_model
from face_model.model import FaceModel
from fitting.dense_evidence import ROBUST, dense_noise, regional_normals, visibility
from geometry.camera import project, project_derivatives
from geometry.landmark_layout import (
    BROWS,
    INNER_LANDMARKS,
    JAW,
    LANDMARK_COUNT,
    five_from_68,
)
from geometry.rotation import rotation_with_derivatives
from utils.workers import one_blas_thread

POSE_COUNT = 6  # three angles, then three translations
ANGLE_BOUND = np.radians(100)
TRANSLATION_BOUND = 3.0  # dm; a face within the crop is well inside
START_YAWS = np.radians((0.0, -45.0, 45.0))

LANDMARK_NOISE = 1.5  # pixels of the crop: typical error of a good 68-point detector
FIVE_POINT_NOISE = 2.5  # pixels of the crop
# The landmark network knows drawn faces only: on photos its points are noisier than it says.
_NETWORK_NOISE = 4.0

# A jaw landmark of a 2-D detector slides along the outline as the head turns and from person to
# person, and brow landmarks follow the hair, so both correspond loosely to their vertices. With
# a jaw weight of 0.25, mouths opened to reach the chin, and NME was 0.14 higher.
_JAW_WEIGHT, _BROW_WEIGHT = 0.05, 0.5
# Mean weight of the inner landmarks at full confidence: 41 of weight 1, 10 in the brows.
_FULL_INNER_WEIGHT = 46 / 51.0
# Five points carry no information on the expression: without confidence in the 68 it stays close
# to neutral, its standard deviation divided by one plus this.
_EXPRESSION_STIFFNESS = 6.0

# Rounds of the visibility of the 478 points and the fit to the visible ones; one from a start.
_ROUNDS = 2
# Levenberg-Marquardt: damping relative to the diagonal, its factors, and the end.
DAMPING, MORE, LESS = 1e-3, 8.0, 0.25
TOLERANCE = 1e-4  # relative change of the cost, of the last step
_ROUGH = 1e-2  # the same, where another solution follows
_STEPS, _POSE_STEPS = 30, 20


class LandmarkFit(NamedTuple):
    """Coefficients of one face, found from its landmarks."""

    identity: np.ndarray  # [identities]
    expression: np.ndarray  # [expressions]
    angles: np.ndarray  # [3] radians
    translation: np.ndarray  # [3] dm
    landmarks: np.ndarray  # [68, 2] of the fitted face, crop pixels, y up
    error: float  # root mean square of the weighted residuals, pixels of the crop
    # Whether the identity is the expected one of faces with such points, see fitting.identity_map.
    is_expected: bool = False


class _Points(NamedTuple):
    """Points of a face, with the vertices of the model that they show."""

    mean: np.ndarray  # [P, 3] dm
    basis: np.ndarray  # [P, 3, K]
    targets: np.ndarray  # [P, 2] crop pixels, y up
    noise_inverse: np.ndarray  # [P] 1 / pixels
    scale: np.ndarray  # [P] pixels at which a point keeps a quarter of its weight; inf: all of it


def correspondence_weights() -> np.ndarray:
    """Return how reliably each detected landmark corresponds to its vertex, [68], 0..1."""
    weights = np.ones(LANDMARK_COUNT)
    weights[JAW], weights[BROWS] = _JAW_WEIGHT, _BROW_WEIGHT
    return weights


def network_confidence(noise: np.ndarray) -> np.ndarray:
    """Return the confidence in the points of the open landmark network, 1 for a good detector's.

    Args:
        noise: standard deviations that the network gives, pixels of the crop.
    """
    return LANDMARK_NOISE / (_NETWORK_NOISE * noise)


class LandmarkFitter:
    """Fits one face model to landmarks.

    Args:
        model: a ``FaceModel``.
    """

    def __init__(self, model: FaceModel) -> None:
        self._mean, self._basis = landmark_model(model)  # [68, 3] and [68, 3, K]
        self._five = five_from_68(self._mean, axis=0), five_from_68(self._basis, axis=0)
        dense = dense_points(model)
        self._dense = vertex_model(model, dense.vertices)
        self._dense_spread = dense.spread
        self._dense_noise = dense_noise(dense.spread)
        self._dense_normals = regional_normals(model.mean_shape, model.triangles, dense.vertices)
        self._identity_count = model.identity_count

        # Bounds of pose, identity and expression, in this order.
        expression = expression_bounds(model)
        identity = np.full(model.identity_count, STATISTICAL_BOUND)
        pose = np.concatenate([np.full(3, ANGLE_BOUND), np.full(3, TRANSLATION_BOUND)])
        self._bounds = (
            np.concatenate([-pose, -identity, expression[0]]),
            np.concatenate([pose, identity, expression[1]]),
        )

    def fit(
        self,
        landmarks: np.ndarray,
        weights: np.ndarray,
        five_points: Optional[np.ndarray] = None,
        dense: Optional[np.ndarray] = None,
        presence: float = 1.0,
        start: Optional[LandmarkFit] = None,
        identity: Optional[np.ndarray] = None,
    ) -> LandmarkFit:
        """Fit pose, identity and expression to one face.

        The 68 landmarks, if there are any, decide which of the 478 points are hidden, because
        their network sees turned faces too; without landmarks the 478 points do.

        Args:
            landmarks: [68, 2] crop pixels, y up.
            weights: [68] confidence in each landmark, 0 (ignore) to 1.
            five_points: [5, 2] crop pixels, y up, or None.
            dense: [478, 2] points of MediaPipe's face mesh, crop pixels, y up, or None.
            presence: 0..1, their network's confidence that it sees a face: low on profiles, which
                it sees wrongly.
            start: a fit to the face in a similar crop, where the search begins; None for none.
            identity: [identities] to keep; pose and expression alone are fitted. None to fit it.

        Returns:
            A :class:`LandmarkFit`.
        """
        with one_blas_thread():
            weights = np.asarray(weights, np.float64)
            return self._fit(landmarks, weights, five_points, dense, presence, start, identity)

    def _fit(
        self,
        landmarks: np.ndarray,
        weights: np.ndarray,
        five_points: Optional[np.ndarray],
        dense: Optional[np.ndarray],
        presence: float,
        start: Optional[LandmarkFit],
        identity: Optional[np.ndarray],
    ) -> LandmarkFit:
        # 1. rigid pose of the mean face, the best from three yaws or from that of the start
        others = points = self._collect(landmarks, weights, five_points)
        if dense is not None and not np.any(weights > 0):
            points = _join(others, self._collect_dense(dense, presence))
        turns = [np.array([0, yaw, 0]) for yaw in START_YAWS] if start is None else [start.angles]
        poses = [self._solve(points, np.append(turn, np.zeros(3))) for turn in turns]
        pose = min(poses, key=lambda solution: solution[1])[0]

        # 2. pose, identity and expression together, within their bounds
        prior, bounds = self._prior(weights, dense is not None), self._bounds
        shape = np.zeros(len(prior))
        if start is not None:
            shape = np.concatenate([start.identity, start.expression])
        solution = np.concatenate([pose, shape])
        if identity is not None:
            bounds = self._bounds_with(identity)
        if dense is None:
            solution = self._solve(points, solution, prior, bounds=bounds)[0]
        else:
            for _ in range(_ROUNDS if start is None else 1):
                trust = presence * self._visibility(solution)
                points = _join(others, self._collect_dense(dense, trust))
                solution = self._solve(points, solution, prior, _ROUGH, bounds)[0]
                kept = _without_outliers(points, solution)
                solution = self._solve(kept, solution, prior, bounds=bounds)[0]

        # 3. the parts of the solution, its landmarks and its error
        angles, translation, found_identity, expression = np.split(
            solution, [3, POSE_COUNT, POSE_COUNT + self._identity_count]
        )
        found = project(_world(self._mean, self._basis, solution)[0])
        squared = np.sum(_weighted_offsets(points, solution) ** 2)
        error = np.sqrt(squared / max(np.sum(points.noise_inverse**2), 1e-12))
        return LandmarkFit(
            found_identity,
            expression,
            angles,
            translation,
            found,
            float(error),
            is_expected=identity is not None,
        )

    def _bounds_with(self, identity: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return bounds that keep an identity."""
        lower, upper = (bound.copy() for bound in self._bounds)
        held = slice(POSE_COUNT, POSE_COUNT + self._identity_count)
        lower[held] = upper[held] = np.clip(identity, lower[held], upper[held])
        return lower, upper

    def _collect(
        self, landmarks: np.ndarray, weights: np.ndarray, five_points: Optional[np.ndarray]
    ) -> _Points:
        """Return the landmarks that have a weight, and the five points if they are given."""
        used = weights > 0
        points = _Points(
            self._mean[used],
            self._basis[used],
            np.asarray(landmarks, np.float64)[used],
            weights[used] / LANDMARK_NOISE,
            np.full(used.sum(), np.inf),
        )
        if five_points is None:
            return points
        noise = np.full(5, 1 / FIVE_POINT_NOISE)
        return _join(points, _Points(*self._five, five_points, noise, np.full(5, np.inf)))

    def _collect_dense(self, dense: np.ndarray, trust: Union[float, np.ndarray] = 1.0) -> _Points:
        """Return those of the 478 points that have a weight."""
        noise_inverse = trust / self._dense_noise
        points = _Points(*self._dense, dense, noise_inverse, ROBUST * self._dense_spread)
        return _Points(*(part[noise_inverse > 0] for part in points))

    def _solve(
        self,
        points: _Points,
        start: np.ndarray,
        prior: Optional[np.ndarray] = None,
        tolerance: float = TOLERANCE,
        bounds: Optional[Tuple[np.ndarray, np.ndarray]] = None,
    ) -> Tuple[np.ndarray, float]:
        """Minimize the squared residuals by projected Levenberg-Marquardt steps.

        Args:
            points: the points.
            start: pose, followed by identity and expression or by nothing (the mean face).
            prior: [K] inverse standard deviations of identity and expression; None without them.
            tolerance: relative change of the cost, of the last step.
            bounds: lowest and highest values of pose, identity and expression; None for the usual.

        Returns:
            The parameters, and half their squared residuals.
        """
        lower, upper = (bound[: len(start)] for bound in bounds or self._bounds)
        inverse = np.zeros(len(start))
        if prior is not None:
            inverse[POSE_COUNT:] = prior
        x = np.clip(start, lower, upper)
        flat_basis = _flatten_basis(points)
        cost, gradient, normal = _linearize(points, flat_basis, x, inverse)
        damping = DAMPING

        for _ in range(_STEPS if prior is not None else _POSE_STEPS):
            # 1. a damped step of the parameters that are not held by their bounds
            free = ~(((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0)))
            matrix = normal[np.ix_(free, free)]
            matrix = matrix + np.diag(damping * np.diag(matrix) + 1e-12)
            moved = x.copy()
            moved[free] -= np.linalg.solve(matrix, gradient[free])
            moved = np.clip(moved, lower, upper)

            # 2. accepted if it is better
            trial = _cost(points, moved, inverse)
            if trial < cost:
                done = cost - trial < tolerance * cost
                x, damping = moved, damping * LESS
                cost, gradient, normal = _linearize(points, flat_basis, x, inverse)
                if done:
                    break
            else:
                damping *= MORE
                if damping > 1e6:
                    break
        return x, cost

    def _visibility(self, parameters: np.ndarray) -> np.ndarray:
        """Return how far each of the 478 points turns to the camera, [478], 0..1."""
        world, _, rotation = _world(*self._dense, parameters)
        return visibility(world, self._dense_normals.dot(rotation[0]))

    def _prior(self, weights: np.ndarray, is_dense: bool) -> np.ndarray:
        """Return the inverse standard deviation of every identity and expression coefficient."""
        prior = np.ones(self._basis.shape[2])
        confidence = min(1.0, weights[INNER_LANDMARKS].mean() / _FULL_INNER_WEIGHT)
        if not is_dense:
            prior[self._identity_count :] += _EXPRESSION_STIFFNESS * (1 - confidence)
        return prior


def _world(
    mean: np.ndarray, basis: np.ndarray, parameters: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points in the world and in model space, and the rotation matrices.

    Args:
        mean: [P, 3] points of the mean face.
        basis: [P, 3, K].
        parameters: pose, followed by identity and expression or by nothing (the mean face).
    """
    shape = mean
    if len(parameters) > POSE_COUNT:
        shape = shape + basis.dot(parameters[POSE_COUNT:])
    rotation = rotation_with_derivatives(parameters[:3])
    return shape.dot(rotation[0]) + parameters[3:POSE_COUNT], shape, rotation


def _join(first: _Points, second: _Points) -> _Points:
    return _Points(*map(np.concatenate, zip(first, second)))


def _weighted_offsets(points: _Points, parameters: np.ndarray) -> np.ndarray:
    """Return the weighted offset of each projected vertex from its point, [P, 2]."""
    projected = project(_world(points.mean, points.basis, parameters)[0])
    return (projected - points.targets) * points.noise_inverse[:, np.newaxis]


def _without_outliers(points: _Points, parameters: np.ndarray) -> _Points:
    """Return points with Geman and McClure's weights, by their distances."""
    pixels = np.linalg.norm(_weighted_offsets(points, parameters), axis=1) / points.noise_inverse
    return points._replace(noise_inverse=points.noise_inverse / (1 + (pixels / points.scale) ** 2))


def _cost(points: _Points, parameters: np.ndarray, inverse: np.ndarray) -> float:
    """Return half the squared residuals of points and prior."""
    data = _weighted_offsets(points, parameters)
    return float(0.5 * (np.sum(data**2) + np.sum((inverse * parameters) ** 2)))


def _flatten_basis(points: _Points) -> np.ndarray:
    """Return the basis axis by axis, [3, P * K] float32, which one product turns."""
    return np.moveaxis(points.basis, 1, 0).reshape(3, -1).astype(np.float32)


def _linearize(
    points: _Points, flat_basis: np.ndarray, parameters: np.ndarray, inverse: np.ndarray
) -> Tuple[float, np.ndarray, np.ndarray]:
    """Return half the squared residuals, their gradient and Gauss and Newton's matrix.

    Args:
        points: the points.
        flat_basis: their basis, see :func:`_flatten_basis`.
        parameters: pose, followed by identity and expression or by nothing.
        inverse: inverse standard deviations of the parameters' prior, 0 for none.
    """
    world, shape, rotation = _world(points.mean, points.basis, parameters)

    # 1. weighted pixels by world points, and by angles and translation
    by_world = project_derivatives(world) * points.noise_inverse[:, np.newaxis, np.newaxis]
    by_world = by_world.astype(np.float32)
    jacobian = np.empty((len(world), 2, len(parameters)), np.float32)
    turned = np.stack([shape.dot(part) for part in rotation[1:]], axis=-1)
    jacobian[..., :3] = np.matmul(by_world, turned.astype(np.float32))
    jacobian[..., 3:POSE_COUNT] = by_world

    # 2. by the shape; the derivatives of x by y and of y by x are 0
    if len(parameters) > POSE_COUNT:
        x, y, z = rotation[0].T.astype(np.float32).dot(flat_basis).reshape(3, len(world), -1)
        along = by_world[..., np.newaxis]
        jacobian[:, 0, POSE_COUNT:] = along[:, 0, 0] * x + along[:, 0, 2] * z
        jacobian[:, 1, POSE_COUNT:] = along[:, 1, 1] * y + along[:, 1, 2] * z
    flat = jacobian.reshape(2 * len(world), -1)

    # 3. residuals of points and prior
    data = (project(world) - points.targets) * points.noise_inverse[:, np.newaxis]
    data = data.reshape(-1)
    own = inverse * parameters
    cost = 0.5 * (data.dot(data) + own.dot(own))
    gradient = flat.T.dot(data.astype(np.float32)) + inverse * own
    return float(cost), gradient, flat.T.dot(flat) + np.diag(inverse**2)
